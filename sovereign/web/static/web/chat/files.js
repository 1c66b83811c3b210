// Files of the project on the page: pictures that code made, and links to download what it wrote. The server gives
// every file out as a download, to those who may read it.

import { t } from "../words.js";
import { element } from "./format.js";

export function addressOf(fileId) {
  return `/v1/files/${encodeURIComponent(fileId)}/content`;
}

export function downloadLink(fileId, name, label) {
  return element("a", { className: "download", href: addressOf(fileId), download: name }, label || name);
}

export function picture(fileId, words = t("Image made by the assistant's code")) {
  const figure = element("figure", { className: "picture" });
  figure.dataset.file = fileId;
  const image = element("img", { alt: words, loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => figure.replaceChildren(element("p", { className: "note" }, t("This image cannot be shown any more."))));
  image.src = addressOf(fileId);
  figure.append(image, downloadLink(fileId, "image.png", t("Save the image")));
  return figure;
}
