// <script src="https://…/embed.js" data-key="pk-sov-…" async></script>
// Puts a button on the page, and behind it the chat in a frame. Nothing of it is seen by the page's own scripts and
// styles; it sets no globals and no cookies, and needs of a content security policy: script-src and frame-src for us.
(() => {
  "use strict";
  const script = document.currentScript;
  const key = script?.dataset.key ?? "";
  if (!/^pk-sov-[\w-]+$/.test(key)) return;
  const { origin } = new URL(script.src);
  const language = document.documentElement.lang || navigator.language;
  const isGerman = language.toLowerCase().startsWith("de");
  const label = script.dataset.label || (isGerman ? "Chat öffnen" : "Open chat");
  const closing = isGerman ? "Chat schließen" : "Close chat";

  const [BUBBLE, CROSS] = ["M4 5h16v11H10l-5 4v-4H4z", "m6 6 12 12M18 6 6 18"];
  const SMALL = "(max-width: 480px), (max-height: 416px)"; // there the chat has all of the window
  // In pixels: what a site makes of its rem is its own affair.
  const STYLE = `
    :host { all: initial; }
    button, dialog { position: fixed; right: 16px; z-index: 2147483000; box-sizing: border-box; border: 0; }
    button { bottom: 16px; width: 56px; height: 56px; padding: 16px; border-radius: 50%; background: #17624a; color: #fffefb;
      cursor: pointer; box-shadow: 0 0 0 1px #fffefb, 0 2px 12px rgb(0 0 0 / 25%); }
    button:focus-visible { outline: 3px solid #17624a; outline-offset: 3px; box-shadow: 0 0 0 3px #fffefb; }
    svg { display: block; width: 100%; height: 100%; fill: none; stroke: currentcolor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
    dialog { left: auto; top: auto; bottom: 84px; width: min(400px, calc(100vw - 32px)); height: min(640px, calc(100vh - 104px));
      max-width: none; max-height: none; margin: 0; padding: 0; overflow: hidden; border-radius: 14px; background: Canvas;
      box-shadow: 0 4px 32px rgb(0 0 0 / 30%); color-scheme: light dark; }
    iframe { display: block; width: 100%; height: 100%; border: 0; color-scheme: light dark; }
    [hidden] { display: none; }
    @media ${SMALL} { dialog { inset: 0; width: 100%; height: 100%; border-radius: 0; }
      button[aria-expanded=true] { display: none; } } /* the frame has one to close it */
    @media (forced-colors: active) { button, dialog { border: 1px solid CanvasText; } }`;

  function start() {
    const place = document.createElement("div");
    const root = place.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet(); // a <style> would be refused by a strict policy
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];

    const button = document.createElement("button");
    button.type = "button";
    button.hidden = true; // until the frame says that it may be shown here
    const drawn = drawing();
    button.append(drawn);
    const frame = document.createElement("iframe");
    frame.title = script.dataset.label || "Chat";
    frame.referrerPolicy = "no-referrer";
    frame.allow = "clipboard-write";
    frame.src = `${origin}/embed/${encodeURIComponent(key)}?language=${encodeURIComponent(language)}`;
    const panel = document.createElement("dialog"); // where it has all of the window, the focus cannot get behind it
    panel.setAttribute("aria-label", frame.title);
    panel.append(frame);
    root.append(panel, button);

    const small = matchMedia(SMALL);
    const tell = (what) => frame.contentWindow.postMessage({ sovereign: what }, origin);
    const show = (isOpen) => {
      panel.close();
      if (isOpen) small.matches ? panel.showModal() : panel.show();
      drawn.firstChild.setAttribute("d", isOpen ? CROSS : BUBBLE);
      button.setAttribute("aria-expanded", String(isOpen));
      button.setAttribute("aria-label", isOpen ? closing : label);
      if (!isOpen) return button.focus();
      frame.focus();
      tell("open");
    };
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-label", label);
    button.addEventListener("click", () => show(!panel.open));
    small.addEventListener("change", () => { if (panel.open) show(true); });
    panel.addEventListener("cancel", (event) => {
      event.preventDefault();
      show(false);
    });
    // Where our page was refused, the frame is the browser's own: it is of no origin, and hears nothing.
    frame.addEventListener("load", () => tell("hello"));
    addEventListener("message", (event) => {
      if (event.origin !== origin || event.source !== frame.contentWindow) return;
      if (event.data?.sovereign === "ready") button.hidden = false;
      if (event.data?.sovereign === "close" && panel.open) show(false);
    });
    addEventListener("keydown", (event) => {
      if (event.key === "Escape" && panel.open && !event.defaultPrevented) show(false);
    });
    document.body.append(place);
  }

  function drawing() {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS(space, "path");
    path.setAttribute("d", BUBBLE);
    svg.append(path);
    return svg;
  }

  if (document.body) start();
  else addEventListener("DOMContentLoaded", start);
})();
