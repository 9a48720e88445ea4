// <bt-tile data-tile="delivered" label="Delivered">: one number, what it is of, its course, and the way to its messages.

import { h, mark, s } from './dom.js';

const WIDTH = 120;
const HEIGHT = 28;

class BtTile extends HTMLElement {
  #value = h('span', { class: 'value' }, '–');
  #note = h('span', { class: 'note' });
  #spark = s('svg', { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  #link = null;

  connectedCallback() {
    if (this.#link) return;
    this.#link = h('a', {}, h('span', { class: 'label' }, this.getAttribute('label')), this.#value, this.#note, this.#spark);
    this.append(this.#link);
  }

  /** `points` may hold nulls, where nothing was measured; `tone` is `warn` or `bad` when a person should look. */
  show({ value, note = '', href, points = [], tone = null, title = null }) {
    if (this.#value.textContent !== value) this.#value.textContent = value;
    this.#note.replaceChildren(note);
    mark(this.#link, 'href', href);
    mark(this.#link, 'title', title);
    mark(this, 'data-tone', tone);
    this.#spark.replaceChildren(...course(points));
  }
}

/** A line through the points from 0 to their maximum; rates pass 1 as theirs by their nature. */
function course(points) {
  const known = points.filter((point) => point !== null && point !== undefined);
  const top = Math.max(...known, 0);
  if (known.length < 2 || top === 0) return [];
  const lines = [];
  let line = [];
  points.forEach((point, index) => {
    if (point === null || point === undefined) {
      lines.push(line);
      line = [];
      return;
    }
    const x = (index / (points.length - 1)) * WIDTH;
    const y = HEIGHT - 1.5 - (point / top) * (HEIGHT - 3);
    line.push(`${x.toFixed(1)},${y.toFixed(1)}`);
  });
  lines.push(line);
  return lines.filter((part) => part.length > 1).map((part) => s('polyline', { points: part.join(' ') }));
}

customElements.define('bt-tile', BtTile);
