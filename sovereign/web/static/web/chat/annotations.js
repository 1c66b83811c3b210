// What the annotations of a text become: small numbers that lead to a list of sources, and links to files.

import { downloadLink } from "./files.js";
import { element, place, withoutPlaces } from "./format.js";

const MARK = /^【\d+:\d+†(.*)】$/s;

// The text of a part of a message with places in it, what stands there, and the sources: { text, places, sources }
export function annotated({ value, annotations = [] }) {
  if (annotations.length === 0) return { text: withoutPlaces(value), places: [], sources: [] };
  const points = [...value]; // annotations count code points
  const sources = new Sources();
  const places = [];
  let text = "";
  let seen = 0;
  for (const annotation of annotations.toSorted((one, other) => one.start_index - other.start_index)) {
    const { start_index: start, end_index: end } = annotation;
    const made = maker(annotation, sources);
    if (!made || start < seen || end > points.length) continue;
    text += withoutPlaces(points.slice(seen, start).join("")) + place(places.length);
    places.push({ original: points.slice(start, end).join(""), made });
    seen = end;
  }
  return { text: text + withoutPlaces(points.slice(seen).join("")), places, sources: sources.names };
}

// The files that a text cites, each once, in the order in which they are cited.
export class Sources {
  #numbers = new Map(); // file id → its number, from 1
  names = [];

  cited(annotation) {
    const fileId = annotation.file_citation.file_id;
    const name = MARK.exec(annotation.text)?.[1] ?? "a file";
    if (!this.#numbers.has(fileId)) this.#numbers.set(fileId, this.names.push(name));
    const number = element("sup", { className: "cited", title: name });
    number.append(element("span", { className: "visually-hidden" }, " source "), String(this.#numbers.get(fileId)));
    return number;
  }
}

export function listed(sources) {
  const list = element("ol", { className: "sources" });
  list.setAttribute("aria-label", "Sources");
  list.append(...sources.map((name) => element("li", {}, name)));
  return list;
}

function maker(annotation, sources) {
  if (annotation.file_citation) {
    const number = sources.cited(annotation);
    return () => number.cloneNode(true);
  }
  if (annotation.file_path) {
    const name = annotation.text.split("/").at(-1) || "file";
    return (label) => downloadLink(annotation.file_path.file_id, name, label);
  }
  return null;
}
