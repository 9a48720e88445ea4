// The overview: is all well, how much, how fast, what failed and why, and who needs to do something.

import './bt-chart.js';
import './bt-shell.js';
import './bt-tile.js';
import { get, query } from './api.js';
import { problemNotice } from './bt-empty.js';
import { rangeFilters, rangeParams } from './bt-range.js';
import { h, swap, throttle } from './dom.js';
import { topErrors } from './failure.js';
import { sendersTable, showTiles } from './figures.js';
import { ago, count, plural, short } from './format.js';
import { icon } from './icons.js';
import { live } from './live.js';
import { pause, watch } from './pauses.js';
import * as url from './url-state.js';

const REFRESH_MS = 3000;
/** Drawing is dearer than counting. */
const REDRAW_MS = 10_000;
/** Work that is due this long and not done is a sign that something is stuck. */
const LATE_MS = 60_000;

const main = document.querySelector('main');
const place = (name) => document.getElementById(name);
let reasons = [];
let status = null;
let paused = [];
let drawnAt = 0;
let drawnFor = null;

async function show() {
  const range = rangeParams();
  try {
    const [metrics, now, senders] = await Promise.all([get(`/metrics${query(range)}`), get('/status'), get('/senders')]);
    if (query(range) !== query(rangeParams())) return;
    status = now;
    swap(place('problem'));
    showTiles(main, metrics, rangeFilters(range));
    showQueue(now.queue);
    swap(place('care'), care(metrics.totals, now.queue));
    swap(place('asking'), now.public_url === null && asking());
    draw(range, metrics);
    swap(place('errors'), topErrors(metrics.errors, rangeFilters(range)));
    showSenders(metrics.senders, senders.data, range);
    place('csv').href = `/admin/api/metrics${query({ ...range, format: 'csv' })}`;
    showAttention();
  } catch (problem) {
    swap(place('problem'), problemNotice(problem, show));
  }
}

function draw(range, { series, bucket }) {
  const asked = query(range);
  if (asked === drawnFor && Date.now() - drawnAt < REDRAW_MS) return;
  drawnAt = Date.now();
  drawnFor = asked;
  const { from, to } = range;
  for (const chart of main.querySelectorAll('bt-chart')) chart.show({ params: { from, to }, series, bucket });
}

function waiting(pending, inFlight, oldest) {
  if (oldest) return `oldest due ${ago(oldest)}`;
  if (inFlight) return 'on the way to Twilio';
  if (pending) return paused.length ? 'waiting for a pause to end' : 'waiting for their time';
  return 'nothing is waiting';
}

function showQueue({ pending, in_flight: inFlight, unknown, oldest_due_at: oldest }) {
  const late = oldest !== null && Date.now() - Date.parse(oldest) > LATE_MS;
  tile('queue').show({
    value: short(pending + inFlight), note: waiting(pending, inFlight, oldest), href: '/messages?status=open', tone: late ? 'warn' : null,
  });
  tile('unknown').show({
    value: short(unknown), note: unknown ? 'being looked for at Twilio' : 'all outcomes known', href: '/messages?status=unknown', tone: unknown ? 'warn' : null,
    title: 'Sends whose answer never came. They are looked for at Twilio, and sent again, once, only if it provably has no trace of them.',
  });
}

/** figure → [label, what it means, where its messages are]; a figure of the range, but for what waits now. */
const CARE = [
  ['held', 'Held now', 'They wait for a person, a reply, or the end of a pause.', '/messages?status=held', 'warn'],
  ['duplicates', 'Sent twice', 'Messages that a person may have got twice.', '/messages?status=attention', 'bad'],
  ['retried', 'Retried', 'Attempts that followed one which failed.', null, null],
  ['resent', 'Resent', 'Attempts that followed one which Twilio provably had no trace of.', null, null],
  ['fallbacks', 'Fallbacks', 'Attempts with the fallback template, because the person’s window was closed.', null, null],
  ['suppressed', 'Suppressed', 'Not sent, because the person opted out.', '/messages?status=suppressed', null],
  ['missed', 'Missed callbacks', 'What no callback told, and asking Twilio found.', null, null],
  ['healed', 'Healed by asking', 'Messages whose end was found by asking, and replies that were.', null, null],
];

/** What bluetick did so that nothing is lost and nothing goes twice. */
function care(totals, queue) {
  const now = { held: queue.held };
  const known = CARE.map(([name, ...words]) => [name, now[name] ?? totals[name] ?? totals[name.replace(/s$/, '')], ...words]).filter(([, number]) => number !== undefined);
  return h('dl', { class: 'strip' }, known.map(([name, number, label, title, href, tone]) => h('div', { 'data-figure': name, 'data-tone': number > 0 && tone, title },
    h('dt', {}, label), h('dd', {}, href && number > 0 ? h('a', { href }, count(number)) : count(number)))));
}

