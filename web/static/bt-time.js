// <bt-time datetime="…" [mode="clock|both|until"]>: a time people can read, the exact one in its title.
// All times on a page share one ticking clock.

import { h } from './dom.js';
import { absolute, ago, duration, moment } from './format.js';

const shown = new Set();
const TICK_MS = 1000;

class BtTime extends HTMLElement {
  static observedAttributes = ['datetime'];

  connectedCallback() {
    shown.add(this);
    this.draw();
  }

  disconnectedCallback() {
    shown.delete(this);
  }

  attributeChangedCallback() {
    if (this.isConnected) this.draw();
  }

  draw() {
    const iso = this.getAttribute('datetime');
    if (!iso) return this.replaceChildren('–');
    const text = this.#text(iso);
    if (this.firstElementChild?.textContent === text && this.firstElementChild.dateTime === iso) return;
    this.replaceChildren(h('time', { datetime: iso, title: absolute(iso) }, text));
  }

  #text(iso) {
    const mode = this.getAttribute('mode');
    if (mode === 'clock') return moment(iso);
    if (mode === 'both') return `${moment(iso)} · ${ago(iso)}`;
    if (mode === 'until') {
      const left = Date.parse(iso) - Date.now();
      return left > 0 ? `in ${duration(Math.ceil(left / 1000) * 1000)}` : 'now';
    }
    return ago(iso);
  }
}

customElements.define('bt-time', BtTime);

const ISO = /(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/;

/** A sentence of the server's, with its times on the reader's clock. */
export function prose(text) {
  return text.split(ISO).map((part, index) => (index % 2 ? h('bt-time', { datetime: part, mode: 'clock' }) : part));
}

setInterval(() => document.hidden || shown.forEach((time) => time.draw()), TICK_MS);
document.addEventListener('bt-zone', () => {
  for (const time of shown) {
    time.replaceChildren();
    time.draw();
  }
});
