// Rows of prompts are put in order by dragging them, within their kind. The buttons do the same without this script.

const form = document.getElementById("prompt-order");
const rows = [...document.querySelectorAll("tr[data-link]")];
let dragged = null; // the row, and where it would come to

function mark(target, isAfter) {
  for (const row of rows) row.classList.remove("sv-before-it", "sv-after-it");
  target?.classList.add(isAfter ? "sv-after-it" : "sv-before-it");
}

function move(event) {
  const under = document.elementFromPoint(event.clientX, event.clientY)?.closest("tr[data-link]");
  const isPlace = under && under !== dragged.row && under.dataset.kind === dragged.row.dataset.kind;
  const box = isPlace ? under.getBoundingClientRect() : null;
  dragged.target = isPlace ? under : null;
  dragged.isAfter = isPlace && event.clientY > box.top + box.height / 2;
  mark(dragged.target, dragged.isAfter);
}

function end(isDone) {
  const { row, target, isAfter } = dragged;
  row.classList.remove("sv-dragged");
  mark(null);
  dragged = null;
  if (!isDone || !target) return;
  if (isAfter) target.after(row);
  else target.before(row);
  const kind = [...row.parentElement.querySelectorAll("tr[data-link]")].filter((one) => one.dataset.kind === row.dataset.kind);
  const order = Object.assign(document.createElement("input"), {
    type: "hidden", name: "order", value: kind.map((one) => one.dataset.link).join(","),
  });
  form.append(order);
  form.submit();
}

for (const row of form ? rows : []) {
  const handle = Object.assign(document.createElement("span"), { className: "sv-handle", textContent: "⠿", title: "Drag to another place" });
  handle.setAttribute("aria-hidden", "true"); // the buttons beside it are for keys
  row.querySelector(".sv-order").prepend(handle);
  handle.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    handle.setPointerCapture(event.pointerId);
    dragged = { row, target: null, isAfter: false };
    row.classList.add("sv-dragged");
  });
  handle.addEventListener("pointermove", (event) => { if (dragged) move(event); });
  handle.addEventListener("pointerup", () => { if (dragged) end(true); });
  handle.addEventListener("pointercancel", () => { if (dragged) end(false); });
  handle.addEventListener("keydown", (event) => { if (event.key === "Escape" && dragged) end(false); });
}

// After a button was pressed the page comes anew: the keys stay where they were.
const [, way, link] = /^#moved-(up|down)-(.+)$/.exec(decodeURIComponent(location.hash)) ?? [];
const buttons = way ? [way, way === "up" ? "down" : "up"].map((one) => document.getElementById(`${one}-${link}`)) : [];
buttons.find((button) => button && !button.disabled)?.focus();
