// The few pictures there are, drawn in the colour of the text around them.

import { s } from './dom.js';

const PATHS = {
  tick: ['M4.5 8.5 7.5 11.5 14 5'],
  ticks: ['M1 8.5 4 11.5 10.5 5', 'M7.6 10.7 8.4 11.5 14.9 5'],
  clock: ['M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2Z', 'M8 4.8V8l2.2 1.6'],
  pause: ['M5.5 4v8', 'M10.5 4v8'],
  plane: ['M14 2 2 7l4.6 2L14 2Z', 'M14 2 9 14 6.6 9'],
  question: ['M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2Z', 'M6.3 6.4a1.8 1.8 0 1 1 2.6 1.7c-.6.3-.9.6-.9 1.2', 'M8 11.2v.1'],
  cross: ['M4 4l8 8', 'M12 4l-8 8'],
  ban: ['M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2Z', 'M4 4l8 8'],
  dot: ['M8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6Z'],
  copy: ['M6 6V3h7v7h-3', 'M3 6h7v7H3z'],
  warn: ['M8 2.5 14.2 13H1.8L8 2.5Z', 'M8 6.5v3', 'M8 11.2v.1'],
  sun: ['M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6Z', 'M8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M3.4 12.6l.7-.7M11.9 4.1l.7-.7'],
  moon: ['M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1Z'],
  auto: ['M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2Z', 'M8 2.2v11.6', 'M8 5h3M8 8h5.6M8 11h3.6'],
  again: ['M13 8a5 5 0 1 1-1.6-3.7', 'M13.2 2v3h-3'],
  play: ['M5.5 3.5 12 8l-6.5 4.5v-9Z'],
  inbound: ['M13 3 4 12', 'M4 6v6h6'],
  person: ['M8 2.5a2.6 2.6 0 1 0 0 5.2 2.6 2.6 0 0 0 0-5.2Z', 'M3 13.5c.4-2.6 2.4-4 5-4s4.6 1.4 5 4'],
  leave: ['M6.5 2.8H3v10.4h3.5', 'M6.5 8h7', 'M10.8 5.2 13.6 8l-2.8 2.8'],
  search: ['M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9Z', 'M10.3 10.3 14 14'],
};

/** One picture, hidden from screen readers: the word beside it says the same. */
export function icon(name) {
  return s('svg', { class: 'icon', viewBox: '0 0 16 16', 'aria-hidden': 'true' }, ...PATHS[name].map((d) => s('path', { d })));
}
