// <bt-chart name="throughput" label="…">: the server's drawing, made readable by pointer, keyboard and table.
// The drawing comes in sentinel colours that the stylesheet replaces; the values come from the metrics' series.
// Dragging, or Shift with the arrows and then Enter, asks for a closer look by a `zoom` event.

import { query } from './api.js';
import { h } from './dom.js';
import { bucketLabel, count, duration } from './format.js';

/** The plot box that the server promises, in pixels of the drawing. */
const LEFT = 48;
const RIGHT = 12;
const MIN_WIDTH = 320;
const MAX_WIDTH = 1600;
/** A drag shorter than this is a click. */
const DRAG_PX = 8;
/** A drawing is asked for again only when its place has changed by more than a scroll bar. */
const REDRAW_PX = 24;
const STEP_MS = { hour: 3_600_000, day: 86_400_000 };

/** chart name → its series in the order of their colours: [name, value of a bucket, formatter] */
const SERIES = {
  throughput: ['accepted', 'delivered', 'read', 'failed'].map((name) => [name, (cell) => cell[name], count]),
  delivery: ['p50', 'p95', 'p99'].map((name) => [name, (cell) => cell.delivery_ms?.[name] ?? null, duration]),
};

class BtChart extends HTMLElement {
  #nothing = h('p', { class: 'nothing-here', hidden: true }, 'Nothing in this time');
  #drawing = h('div', { class: 'drawing' });
  #cursor = h('div', { class: 'cursor', hidden: true });
  #selection = h('div', { class: 'selection', hidden: true });
  #box = h('div', { class: 'box', hidden: true, 'aria-hidden': 'true' });
  #spoken = h('p', { class: 'sr-only', 'aria-live': 'polite' });
  #plot = h('div', { class: 'plot', tabindex: '0', role: 'group' }, this.#drawing, this.#selection, this.#cursor, this.#box, this.#nothing);
  #table = h('details', { class: 'as-table' }, h('summary', {}, 'View as table'));
  #params = null;
  #series = [];
  #bucket = 'hour';
  #width = 0;
  #at = null;
  #from = null;
  #request = null;

