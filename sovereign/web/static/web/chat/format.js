// What a model wrote, as elements. Text becomes text nodes and nothing else: no markup of the model is ever parsed
// as HTML, no link or image of it is loaded.

import { confirmCopy, copyText } from "../copy.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$/;
const HEADING = /^#{1,6}\s+(.+?)\s*#*$/;
const BULLET = /^\s*[-*+]\s+(.*)$/;
const NUMBER = /^\s*(\d{1,9})[.)]\s+(.*)$/;
const INLINE = /(`+)(.+?)\1|\*\*(?=\S)(.+?)\*\*|(?<![\w*])\*(?=\S)([^*]+?)\*(?![\w*])/gs;
const LONGEST = 100_000; // characters; beyond that, plain text is kinder to the browser

export function formatted(text) {
  const fragment = document.createDocumentFragment();
  if (text.length > LONGEST) {
    fragment.append(element("p", { className: "plain" }, text));
    return fragment;
  }
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  for (let at = 0; at < lines.length;) at = block(lines, at, fragment);
  return fragment;
}

function block(lines, at, target) {
  const line = lines[at];
  const fence = FENCE.exec(line);
  if (line.trim() === "") return at + 1;
  if (fence) return codeBlock(lines, at + 1, fence, target);
  const heading = HEADING.exec(line);
  if (heading) {
    target.append(inline(element("h3"), heading[1]));
    return at + 1;
  }
  if (BULLET.test(line)) return list(lines, at, target, "ul", BULLET);
  if (NUMBER.test(line)) return list(lines, at, target, "ol", NUMBER);
  return paragraph(lines, at, target);
}

function codeBlock(lines, start, fence, target) {
  let end = start;
  while (end < lines.length && !(lines[end].trim().startsWith(fence[1]) && /^[`~\s]+$/.test(lines[end]))) end += 1;
  const code = element("code", {}, lines.slice(start, end).join("\n"));
  const pre = element("pre", { tabIndex: 0 });
  pre.setAttribute("aria-label", fence[2] ? `Code in ${fence[2]}` : "Code");
  pre.append(code);
  const copy = element("button", { type: "button" }, "Copy");
  copy.dataset.copy = "";
  copy.addEventListener("click", async () => confirmCopy(copy, await copyText(code.textContent, code)));
  const frame = element("div", { className: "code" });
  frame.append(pre, copy);
  target.append(frame);
  return end + 1;
}

function list(lines, at, target, tag, pattern) {
  const items = element(tag);
  const first = pattern.exec(lines[at]);
  if (tag === "ol" && first[1] !== "1") items.start = Number(first[1]);
  while (at < lines.length) {
    const found = pattern.exec(lines[at]);
    if (found) {
      items.append(inline(element("li"), found.at(-1)));
    } else if (/^\s{2,}\S/.test(lines[at]) && !FENCE.test(lines[at])) {
      items.lastChild.append(document.createElement("br"));
      inline(items.lastChild, lines[at].trim());
    } else if (lines[at].trim() !== "" || !pattern.test(lines[at + 1] ?? "")) {
      break;
    }
    at += 1;
  }
  target.append(items);
  return at;
}

function paragraph(lines, at, target) {
  const start = at;
  const ends = (line) => line.trim() === "" || FENCE.test(line) || HEADING.test(line) || BULLET.test(line);
  do at += 1; while (at < lines.length && !ends(lines[at]));
  target.append(inline(element("p", { className: "plain" }), lines.slice(start, at).join("\n").trim()));
  return at;
}

function inline(target, text) {
  let seen = 0;
  for (const match of text.matchAll(INLINE)) {
    target.append(text.slice(seen, match.index));
    if (match[2] !== undefined) target.append(element("code", {}, match[2]));
    else if (match[3] !== undefined) target.append(element("strong", {}, match[3]));
    else target.append(element("em", {}, match[4]));
    seen = match.index + match[0].length;
  }
  target.append(text.slice(seen));
  return target;
}

export function element(tag, properties = {}, text = "") {
  const made = Object.assign(document.createElement(tag), properties);
  if (text) made.textContent = text;
  return made;
}
