// The tiles and the table that a Cell of metrics becomes, for everything or for one sender.

import { query } from './api.js';
import { h } from './dom.js';
import { address, count, duration, percent, short, tenth } from './format.js';
import { sender } from './inspect.js';

/** tile name → what to show of `{ totals, series }`, and the filter behind it */
const TILES = {
  accepted: ({ totals, series }) => ({ value: short(totals.accepted), note: totals.open ? `${short(totals.open)} still under way` : 'none under way', points: series.map((cell) => cell.accepted), filters: {} }),
  sent: ({ totals, series }) => ({ value: short(totals.sent), note: share(totals.sent_rate), points: series.map((cell) => cell.sent), filters: { status: 'sent,delivered,read,undelivered' } }),
  delivered: ({ totals, series }) => ({ value: percent(totals.delivered_rate), note: totals.sent ? `${short(totals.delivered)} of ${short(totals.sent)}` : 'of what was sent', points: series.map((cell) => cell.delivered_rate), filters: { status: 'delivered,read' } }),
  read: ({ totals, series }) => ({ value: percent(totals.read_rate), note: totals.delivered ? `${short(totals.read)} of ${short(totals.delivered)}` : 'of what was delivered', points: series.map((cell) => cell.read_rate), filters: { status: 'read' }, title: 'People can switch read receipts off, so the truth is higher.' }),
  failed: ({ totals, series }) => ({ value: short(totals.failed), note: share(totals.failed_rate), points: series.map((cell) => cell.failed), filters: { status: 'failed_any' }, tone: totals.failed > 0 ? 'bad' : null }),
  p95: ({ totals, series }) => ({ value: duration(totals.delivery_ms.p95), note: totals.delivery_ms.count ? `half within ${duration(totals.delivery_ms.p50)}` : 'nothing measured yet', points: series.map((cell) => cell.delivery_ms.p95), filters: { status: 'delivered,read' }, title: 'From sent to delivered: 95 of 100 messages took no longer.' }),
};

/** Fills every tile under `root` that is named after a figure of `metrics`. */
export function showTiles(root, metrics, filters) {
  for (const [name, figure] of Object.entries(TILES)) {
    const { filters: own, ...shown } = figure(metrics);
    root.querySelector(`bt-tile[data-tile="${name}"]`)?.show({ ...shown, href: `/messages${query({ ...own, ...filters })}` });
  }
}

function share(rate) {
  return rate === null ? 'of accepted' : `${percent(rate)} of accepted`;
}

/** Senders with their shares as one bar each, and the numbers. */
export function sendersTable(senders, rates, range) {
  const head = [['Sender'], ['Outcome'], ['Accepted', 1], ['Delivered', 1], ['Read', 1], ['Failed', 1], ['p95 delivery', 1], ['Limit', 1]];
  return h('table', { class: 'senders' },
    h('thead', {}, h('tr', {}, head.map(([label, isNumber]) => h('th', { scope: 'col', class: isNumber && 'number' }, label)))),
    h('tbody', {}, senders.map((cell) => h('tr', { 'data-sender': cell.sender },
      h('th', { scope: 'row' }, h('a', { href: sender(cell.sender) + query(range), title: cell.sender }, address(cell.sender))),
      h('td', {}, bar(cell)),
      h('td', { class: 'number' }, count(cell.accepted)),
      h('td', { class: 'number' }, percent(cell.delivered_rate)),
      h('td', { class: 'number' }, percent(cell.read_rate)),
      h('td', { class: 'number', 'data-tone': cell.failed > 0 && 'bad' }, count(cell.failed)),
      h('td', { class: 'number' }, duration(cell.delivery_ms.p95)),
      h('td', { class: 'number fine', title: 'Messages per second bluetick hands to Twilio at most' }, rates.has(cell.sender) ? `${tenth(rates.get(cell.sender))}/s` : '')))));
}

/** One bar of what became of the messages; its numbers are in its label. */
export function bar({ accepted, delivered, read, failed }) {
  const parts = [['read', read], ['delivered', delivered - read], ['failed', failed], ['under way', accepted - delivered - failed]]
    // A message both delivered and failed counts twice; no part is ever less than nothing.
    .map(([name, size]) => [name, Math.max(size, 0)]);
  const label = parts.map(([name, size]) => `${count(size)} ${name}`).join(', ');
  return h('span', { class: 'share', role: 'img', 'aria-label': label, title: label }, parts.map(([name, size]) => {
    const part = h('span', { 'data-part': name });
    part.style.flexGrow = size;
    return part;
  }));
}
