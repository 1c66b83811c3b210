// The smallest part of which our scripts make pages: an element with its properties and what is in it. Text becomes
// text nodes and nothing else; what is empty is left out.

export function element(name, properties = {}, ...inner) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...inner.filter(Boolean));
  return made;
}
