// Builds elements without ever parsing markup, so that no text from outside can become HTML.

const SVG = 'http://www.w3.org/2000/svg';

/** `h('a', { class: 'x', href }, 'text', child)`; null and false children are left out. */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG elements. */
export function s(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') node.addEventListener(name.replace(/^on/, ''), value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Sets an attribute, or takes it away when there is nothing to say. */
export function mark(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? '' : String(value));
}

/** Puts `nodes` where `place` has its content: nothing moves if nothing changed, and the focus stays where it was. */
export function swap(place, ...nodes) {
  const fresh = nodes.flat(Infinity).filter(Boolean);
  if (fresh.length === place.childNodes.length && fresh.every((node, index) => node.isEqualNode(place.childNodes[index]))) return;
  const at = place.contains(document.activeElement) ? reachable(place).indexOf(document.activeElement) : -1;
  place.replaceChildren(...fresh);
  if (at >= 0) reachable(place)[at]?.focus({ preventScroll: true });
}

function reachable(place) {
  return [...place.querySelectorAll('a[href], button, summary')];
}

/** Asks for `run` at most once per `ms`: at once when quiet, then at the end of each interval. */
export function throttle(ms, run) {
  let timer = null;
  let again = false;
  const tick = () => {
    timer = null;
    if (again) start();
  };
  const start = () => {
    again = false;
    timer = setTimeout(tick, ms);
    run();
  };
  return () => {
    if (timer === null) start();
    else again = true;
  };
}
