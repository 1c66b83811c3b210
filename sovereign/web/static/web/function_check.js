// What is wrong with a function's schema and examples, said while they are typed. Saving checks the same once more.

const PAUSE = 400; // milliseconds without a key until it is checked

const status = document.getElementById("function-check"); // read aloud: only what stays in its place is
const shown = document.getElementById("function-check-shown"); // the same words, beside the field
const form = document.getElementById("function_form");
const NAMES = ["name", "description", "strict", "parameters", "examples"];

let waiting = null;
let asked = 0;

function mark(problem) {
  for (const element of NAMES.map((name) => form.elements[name]).filter(Boolean)) {
    element.setAttribute("aria-invalid", String(problem.field === element.name));
    describe(element, problem.field === element.name);
  }
  (form.elements[problem.field] ?? form.elements.examples).after(shown);
  say(problem.message ?? "The schema is one, and the examples fit it.");
  shown.classList.toggle("sv-bad", Boolean(problem.message));
}

// A field is described by its help text, too.
function describe(element, isWrong) {
  const others = (element.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => id && id !== shown.id);
  element.setAttribute("aria-describedby", [...others, ...(isWrong ? [shown.id] : [])].join(" "));
}

function say(words) {
  for (const element of [status, shown]) element.textContent = words;
}

async function check() {
  const number = ++asked;
  const body = new FormData();
  for (const name of [...NAMES, "csrfmiddlewaretoken"]) {
    const element = form.elements[name];
    if (element && (element.type !== "checkbox" || element.checked)) body.append(name, element.value);
  }
  try {
    const answer = await fetch(status.dataset.address, { method: "POST", body });
    if (!answer.ok) throw new Error(String(answer.status));
    const problem = await answer.json();
    if (number === asked) mark(problem);
  } catch {
    if (number === asked) say(""); // saving will say it
  }
}

form?.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(check, PAUSE);
});
