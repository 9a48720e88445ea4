// Everyone who does not want something, and how we know.

import './bt-empty.js';
import './bt-shell.js';
import { get, query } from './api.js';
import { problemNotice } from './bt-empty.js';
import { h, swap, throttle } from './dom.js';
import { address } from './format.js';
import { contact } from './inspect.js';
import { live } from './live.js';
import { add, entries } from './opt-out.js';
import * as url from './url-state.js';

const LIMIT = 50;
const REFRESH_MS = 1500;
const rows = document.getElementById('rows');
const pager = document.getElementById('pager');

async function show() {
  const { cursor } = url.read();
  try {
    const { opt_outs: wishes, next_cursor: next } = await get(`/opt-outs${query({ limit: LIMIT, cursor })}`);
    swap(rows, wishes.length ? h('div', { class: 'scroll' }, table(wishes)) : nothing(cursor));
    swap(pager, [
      cursor && h('a', { class: 'button', href: url.href({}), 'data-soft': true }, '⇤ First'),
      next && h('a', { class: 'button', href: url.href({ cursor: next }), 'data-soft': true, rel: 'next' }, 'More →'),
    ]);
  } catch (problem) {
    swap(rows, problemNotice(problem, show));
  }
}

function nothing(cursor) {
  const empty = h('bt-empty');
  if (cursor) empty.noMatch('No more', 'These were all.', h('a', { class: 'button', href: url.href({}), 'data-soft': true }, 'First'));
  else empty.nothingYet('Nobody opted out', 'A person appears here when they write STOP, when Twilio fails a message because they opted out, or when someone enters it. What they do not want is not sent to them any more.');
  return empty;
}

function table(wishes) {
  return h('table', { class: 'opt-outs' },
    h('thead', {}, h('tr', {}, [['Person', 'person'], ['Does not want', 'scope'], ['How we know', 'why'], ['Since', 'since'], ['Remove', 'act']].map(([label, name]) => h('th', { scope: 'col', class: name }, name === 'act' ? h('span', { class: 'sr-only' }, label) : label)))),
    h('tbody', {}, entries(wishes, show).map(([scope, why, since, act], index) => h('tr', { 'data-contact': wishes[index].contact, 'data-scope': wishes[index].scope },
      h('td', { class: 'person' }, h('a', { href: contact(wishes[index].contact), title: wishes[index].aliases.join(', ') }, address(wishes[index].contact))),
      h('td', { class: 'scope' }, scope), h('td', { class: 'why' }, why), h('td', { class: 'since' }, since), h('td', { class: 'act' }, act)))));
}

const refreshSoon = throttle(REFRESH_MS, () => document.hidden || show());
document.getElementById('add').addEventListener('click', () => add(null, show));
live.addEventListener('event', ({ detail }) => ['contact.opted_out', 'contact.opted_in'].includes(detail.type) && refreshSoon());
live.addEventListener('resync', refreshSoon);
url.watch(show);
show();
