// One sender: its volume, speed, errors and latest messages.

import './bt-chart.js';
import './bt-messages.js';
import './bt-shell.js';
import './bt-tile.js';
import { get, query } from './api.js';
import { problemNotice } from './bt-empty.js';
import { rangeFilters, rangeParams } from './bt-range.js';
import { h, swap, throttle } from './dom.js';
import { topErrors } from './failure.js';
import { showTiles } from './figures.js';
import { address, tenth } from './format.js';
import { pathName } from './inspect.js';
import * as keys from './keys.js';
import { live } from './live.js';
import { pause, strip, watch } from './pauses.js';
import * as url from './url-state.js';

const REFRESH_MS = 3000;
const REDRAW_MS = 10_000;
const from = pathName();
const main = document.querySelector('main');
const list = document.querySelector('bt-messages');
const place = (name) => document.getElementById(name);
let drawnAt = 0;

async function show() {
  const range = rangeParams();
  const filters = { from, ...rangeFilters(range) };
  try {
    const metrics = await get(`/metrics/senders/${encodeURIComponent(from)}${query(range)}`);
    if (query(range) !== query(rangeParams())) return;
    swap(place('problem'));
    swap(place('rate'), pace(metrics));
    showTiles(main, metrics, filters);
    swap(place('errors'), topErrors(metrics.errors, filters));
    place('csv').href = `/admin/api/metrics/senders/${encodeURIComponent(from)}${query({ ...range, format: 'csv' })}`;
    if (Date.now() - drawnAt < REDRAW_MS) return;
    drawnAt = Date.now();
    for (const chart of main.querySelectorAll('bt-chart')) chart.show({ params: { from: range.from, to: range.to, sender: from }, series: metrics.series, bucket: metrics.bucket });
  } catch (problem) {
    swap(place('problem'), problemNotice(problem, show));
  }
}

function pace({ rate_per_s: rate, pace: slowed }) {
  if (rate === null) return null;
  const words = h('span', {}, `at most ${tenth(rate)} messages per second`);
  // Where the server tells that WhatsApp found this sender too fast: the part of its rate that it has now.
  return slowed < 1 ? [words, h('span', { class: 'flag', title: 'WhatsApp found this sender too fast; its pace comes back by itself within a minute of calm' }, `slowed to ${Math.round(slowed * 100)}%`)] : words;
}

/** Its own pause is here; one of everything is on every page. */
function showPauses(pauses) {
  const own = pauses.filter(({ scope }) => scope === `sender:${from}`);
  swap(place('paused'), own.map(strip));
  place('pause').hidden = own.length > 0;
}

function start(params = url.read()) {
  drawnAt = 0;
  show();
  list.show({ from }, params.cursor ?? null);
}

place('pause').addEventListener('click', () => pause(`sender:${from}`, {
  title: `Pause ${address(from)}?`,
  text: 'Nothing more is sent from it until someone resumes it. Messages wait; other senders go on.',
}));
watch(showPauses);
document.title = `${address(from)} · bluetick`;
place('who').textContent = address(from);
const refreshSoon = throttle(REFRESH_MS, () => document.hidden || show());
live.addEventListener('event', ({ detail }) => detail.sender === from && refreshSoon());
live.addEventListener('resync', refreshSoon);
main.addEventListener('zoom', ({ detail }) => url.go({ ...url.read(), ...detail }));
keys.bind('Escape', 'Clear the selection, or back', () => list.clear() || history.back());
url.watch(start);
start();
