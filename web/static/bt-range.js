// <bt-range>: the time range of a page, kept in its URL as `from` (and `to` after a zoom).

import { h } from './dom.js';
import { edge } from './format.js';
import * as url from './url-state.js';

const RANGES = ['24h', '7d', '30d', '90d'];
const DEFAULT = '24h';
const HOUR_MS = 3_600_000;
/** Up to eight days an hour is a readable step; beyond, a day is. */
const HOURLY_UP_TO_MS = 8 * 24 * HOUR_MS;

/** What to ask the server for: `{ from, to, bucket }`. */
export function rangeParams(params = url.read()) {
  const from = params.from ?? DEFAULT;
  const to = params.to ?? null;
  return { from, to, bucket: length(from, to) <= HOURLY_UP_TO_MS ? 'hour' : 'day' };
}

/** The same range in the words of the message filters. */
export function rangeFilters({ from, to }) {
  return { since: from, until: to };
}

function length(from, to) {
  const [, amount, unit] = /^(\d+)([mhd])$/.exec(from) ?? [];
  if (amount) return amount * { m: 60_000, h: HOUR_MS, d: 24 * HOUR_MS }[unit];
  return (to ? Date.parse(to) : Date.now()) - Date.parse(from);
}

class BtRange extends HTMLElement {
  connectedCallback() {
    this.setAttribute('role', 'navigation');
    this.setAttribute('aria-label', 'Time range');
    url.watch(() => this.#draw());
    document.addEventListener('bt-zone', () => this.#draw());
    this.#draw();
  }

  #draw() {
    const { from: chosen, to, ...rest } = url.read();
    const from = chosen ?? DEFAULT;
    const links = RANGES.map((range) => h('a', {
      href: url.href({ ...rest, from: range === DEFAULT ? null : range }), 'data-soft': true, 'aria-current': from === range && !to && 'true',
    }, range));
    if (to || !RANGES.includes(from)) links.push(h('a', { href: url.href(rest), 'data-soft': true, 'aria-current': 'true', title: 'Back to the last 24 hours' }, label(from, to), ' ✕'));
    this.replaceChildren(...links);
  }
}

function label(from, to) {
  const name = (time) => (Number.isNaN(Date.parse(time)) ? time : edge(time));
  return to ? `${name(from)} – ${name(to)}` : `since ${name(from)}`;
}

customElements.define('bt-range', BtRange);
