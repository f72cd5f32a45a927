// Finds and creates elements; independent of digits.
// @ts-check

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/**
 * Creates an element; `class`, `role`, `aria-*` and `data-*` are set as attributes.
 * @param {string} tag
 * @param {Record<string, any>} [properties]
 * @param {...(Node|string)} children
 * @returns {any}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (/^(class|role|aria-|data-)/.test(name)) element.setAttribute(name, String(value));
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** Creates an icon from the sprite in index.html. */
export function icon(name) {
  const drawing = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(drawing, "svg");
  const use = document.createElementNS(drawing, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Adds a click handler to the element with the given id. */
export const onClick = (id, action) => byId(id).addEventListener("click", action);