  connectedCallback() {
    if (this.#plot.isConnected) return;
    const label = this.getAttribute('label');
    const names = SERIES[this.name].map(([name], index) => h('li', { 'data-series': index + 1 }, name));
    this.#plot.setAttribute('aria-label', `${label}. Left and right arrows read values; Shift with arrows selects, Enter zooms in.`);
    this.append(h('header', {}, h('h2', {}, label), h('ul', { class: 'legend' }, names)), this.#plot, this.#spoken, this.#table);
    this.#listen();
    new ResizeObserver(() => {
      if (this.#params && Math.abs(this.#place() - this.#width) > REDRAW_PX) this.#draw();
    }).observe(this.#plot);
    this.#table.addEventListener('toggle', () => this.#tabulate());
    document.addEventListener('bt-zone', () => this.#tabulate());
  }

  get name() {
    return this.getAttribute('name');
  }

  /** `params` are the range and sender; `series` the buckets of the same range. */
  show({ params, series, bucket }) {
    this.#params = params;
    this.#series = series;
    this.#bucket = bucket;
    const nothing = !series.some((cell) => SERIES[this.name].some(([, value]) => value(cell)));
    this.#nothing.hidden = !nothing;
    this.classList.toggle('nothing', nothing);
    if (this.#at !== null && this.#at >= series.length) this.#clear();
    else this.#mark();
    this.#tabulate();
    this.#draw();
  }

  #place() {
    return Math.round(Math.min(Math.max(this.#plot.clientWidth, MIN_WIDTH), MAX_WIDTH));
  }

  /** XHR hands over a parsed document, so no markup passes through a string. */
  #draw() {
    const width = this.#place();
    this.#request?.abort();
    const request = new XMLHttpRequest();
    this.#request = request;
    request.open('GET', `/admin/api/charts/${this.name}.svg${query({ ...this.#params, bucket: this.#bucket, w: width })}`);
    request.overrideMimeType('image/svg+xml');
    request.responseType = 'document';
    request.addEventListener('load', () => {
      const svg = request.responseXML?.documentElement;
      if (request.status !== 200 || svg?.localName !== 'svg') return this.#fail(request.status);
      this.#width = width;
      const drawing = document.importNode(svg, true);
      // The plot is labelled already, and a title would hide the values behind the browser's own tooltip.
      drawing.querySelector('title')?.remove();
      drawing.setAttribute('aria-hidden', 'true');
      this.#drawing.replaceChildren(drawing);
      this.#mark();
    });
    request.addEventListener('error', () => this.#fail(0));
    request.send();
  }

  #fail(status) {
    // A drawing that is a little old is better than none.
    if (this.#drawing.querySelector('svg')) return;
    this.#drawing.replaceChildren(h('p', { class: 'fine' }, status ? `The chart could not be drawn (HTTP ${status}). The table below has its values.` : 'bluetick does not answer.'));
  }

  #listen() {
    const plot = this.#plot;
    plot.addEventListener('pointermove', (event) => {
      this.#at = this.#index(event);
      this.#mark();
    });
    plot.addEventListener('pointerleave', () => this.#from === null && this.#clear());
    plot.addEventListener('pointerdown', (event) => {
      if (event.button !== 0 || event.pointerType === 'touch' || !this.#series.length) return;
      plot.setPointerCapture(event.pointerId);
      this.#from = this.#index(event);
      const start = event.clientX;
      plot.addEventListener('pointerup', (end) => {
        if (Math.abs(end.clientX - start) > DRAG_PX) this.#zoom();
        else this.#clear();
      }, { once: true });
    });
    plot.addEventListener('pointercancel', () => this.#clear());
    plot.addEventListener('blur', () => this.#clear());
    plot.addEventListener('keydown', (event) => this.#key(event));
  }

  #key(event) {
    const last = this.#series.length - 1;
    const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    if (event.key in moves && last >= 0) {
      const origin = this.#at ?? (moves[event.key] < 0 ? last + 1 : -1);
      if (!event.shiftKey) this.#from = null;
      else this.#from ??= this.#at ?? Math.min(Math.max(origin, 0), last);
      this.#at = Math.min(Math.max(origin + moves[event.key], 0), last);
      this.#mark();
      this.#speak();
    } else if (event.key === 'Enter' && this.#from !== null) {
      this.#zoom();
    } else if (event.key === 'Escape' && this.#at !== null) {
      this.#clear();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  #index(event) {
    const across = event.clientX - this.#plot.getBoundingClientRect().left - LEFT;
    const inside = Math.min(Math.max(across / (this.#width - LEFT - RIGHT), 0), 1);
    return this.#series.length ? Math.round(inside * (this.#series.length - 1)) : null;
  }

  #x(index) {
    const steps = Math.max(this.#series.length - 1, 1);
    return LEFT + (index / steps) * (this.#width - LEFT - RIGHT);
  }

  #mark() {
    const cell = this.#at === null ? null : this.#series[this.#at];
    this.#cursor.hidden = this.#box.hidden = !cell || !this.#width;
    this.#selection.hidden = this.#from === null || !cell;
    if (!cell || !this.#width) return;
    const x = this.#x(this.#at);
    this.#cursor.style.left = `${x}px`;
    this.#box.classList.toggle('left', x > this.#width / 2);
    this.#box.style.left = `${x}px`;
    this.#box.replaceChildren(h('strong', {}, bucketLabel(cell.at, this.#bucket)), ...SERIES[this.name].map(([name, value, format], index) =>
      h('span', { 'data-series': index + 1 }, h('span', {}, name), h('b', {}, format(value(cell))))));
    if (this.#from !== null) {
      const [a, b] = [this.#x(this.#from), x].sort((one, other) => one - other);
      this.#selection.style.left = `${a}px`;
      this.#selection.style.width = `${b - a}px`;
    }
  }

  #speak() {
    const cell = this.#series[this.#at];
    const values = SERIES[this.name].map(([name, value, format]) => `${name} ${format(value(cell))}`).join(', ');
    const span = this.#from === null ? '' : `, ${Math.abs(this.#at - this.#from) + 1} selected, Enter zooms in`;
    this.#spoken.textContent = `${bucketLabel(cell.at, this.#bucket)}: ${values}${span}`;
  }

  #clear() {
    this.#at = this.#from = null;
    this.#mark();
  }

  #zoom() {
    const [first, last] = [this.#from, this.#at].sort((a, b) => a - b);
    const to = new Date(Date.parse(this.#series[last].at) + STEP_MS[this.#bucket]);
    const detail = { from: this.#series[first].at, to: to.toISOString() };
    this.#clear();
    this.dispatchEvent(new CustomEvent('zoom', { detail, bubbles: true }));
  }

  /** Built only while open: a year of days is a long table. */
  #tabulate() {
    if (!this.#table.open) return this.#table.querySelector('.scroll')?.remove();
    const columns = SERIES[this.name];
    const table = h('table', {},
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, this.#bucket === 'day' ? 'Day (UTC)' : 'Hour'), columns.map(([name]) => h('th', { scope: 'col', class: 'number' }, name)))),
      h('tbody', {}, this.#series.map((cell) => h('tr', {}, h('th', { scope: 'row' }, bucketLabel(cell.at, this.#bucket)),
        columns.map(([, value, format]) => h('td', { class: 'number' }, format(value(cell))))))));
    this.#table.querySelector('.scroll')?.remove();
    this.#table.append(h('div', { class: 'scroll', tabindex: '0' }, table));
  }
}

customElements.define('bt-chart', BtChart);
