// Keyboard shortcuts, single keys and pairs such as `g m`; silent while someone types or a dialog is open.
// Every binding says what it does, so the help dialog can never be out of date.

const bindings = new Map();
/** The second key of a pair is waited for this long. */
const PAIR_MS = 900;
let first = null;
let firstAt = 0;

/** `bind('j', 'Next row', run)`; the last binding of a key wins. */
export function bind(key, what, run) {
  bindings.set(key, { key, what, run });
}

/** A second key for the same thing. */
export function alias(key, of) {
  bindings.set(key, { key, run: bindings.get(of).run });
}

/** All bindings but aliases, for the help dialog. */
export function all() {
  return [...bindings.values()].filter(({ what }) => what);
}

function isTyping(target) {
  if (!(target instanceof HTMLElement) || ['checkbox', 'radio'].includes(target.type)) return false;
  return target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName);
}

document.addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey || document.querySelector('dialog[open]')) return;
  if (isTyping(event.target)) {
    if (event.key === 'Escape') event.target.blur();
    return;
  }
  const pair = first && event.timeStamp - firstAt < PAIR_MS ? `${first} ${event.key}` : null;
  const binding = (pair && bindings.get(pair)) ?? bindings.get(event.key);
  first = event.key;
  firstAt = event.timeStamp;
  if (!binding) return;
  event.preventDefault();
  binding.run(event);
});
