// JSON as people read it, token by token: no number is rounded, no name is lost, and no invisible character hides
// what somebody is asked to approve.

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;
// what fonts draw nothing for, but ends of lines and tabs; sovereign/core/visible.py has the same
const INVISIBLE = /(?![\n\r\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/gu;
const DEEPEST = 20; // levels that are still moved to the right

// The text on several lines where it is an object or a list; other text as it is.
export function indented(text) {
  return isStructure(text) ? lines(text) : visible(text);
}

// The raw text of one member of an object, "" where there is none.
export function member(text, name) {
  let depth = 0;
  let start = -1;
  let previous = "";
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (start !== -1 && depth === 1 && (token === "," || token === "}")) return text.slice(start, index).trim();
    if (start === -1 && depth === 1 && token === ":" && JSON.parse(previous) === name) start = index + 1;
    depth += { "{": 1, "[": 1, "}": -1, "]": -1 }[token] ?? 0;
    previous = token;
  }
  return "";
}

function lines(text) {
  let depth = 0;
  let previous = "";
  let shown = "";
  const next = () => `\n${"  ".repeat(Math.min(depth, DEEPEST))}`;
  for (const [token] of text.matchAll(TOKEN)) {
    const isClosing = token === "}" || token === "]";
    const afterOpening = previous === "{" || previous === "[";
    if (isClosing) depth -= 1;
    if (isClosing !== afterOpening) shown += next();
    shown += token === ":" ? ": " : visible(token);
    if (token === "{" || token === "[") depth += 1;
    if (token === ",") shown += next();
    previous = token;
  }
  return shown;
}

export function visible(text) {
  return text.replace(INVISIBLE, (character) => {
    const code = character.codePointAt(0).toString(16).padStart(4, "0");
    return code.length === 4 ? `\\u${code}` : `\\u{${code}}`;
  });
}

function isStructure(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null;
  } catch {
    return false;
  }
}
