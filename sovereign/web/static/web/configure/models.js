// The models to choose from: their states as they are now, and a word to find one by where there are many.

const PAUSE = 5000; // milliseconds between two looks
const MANY = 8; // models that are looked through without help

const list = document.querySelector(".sv-models[data-address]");
const options = [...(list?.querySelectorAll(".sv-model") ?? [])];

function show(states) {
  for (const option of options) {
    const state = states[option.querySelector("input").value];
    const shown = option.querySelector("[data-state]");
    if (state === undefined || shown.textContent === state) continue;
    shown.textContent = state;
    option.querySelector(".sv-dot").classList.toggle("sv-ready", state === "ready");
  }
}

async function look() {
  if (document.visibilityState === "visible") {
    try {
      const answer = await fetch(list.dataset.address, { headers: { Accept: "application/json" } });
      if (answer.ok) show(await answer.json());
    } catch {
      // the next look may be answered: what stands here is what was known last
    }
  }
  setTimeout(look, PAUSE);
}

function offerSearch() {
  const search = Object.assign(document.createElement("input"), {
    type: "search", className: "sv-narrow", placeholder: "Find a model", autocomplete: "off",
  });
  search.setAttribute("aria-label", "Find a model");
  search.addEventListener("input", () => {
    const wanted = search.value.trim().toLowerCase();
    for (const option of options) {
      const isChosen = option.querySelector("input").checked;
      option.hidden = !isChosen && !option.textContent.toLowerCase().includes(wanted);
    }
  });
  search.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  list.before(search);
}

if (options.length > MANY) offerSearch();
if (options.length) setTimeout(look, PAUSE);
