// Copy buttons: the clipboard where the browser allows it, a selection where it does not (plain http, old browsers).

export async function copyText(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    if (element) getSelection().selectAllChildren(element);
    return false;
  }
}

export function confirmCopy(button, copied) {
  const before = button.textContent;
  button.textContent = copied ? "Copied" : "Press Ctrl C";
  setTimeout(() => { button.textContent = before; }, 1600);
}
