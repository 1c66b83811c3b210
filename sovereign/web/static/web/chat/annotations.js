// What the annotations of a text become as long as it is text: small numbers for its sources, and links to files. Once it
// is whole, the server's HTML stands in its place.

import { t } from "../words.js";
import { downloadLink } from "./files.js";
import { element } from "./format.js";

const MARK = /^【\d+:\d+†(.*)】$/s;

// The files that a text cites, each once, in the order in which they are cited.
export class Sources {
  #numbers = new Map(); // file id → its number, from 1
  names = [];

  cited(annotation) {
    const fileId = annotation.file_citation.file_id;
    const name = MARK.exec(annotation.text)?.[1] || t("a file");
    if (!this.#numbers.has(fileId)) this.#numbers.set(fileId, this.names.push(name));
    const number = this.#numbers.get(fileId);
    const mark = element("sup", { className: "cited", title: name });
    mark.append(element("span", { className: "visually-hidden" }, ` ${t("Source {number}: {name}", { number, name })} `));
    mark.append(element("span", { ariaHidden: "true" }, String(number)));
    return mark;
  }
}

// A text of a message with what its annotations become, as nodes.
export function annotated({ value, annotations = [] }) {
  const sources = new Sources();
  return pieces(value, annotations).map(({ text, annotation }) => {
    if (annotation?.file_citation) return sources.cited(annotation);
    if (annotation?.file_path) return downloadLink(annotation.file_path.file_id, text.split("/").at(-1) || "file");
    return text;
  });
}

// A text as it is taken along: without the marks of its sources.
export function withoutMarks({ value, annotations = [] }) {
  return pieces(value, annotations).map(({ text, annotation }) => (annotation?.file_citation ? "" : text)).join("");
}

// The text, cut at its annotations; one that cannot be there is none.
function pieces(value, annotations) {
  if (annotations.length === 0) return [{ text: value }];
  const points = [...value]; // annotations count code points
  const cut = [];
  let seen = 0;
  for (const annotation of annotations.toSorted((one, other) => one.start_index - other.start_index)) {
    const { start_index: start, end_index: end } = annotation;
    if (start < seen || end <= start || end > points.length) continue;
    cut.push({ text: points.slice(seen, start).join("") }, { text: points.slice(start, end).join(""), annotation });
    seen = end;
  }
  return [...cut, { text: points.slice(seen).join("") }];
}
