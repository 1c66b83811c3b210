// How long a text may still get, said near the limit only.

import { language, t, tn } from "../words.js";

const LONGEST = 256_000; // characters, as the API counts them: code points
const NEAR = 0.9; // of it

// How many characters a text has too many; 0 where it may be sent.
export function excess(text) {
  return text.length <= LONGEST ? 0 : Math.max(0, [...text].length - LONGEST); // a code point has one unit or two
}

export function showCount(place, text) {
  place.textContent = words(text);
  place.classList.toggle("bad", excess(text) > 0);
}

function words(text) {
  if (text.length < LONGEST * NEAR) return "";
  const left = LONGEST - [...text].length;
  const n = new Intl.NumberFormat(language).format(Math.abs(left));
  const limit = new Intl.NumberFormat(language).format(LONGEST);
  if (left < 0) return t("{n} characters too many: a message has at most {limit}. Nothing is lost.", { n, limit });
  return tn("One character left.", "{count} characters left.", left, { count: n });
}