/** Without a public URL nothing calls back: say what is done instead. */
function asking() {
  return h('p', { class: 'notice-line', 'data-notice': 'asking' }, icon('question'), h('span', {},
    h('strong', {}, 'No public URL, so no callbacks: everything works by asking Twilio. '),
    'By default each message is asked for 15 s after it was sent, then less and less often, every 10 minutes at last (policy.poll_after_ms, policy.reconcile_after_ms), and so is what people wrote. Statuses and replies come that much later, and their times say “at or before”.'));
}

function tile(name) {
  return main.querySelector(`bt-tile[data-tile="${name}"]`);
}

function showSenders(cells, known, range) {
  const rates = new Map(known.map(({ sender, rate_per_s: rate }) => [sender, rate]));
  if (cells.length) swap(place('senders'), h('div', { class: 'scroll' }, sendersTable(cells, rates, { from: range.from === '24h' ? null : range.from, to: range.to })));
  else {
    const empty = h('bt-empty');
    empty.nothingYet('No messages in this time', 'Once your app sends through bluetick, each of its senders gets a row here. Send the first message:', { curl: true });
    swap(place('senders'), empty);
  }
}

/** Alerts whose answer is on that page. */
const ON_TRUST = ['callbacks_refused', 'secret_due', 'rotation_stopped', 'no_auth_token', 'auth_token_not_let_in', 'api_key_not_let_in'];

function showAttention() {
  if (!status) return;
  const { queue, sending, refused_callbacks: refused } = status;
  const lines = reasons.map(({ code, detail, action }) => [code, 'bad', ON_TRUST.includes(code) ? h('a', { href: '/trust' }, detail) : detail, action]);
  if (sending.state === 'stopped' && !reasons.length && !paused.length) lines.push(['sending_stopped', 'bad', 'Sending is stopped', sending.reason]);
  if (queue.oldest_due_at && Date.now() - Date.parse(queue.oldest_due_at) > LATE_MS && sending.state === 'running') {
    lines.push(['queue_late', 'warn', h('a', { href: '/messages?status=open' }, 'Work is late'), `The oldest was due ${ago(queue.oldest_due_at)}. A slow sender is the usual cause.`]);
  }
  if (queue.unknown > 0) lines.push(['unknown', 'warn', h('a', { href: '/messages?status=unknown' }, plural(queue.unknown, 'message'), ' with an unknown outcome'), 'Their answer was lost. A callback can tell, else Twilio is looked through within minutes; they are sent again, once, only if it provably has no trace of them.']);
  if (queue.held > 0) lines.push(['held', 'wait', h('a', { href: '/messages?status=held' }, plural(queue.held, 'message'), ' held'), 'They wait for someone to release them, for the person to write, or for the end of a pause; each says which.']);
  if (refused > 0 && !reasons.some(({ code }) => code === 'callbacks_refused')) {
    lines.push(['refused_callbacks', 'warn', h('a', { href: '/trust' }, `${plural(refused, 'callback')} refused since the start`), 'For their signature, mostly: what is kept of them says why.']);
  }
  swap(place('attention'), lines.length
    ? h('ul', { class: 'attention' }, lines.map(([code, tone, what, action]) => h('li', { 'data-code': code, 'data-tone': tone }, h('strong', {}, what), h('span', {}, action))))
    : h('p', { class: 'calm' }, 'Nothing needs you. What failed is under Top errors.'));
}

const refreshSoon = throttle(REFRESH_MS, () => document.hidden || show());

/** The big switch; when it is off already, the strip above says so and has the way back. */
function showSwitch(pauses) {
  paused = pauses;
  place('pause').hidden = pauses.some(({ scope }) => scope === 'all');
}

place('pause').addEventListener('click', () => pause('all', {
  title: 'Pause all sending?',
  text: 'Nothing more is handed to Twilio until someone resumes. Messages are still taken in and wait; receipts and replies still come. What Twilio has already goes on.',
}));
watch(showSwitch);

document.addEventListener('bt-ready', ({ detail }) => {
  reasons = detail.reasons;
  showAttention();
});
main.addEventListener('zoom', ({ detail }) => url.go({ ...url.read(), ...detail }));
url.watch(show);
live.addEventListener('event', refreshSoon);
live.addEventListener('resync', refreshSoon);
show();
