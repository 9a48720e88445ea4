// One contact: what reached this person, how fast, whether a free-form message may be sent now, and the latest messages.

import './bt-messages.js';
import './bt-shell.js';
import './bt-time.js';
import { get, remove } from './api.js';
import { problemNotice } from './bt-empty.js';
import { bar } from './figures.js';
import { h, swap, throttle } from './dom.js';
import { ask, line } from './dialog.js';
import { address, count, duration, plural } from './format.js';
import { icon } from './icons.js';
import { pathName, sender } from './inspect.js';
import * as keys from './keys.js';
import { live } from './live.js';
import { add, entries } from './opt-out.js';
import { proven } from './step-up.js';
import { toast } from './toast.js';
import * as url from './url-state.js';

const REFRESH_MS = 1000;
const who = pathName();
const list = document.querySelector('bt-messages');
const place = (name) => document.getElementById(name);

let isErased = false;

async function show() {
  if (isErased) return;
  try {
    const [person, senders] = await Promise.all([get(`/contacts/${encodeURIComponent(who)}/metrics`), get('/senders')]);
    swap(place('problem'));
    swap(place('figures'), figures(person));
    swap(place('windows'), windows(person, senders.data));
    swap(place('opt-outs'), optOuts(person));
    swap(place('data'), data(person));
    const others = person.aliases.filter((alias) => alias !== who);
    swap(place('aliases'), others.length > 0 && h('span', {}, 'also ', others.map((alias) => h('code', {}, address(alias)))));
  } catch (problem) {
    swap(place('problem'), problemNotice(problem, show));
  }
}

function figures(person) {
  const { delivery_ms: delivery } = person;
  const rows = [
    ['accepted', 'Accepted', count(person.accepted)], ['delivered', 'Delivered', count(person.delivered)], ['read', 'Read', count(person.read)],
    ['failed', 'Failed', count(person.failed)], ['inbound', 'From them', count(person.inbound)],
    ['delivery', 'Usual delivery', delivery.count ? duration(delivery.p50) : '–', delivery.count ? `95 of 100 within ${duration(delivery.p95)}` : null],
    ['last', 'Last message', person.last_message_at && h('bt-time', { datetime: person.last_message_at })],
    ['heard', 'Last heard of', person.last_inbound_at ? h('bt-time', { datetime: person.last_inbound_at }) : 'never'],
  ];
  return [
    h('dl', { class: 'strip' }, rows.map(([name, label, value, title]) => h('div', { 'data-figure': name, title }, h('dt', {}, label), h('dd', {}, value ?? '–')))),
    bar(person),
  ];
}

/** One line for each sender: a window is between one person and one sender. */
function windows({ windows: known }, senders) {
  const never = senders.map(({ sender: name }) => name).filter((name) => !known.some((window) => window.sender === name));
  const silent = never.map((name) => h('li', { 'data-open': 'false' }, h('a', { href: sender(name) }, address(name)), h('span', {}, 'never wrote to it: templates only')));
  if (!known.length && !silent.length) return h('p', { class: 'calm' }, 'This person has not written yet, so only approved templates can be sent.');
  return h('ul', { class: 'windows' }, known.map(({ sender: from, open, closes_at: closes }) => h('li', { 'data-open': String(open) },
    h('a', { href: sender(from) }, address(from)),
    open ? h('span', {}, 'free-form messages until ', h('bt-time', { datetime: closes, mode: 'clock' }), ' (', h('bt-time', { datetime: closes, mode: 'until' }), ')') : h('span', {}, 'closed since ', h('bt-time', { datetime: closes, mode: 'both' }), ': templates only'))), silent);
}

function optOuts({ opt_outs: wishes = [] }) {
  return [
    wishes.length ? h('ul', { class: 'opt-outs' }, entries(wishes, show).map((parts) => h('li', {}, parts))) : h('p', { class: 'calm' }, 'None: this person gets whatever is sent.'),
    h('p', { class: 'actions' }, h('button', { type: 'button', class: 'button', 'data-verb': 'opt-out', onclick: () => add(who, show) }, icon('ban'), 'Add an opt-out…')),
  ];
}

function data(person) {
  return h('p', { class: 'actions' },
    h('button', { type: 'button', class: 'button', onclick: save }, 'Export as a file'),
    h('button', { type: 'button', class: 'button danger', 'data-verb': 'erase', onclick: () => erase(person) }, 'Erase this person…'));
}

/** The file comes as a download, which cannot ask who is there: so that is asked before. */
async function save() {
  try {
    if (await proven()) location.assign(`/admin/api/contacts/${encodeURIComponent(who)}/export`);
  } catch (problem) {
    toast(problem.message);
  }
}

/** Asks twice what cannot be undone: once in words, once by typing. */
async function erase(person) {
  const answer = await ask({
    title: `Erase ${address(who)}?`,
    text: `${plural(person.accepted, 'message')} to them and ${plural(person.inbound, 'message')} from them go for good, with their names and opt-outs. The numbers of senders stay. Nobody can take this back; export their data first if they asked for it.`,
    yes: 'Erase for good', no: 'Leave them', danger: true,
    fields: [line(`Type ${address(who)} to confirm`, { name: 'typed', required: true })],
  });
  if (!answer) return;
  if (answer.typed.trim() !== address(who)) return toast('Not erased: what was typed is not this person');
  try {
    const { rewritten_at: rewritten, backups_until: backups } = await remove(`/contacts/${encodeURIComponent(who)}`);
    swap(place('problem'), h('section', { class: 'card standing', 'data-tone': 'wait', role: 'status' },
      h('h2', {}, icon('tick'), 'This person is erased'),
      h('p', {}, 'The archive and the events lose them now. ', rewritten ? ['Free pages of the data file may hold their bytes until it is written anew, ', h('bt-time', { datetime: rewritten, mode: 'until' }), '. '] : 'The data file is written anew when somebody asks for it (Upkeep). ', backups && ['The last backup that has them goes ', h('bt-time', { datetime: backups, mode: 'until' }), '.'])));
    isErased = true;
    swap(place('aliases'));
    document.querySelectorAll('main > :not(.page-head, #problem)').forEach((part) => part.remove());
  } catch (problem) {
    toast(problem.message);
  }
}

document.title = `${address(who)} · bluetick`;
place('who').textContent = address(who);
const refreshSoon = throttle(REFRESH_MS, show);
live.addEventListener('event', ({ detail }) => detail.contact === who && refreshSoon());
live.addEventListener('resync', refreshSoon);
keys.bind('Escape', 'Clear the selection, or back', () => list.clear() || history.back());
const showList = (params = url.read()) => list.show({ to: who }, params.cursor ?? null);
url.watch(showList);
show();
showList();
