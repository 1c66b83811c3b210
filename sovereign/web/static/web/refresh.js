// Keeps what changes by itself up to date. An element with an id and data-refresh="seconds" gets what the same page has
// in its place now, for as long as somebody looks; an element that comes back without the attribute is over, and is not
// asked for again. What is focused, opened or marked in it stays. Whoever wants to know listens for "refreshed".
// Without this script a page shows what it showed when it was opened.

const SHORTEST = 1; // seconds
const LONGEST = 60; // seconds between two tries of a page that does not answer
const LOOK = 250; // milliseconds
const TYPED_IN = "input:not([type=checkbox], [type=radio], [type=submit], [type=button]), select, textarea";

let failures = 0;
let isAsking = false;
const due = new Map(); // by id, when an element is to be asked for
const shown = new Map(); // by id, what the server said last

function pause(element) {
  const seconds = Math.max(SHORTEST, Number(element.dataset.refresh) || 0);
  return 1000 * (failures ? Math.min(LONGEST, seconds * 2 ** failures) : seconds);
}

// Nobody's typing or marking is taken away.
function isInUse(element) {
  const active = document.activeElement;
  if (element.contains(active) && active.matches(TYPED_IN)) return true;
  const selection = document.getSelection();
  return Boolean(selection && !selection.isCollapsed && element.contains(selection.anchorNode));
}

// Without what differs in every page although nothing has changed.
function essence(element) {
  const copy = element.cloneNode(true);
  for (const token of copy.querySelectorAll("input[name=csrfmiddlewaretoken]")) token.remove();
  return copy.innerHTML;
}

function put(element, fresh) {
  const html = essence(fresh);
  const isSame = shown.get(element.id) === html;
  shown.set(element.id, html);
  if (fresh.dataset.refresh === undefined) delete element.dataset.refresh;
  else element.dataset.refresh = fresh.dataset.refresh;
  if (isSame) return;
  const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
  const opened = [...element.querySelectorAll("details[id][open]")].map((details) => details.id);
  const scrolled = [...element.querySelectorAll("[id]")].filter((one) => one.scrollTop).map((one) => [one.id, one.scrollTop]);
  element.replaceChildren(...fresh.childNodes); // made by the server's template, which escapes what others wrote
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  for (const [id, top] of scrolled) document.getElementById(id)?.scrollTo(0, top);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  element.dispatchEvent(new CustomEvent("refreshed", { bubbles: true }));
}

// The page as it is now; null where somebody has to log in again.
async function page() {
  const answer = await fetch(window.location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
  if (!answer.ok) throw new Error(String(answer.status));
  if (answer.redirected && new URL(answer.url).pathname !== window.location.pathname) return null;
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

async function refresh(elements) {
  isAsking = true;
  try {
    const fresh = await page();
    failures = 0;
    for (const element of elements) {
      const found = fresh?.getElementById(element.id);
      if (!found) delete element.dataset.refresh;
      else if (!isInUse(element)) put(element, found);
    }
  } catch {
    failures += 1;
  } finally {
    isAsking = false;
    for (const { id } of elements) due.delete(id);
  }
}

function look() {
  const instant = performance.now();
  const ready = [];
  for (const element of document.querySelectorAll("[data-refresh][id]")) {
    if (!due.has(element.id)) due.set(element.id, instant + pause(element));
    if (due.get(element.id) <= instant) ready.push(element);
  }
  if (ready.length && !isAsking && document.visibilityState === "visible") refresh(ready);
}

setInterval(look, LOOK);
document.addEventListener("visibilitychange", look);
