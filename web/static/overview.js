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
import { ago, plural, short } from './format.js';
import { live } from './live.js';
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

function showQueue({ pending, in_flight: inFlight, unknown, oldest_due_at: oldest }) {
  const late = oldest !== null && Date.now() - Date.parse(oldest) > LATE_MS;
  tile('queue').show({
    value: short(pending + inFlight), note: oldest ? `oldest due ${ago(oldest)}` : inFlight ? 'on the way to Twilio' : 'nothing is waiting', href: '/messages?status=open', tone: late ? 'warn' : null,
  });
  tile('unknown').show({
    value: short(unknown), note: unknown ? 'until a callback tells' : 'all outcomes known', href: '/messages?status=unknown', tone: unknown ? 'warn' : null,
    title: 'Sends whose answer never came. They are never sent again blindly.',
  });
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

function showAttention() {
  if (!status) return;
  const { queue, sending, refused_callbacks: refused } = status;
  const lines = reasons.map(({ code, detail, action }) => [code, 'bad', detail, action]);
  if (sending.state !== 'running' && !reasons.length) lines.push(['sending_stopped', 'bad', 'Sending is stopped', sending.reason]);
  if (queue.oldest_due_at && Date.now() - Date.parse(queue.oldest_due_at) > LATE_MS && sending.state === 'running') {
    lines.push(['queue_late', 'warn', h('a', { href: '/messages?status=open' }, 'Work is late'), `The oldest was due ${ago(queue.oldest_due_at)}. A slow sender or a paused lane is the usual cause.`]);
  }
  if (queue.unknown > 0) lines.push(['unknown', 'warn', h('a', { href: '/messages?status=unknown' }, plural(queue.unknown, 'message'), ' with an unknown outcome'), 'Their answer never came. They are not sent again; a callback settles them.']);
  if (queue.held > 0) lines.push(['held', 'wait', h('a', { href: '/messages?status=held' }, plural(queue.held, 'message'), ' held'), 'They wait until someone releases them.']);
  if (refused > 0) lines.push(['refused_callbacks', 'warn', `${plural(refused, 'callback')} refused since the start`, 'Their signature did not match. Compare public_url with the URL Twilio calls, and the auth token.']);
  swap(place('attention'), lines.length
    ? h('ul', { class: 'attention' }, lines.map(([code, tone, what, action]) => h('li', { 'data-code': code, 'data-tone': tone }, h('strong', {}, what), h('span', {}, action))))
    : h('p', { class: 'calm' }, 'Nothing stops bluetick. What failed is under Top errors.'));
}

const refreshSoon = throttle(REFRESH_MS, () => document.hidden || show());

document.addEventListener('bt-ready', ({ detail }) => {
  reasons = detail.reasons;
  showAttention();
});
main.addEventListener('zoom', ({ detail }) => url.go({ ...url.read(), ...detail }));
url.watch(show);
live.addEventListener('event', refreshSoon);
live.addEventListener('resync', refreshSoon);
show();
