// Some browsers keep nothing for a frame of another site, and say so by throwing. Then the page itself keeps it, for as long
// as it is there: one can talk, and finds nothing again. Imported before whatever keeps something.

class Kept {
  #values = new Map();

  getItem(name) {
    return this.#values.get(name) ?? null;
  }

  setItem(name, value) {
    this.#values.set(name, String(value));
  }

  removeItem(name) {
    this.#values.delete(name);
  }
}

for (const name of ["localStorage", "sessionStorage"]) {
  try {
    window[name].getItem("");
  } catch {
    Object.defineProperty(window, name, { value: new Kept() });
  }
}
