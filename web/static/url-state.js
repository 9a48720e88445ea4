// What a page shows lives in its URL: reload, share and Back all do what one expects.

import { query } from './api.js';

const listeners = new Set();

/** The search parameters as a plain object. */
export function read() {
  return Object.fromEntries(new URLSearchParams(location.search));
}

/** A link to this page with these parameters and no others. */
export function href(params, path = location.pathname) {
  return path + query(params);
}

/** Goes there without leaving the page. */
export function go(params, { replace = false } = {}) {
  follow(href(params), replace);
}

/** Steps back if we came from inside this page, else goes to `params`. */
export function back(params) {
  if (history.state?.depth > 0) history.back();
  else go(params);
}

/** Calls `listener` whenever the parameters change. */
export function watch(listener) {
  listeners.add(listener);
}

function follow(url, replace) {
  const depth = (history.state?.depth ?? 0) + (replace ? 0 : 1);
  history[replace ? 'replaceState' : 'pushState']({ depth }, '', url);
  tell();
}

function tell() {
  const params = read();
  listeners.forEach((listener) => listener(params));
}

addEventListener('popstate', tell);

// Links marked data-soft change only the parameters; a modified click stays a browser's link.
document.addEventListener('click', (click) => {
  const link = click.target.closest?.('a[data-soft]');
  if (!link || click.defaultPrevented || click.button !== 0 || click.metaKey || click.ctrlKey || click.shiftKey || click.altKey) return;
  click.preventDefault();
  follow(link.getAttribute('href'), false);
});
