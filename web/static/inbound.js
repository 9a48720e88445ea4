// What people wrote to us, latest first.

import './bt-empty.js';
import './bt-shell.js';
import './bt-time.js';
import { get, query } from './api.js';
import { problemNotice } from './bt-empty.js';
import { h, swap, throttle } from './dom.js';
import { address, plural } from './format.js';
import { contact, sender } from './inspect.js';
import { live } from './live.js';
import * as url from './url-state.js';

const LIMIT = 50;
const REFRESH_MS = 1500;
const rows = document.getElementById('rows');
const pager = document.getElementById('pager');
const note = document.getElementById('note');

async function show() {
  const { cursor } = url.read();
  try {
    const { data, next_cursor: next } = await get(`/inbound${query({ limit: LIMIT, cursor })}`);
    swap(note, data.some(({ source }) => source === 'poll') && h('p', { class: 'fine' }, h('span', { class: 'tag' }, 'found by asking'), ' no callback told of it, so bluetick asked Twilio. The text and the time are Twilio’s; button payloads, places and the person’s name cannot be had that way.'));
    swap(rows, data.length ? h('div', { class: 'scroll' }, table(data)) : nothing(cursor));
    swap(pager, [
      cursor && h('a', { class: 'button', href: url.href({}), 'data-soft': true }, '⇤ Newest'),
      next && h('a', { class: 'button', href: url.href({ cursor: next }), 'data-soft': true }, 'Older →'),
    ]);
  } catch (problem) {
    swap(rows, problemNotice(problem, show));
  }
}

function nothing(cursor) {
  const empty = h('bt-empty');
  if (cursor) empty.noMatch('Nothing older', 'These were all.', h('a', { class: 'button', href: url.href({}), 'data-soft': true }, 'Newest'));
  else empty.nothingYet('Nobody has written yet', 'When a person writes to one of your senders, the message appears here and opens a window of 24 hours for free-form answers. Point the sender’s inbound webhook at /webhooks/twilio/inbound under your public URL; what no webhook brings is found by asking Twilio, with a delay.');
  return empty;
}

function table(data) {
  return h('table', { class: 'inbound' },
    h('thead', {}, h('tr', {}, ['From', 'Message', 'To', 'Received'].map((label) => h('th', { scope: 'col', class: label.toLowerCase() }, label)))),
    h('tbody', {}, data.map((inbound) => h('tr', { 'data-sid': inbound.sid },
      h('td', { class: 'from' }, h('a', { href: contact(inbound.from), title: inbound.from }, address(inbound.from)), inbound.profile_name && h('span', { class: 'fine' }, ` ${inbound.profile_name}`)),
      h('td', { class: 'message' }, inbound.source === 'poll' && h('span', { class: 'tag', 'data-source': 'poll', title: 'No callback told of it: bluetick asked Twilio. What only callbacks tell is lost: the button’s payload, a place, the person’s name.' }, 'found by asking'), inbound.button_text && h('span', { class: 'tag', title: 'The button they pressed' }, inbound.button_text), inbound.body, inbound.num_media > 0 && h('span', { class: 'fine' }, ` ${plural(inbound.num_media, 'media file')}`)),
      h('td', { class: 'to' }, h('a', { href: sender(inbound.to), title: inbound.to }, address(inbound.to))),
      h('td', { class: 'received' }, h('bt-time', { datetime: inbound.received_at }))))));
}

const refreshSoon = throttle(REFRESH_MS, () => document.hidden || show());
live.addEventListener('event', ({ detail }) => detail.type === 'inbound.received' && !url.read().cursor && refreshSoon());
live.addEventListener('resync', refreshSoon);
url.watch(show);
show();
