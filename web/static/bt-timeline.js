// <bt-timeline>: the journal of a message as a story, oldest first: what, when, and who said so.

import './bt-status.js';
import { prose } from './bt-time.js';
import { h, swap } from './dom.js';
import { count, duration, plural } from './format.js';
import { icon } from './icons.js';
import { fact, isTimed, sentence, SOURCES, upcoming } from './words.js';

class BtTimeline extends HTMLElement {
  /** `rows` and `dropped` of the journal, and the message, for what comes next, if anything. */
  show({ rows, dropped, message }) {
    const items = rows.map((row, index) => line(row, index > 0 ? Date.parse(row.at) - Date.parse(rows[index - 1].at) : null));
    if (dropped > 0) items.push(h('li', { class: 'fine' }, h('p', {}, `${plural(dropped, 'further fact')} counted, but not kept in words.`)));
    if (message.next) items.push(next(message));
    swap(this, h('ol', {}, items));
  }
}

function line(row, gap) {
  const look = fact(row);
  const [source, sourceMeaning] = SOURCES[row.source] ?? [sentence(row.source), ''];
  return h('li', { 'data-fact': row.fact, 'data-source': row.source, 'data-tone': look.tone },
    h('span', { class: 'pin' }, icon(look.picture)),
    h('div', {},
      h('p', { class: 'what' },
        h('strong', {}, look.word),
        row.code && h('a', { class: 'code', href: `/messages?code=${row.code}`, title: 'Messages with this error' }, row.code),
        row.attempt > 1 && h('span', { class: 'fine' }, `attempt ${row.attempt}`),
        h('span', { class: 'source', title: sourceMeaning }, source)),
      row.detail && h('p', {}, prose(row.detail)),
      h('p', { class: 'fine' },
        !isTimed(row) && h('span', { class: 'untimed', title: 'Learned by asking: it happened at this time or before' }, 'at or before'),
        h('bt-time', { datetime: row.at, mode: 'both' }),
        gap !== null && h('span', { title: 'After the line above' }, `+${duration(Math.max(gap, 0))}`),
        row.count > 1 && h('span', {}, `seen ${count(row.count)} times, last `, h('bt-time', { datetime: row.last_at })))));
}

function next(message) {
  const { step, due_at: due } = message.next;
  return h('li', { class: 'next', 'data-step': step, 'data-tone': 'wait' },
    h('span', { class: 'pin' }, icon('clock')),
    h('div', {},
      h('p', { class: 'what' }, h('strong', {}, `Next: ${upcoming(message)}`)),
      h('p', { class: 'fine' }, h('bt-time', { datetime: due, mode: 'until' }), h('bt-time', { datetime: due, mode: 'clock' }))));
}

customElements.define('bt-timeline', BtTimeline);
