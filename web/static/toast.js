// One short sentence at the bottom of the page, read aloud politely, gone by itself.

import { h } from './dom.js';

const SHOWN_MS = 3500;
const place = h('div', { class: 'toast', role: 'status', 'aria-live': 'polite' });
let timer = null;

/** Shows `text`, in place of what was shown before. */
export function toast(text) {
  if (!place.isConnected) document.body.append(place);
  place.textContent = text;
  clearTimeout(timer);
  timer = setTimeout(() => place.replaceChildren(), SHOWN_MS);
}
