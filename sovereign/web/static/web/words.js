// The words of our pages in the reader's language. The page brings the translations (web/words.py) in a script before
// all modules; where there is none, or a text is missing in it, what stands here is said: English.

const words = globalThis.sovereignWords ?? {}; // text → its translation, or [one, many]

// Of the page, for Intl: numbers and dates as the texts around them, in the browser's own variety of it.
const ofPage = globalThis.document?.documentElement.lang || undefined;
export const language = globalThis.navigator?.languages?.find((one) => one.split("-")[0] === ofPage) ?? ofPage;

// t("Hello {name}", { name: "Ada" }); the text is a literal where it is called, for it is collected from there.
export function t(text, values = {}) {
  return filled(forms(text, [text])[0], values);
}

// tn("{n} file", "{n} files", 3): n is among the values.
export function tn(one, many, n, values = {}) {
  return filled(forms(one, [one, many]).at(n === 1 ? 0 : -1), { n, ...values });
}

function forms(text, english) {
  return Object.hasOwn(words, text) ? [words[text]].flat() : english;
}

// One pass: a value with braces in it is not filled again.
function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (place, name) => (Object.hasOwn(values, name) ? String(values[name]) : place));
}
