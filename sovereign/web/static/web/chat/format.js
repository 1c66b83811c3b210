// What a model wrote, as elements. Text becomes text nodes and nothing else: no markup of the model is ever parsed
// as HTML, no link or image of it is loaded. What annotations put into a text comes from annotations.js.

import { confirmCopy, copyText } from "../copy.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$/;
const HEADING = /^#{1,6}\s+(.+?)\s*#*$/;
const BULLET = /^\s*[-*+]\s+(.*)$/;
const NUMBER = /^\s*(\d{1,9})[.)]\s+(.*)$/;
const INLINE = /(`+)(.+?)\1|\*\*(?=\S)(.+?)\*\*|(?<![\w*])\*(?=\S)([^*]+?)\*(?![\w*])|!?\[([^\]\n]*)\]\(\uE000(\d+)\uE001\)|\uE000(\d+)\uE001/gs;
const PLACE = /\uE000(\d+)\uE001/g; // where an annotation stands in a text: its number between private characters
const ALONE = /^\uE000(\d+)\uE001$/;
const LONGEST = 100_000; // characters; beyond that, plain text is kinder to the browser

// places: of each annotation the text that it stands for, and what makes its element: { original, made(label) }
export function formatted(text, places = []) {
  const fragment = document.createDocumentFragment();
  if (text.length > LONGEST) {
    fragment.append(element("p", { className: "plain" }, original(text, places)));
    return fragment;
  }
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  for (let at = 0; at < lines.length;) at = block(lines, at, fragment, places);
  return fragment;
}

// The characters that mark a place are nobody else's.
export function withoutPlaces(text) {
  return text.replace(/[\uE000\uE001]/g, "\uFFFD");
}

export function place(number) {
  return `\uE000${number}\uE001`;
}

function original(text, places) {
  return text.replace(PLACE, (found, number) => places[number]?.original ?? found);
}

function block(lines, at, target, places) {
  const line = lines[at];
  const fence = FENCE.exec(line);
  if (line.trim() === "") return at + 1;
  if (fence) return codeBlock(lines, at + 1, fence, target, places);
  const heading = HEADING.exec(line);
  if (heading) {
    target.append(inline(element("h3"), heading[1], places));
    return at + 1;
  }
  if (BULLET.test(line)) return list(lines, at, target, "ul", BULLET, places);
  if (NUMBER.test(line)) return list(lines, at, target, "ol", NUMBER, places);
  return paragraph(lines, at, target, places);
}

function codeBlock(lines, start, fence, target, places) {
  let end = start;
  while (end < lines.length && !(lines[end].trim().startsWith(fence[1]) && /^[`~\s]+$/.test(lines[end]))) end += 1;
  const code = element("code", {}, original(lines.slice(start, end).join("\n"), places));
  target.append(codeFrame(code, fence[2] ? `Code in ${fence[2]}` : "Code"));
  return end + 1;
}

// Code with its copy button; label: what it is called to those who do not see it.
export function codeFrame(code, label) {
  const pre = element("pre", { tabIndex: 0 });
  pre.setAttribute("aria-label", label);
  pre.append(code);
  const copy = element("button", { type: "button" }, "Copy");
  copy.dataset.copy = "";
  copy.addEventListener("click", async () => confirmCopy(copy, await copyText(code.textContent, code)));
  const frame = element("div", { className: "code" });
  frame.append(pre, copy);
  return frame;
}

function list(lines, at, target, tag, pattern, places) {
  const items = element(tag);
  const first = pattern.exec(lines[at]);
  if (tag === "ol" && first[1] !== "1") items.start = Number(first[1]);
  while (at < lines.length) {
    const found = pattern.exec(lines[at]);
    if (found) {
      items.append(inline(element("li"), found.at(-1), places));
    } else if (/^\s{2,}\S/.test(lines[at]) && !FENCE.test(lines[at])) {
      items.lastChild.append(document.createElement("br"));
      inline(items.lastChild, lines[at].trim(), places);
    } else if (lines[at].trim() !== "" || !pattern.test(lines[at + 1] ?? "")) {
      break;
    }
    at += 1;
  }
  target.append(items);
  return at;
}

function paragraph(lines, at, target, places) {
  const start = at;
  const ends = (line) => line.trim() === "" || FENCE.test(line) || HEADING.test(line) || BULLET.test(line);
  do at += 1; while (at < lines.length && !ends(lines[at]));
  target.append(inline(element("p", { className: "plain" }), lines.slice(start, at).join("\n").trim(), places));
  return at;
}

function inline(target, text, places) {
  let seen = 0;
  for (const match of text.matchAll(INLINE)) {
    target.append(text.slice(seen, match.index));
    target.append(span(match, places));
    seen = match.index + match[0].length;
  }
  target.append(text.slice(seen));
  return target;
}

function span([whole, , code, strong, emphasis, label, linked, alone], places) {
  if (code !== undefined) return places[ALONE.exec(code)?.[1]]?.made("") ?? element("code", {}, original(code, places));
  if (strong !== undefined) return inline(element("strong"), strong, places);
  if (emphasis !== undefined) return inline(element("em"), emphasis, places);
  const annotated = places[linked ?? alone];
  return annotated ? annotated.made(original(label ?? "", places)) : whole;
}

export function element(tag, properties = {}, text = "") {
  const made = Object.assign(document.createElement(tag), properties);
  if (text) made.textContent = text;
  return made;
}
