// What is done by itself from time to time: how it went, when it is next, a run now; and the archive and the backups it keeps.

import './bt-empty.js';
import './bt-shell.js';
import { get, post } from './api.js';
import { problemNotice } from './bt-empty.js';
import { h, swap } from './dom.js';
import { count, duration, plural, size } from './format.js';
import { icon } from './icons.js';
import { toast } from './toast.js';

const REFRESH_MS = 10_000;
/** While something runs, it is looked at as often as this. */
const BUSY_MS = 700;
/** More files than this are counted, not listed. */
const MAX_FILES = 12;
/** name → [what it does, what to do when it fails] */
const JOBS = {
  archive: 'Moves messages at their end out of the way',
  retention: 'Forgets what is older than it may be kept, and what is left of erased people',
  rewrite: 'Writes the data file anew, so that no old byte stays in it',
  backup: 'Puts everything into one file',
  reminders: 'Says which secrets are due, and rotates bluetick’s own',
};
const place = (name) => document.getElementById(name);
let timer = null;

async function show() {
  clearTimeout(timer);
  let isBusy = false;
  try {
    const [{ data: jobs }, archive, { data: backups }] = await Promise.all([get('/jobs'), get('/archive'), get('/backups')]);
    isBusy = jobs.some(({ wanted_at: wanted }) => wanted);
    swap(place('problem'));
    swap(place('jobs'), scrollable('Jobs', jobsTable(jobs)));
    swap(place('archive'), archiveOf(archive));
    swap(place('backups'), backupsOf(backups));
  } catch (problem) {
    swap(place('problem'), problemNotice(problem, show));
  }
  timer = setTimeout(() => (document.hidden ? show.later() : show()), isBusy ? BUSY_MS : REFRESH_MS);
}

/** Whoever does not look is not told anything new; a look back is. */
show.later = () => document.addEventListener('visibilitychange', show, { once: true });

/** Reached by key, too, where it is wider than the page. */
function scrollable(label, content) {
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': label }, content);
}

function table(heads, rows) {
  return h('table', { class: 'upkeep' },
    h('thead', {}, h('tr', {}, heads.map(([label, name]) => h('th', { scope: 'col', class: name }, name === 'act' ? h('span', { class: 'sr-only' }, label) : label)))),
    h('tbody', {}, rows));
}

function jobsTable(jobs) {
  return table([['Job', 'name'], ['Last run', 'last'], ['Took', 'num'], ['Next', 'next'], ['Run it', 'act']], jobs.map((job) => h('tr', { 'data-job': job.name },
    h('td', { class: 'name' }, h('strong', {}, job.name), h('p', { class: 'fine' }, JOBS[job.name] ?? '')),
    h('td', { class: 'last' }, last(job)),
    h('td', { class: 'num' }, duration(job.last?.took_ms)),
    h('td', { class: 'next' }, job.next_at ? [h('bt-time', { datetime: job.next_at }), h('p', { class: 'fine schedule' }, h('code', {}, job.schedule), ' UTC')] : h('span', { class: 'fine' }, 'only when asked')),
    h('td', { class: 'act' }, h('button', { type: 'button', class: 'button', 'data-run': job.name, disabled: Boolean(job.wanted_at), onclick: () => run(job.name) }, job.wanted_at ? 'Running…' : 'Run now')))));
}

function last({ last: run }) {
  if (!run) return h('span', { class: 'fine' }, 'never');
  const { at, done, error } = run;
  return [
    h('span', { class: 'outcome', 'data-tone': error ? 'bad' : 'good' }, icon(error ? 'warn' : 'tick'), error ? 'Failed' : 'Done', ' ', h('bt-time', { datetime: at })),
    h('p', { class: 'fine' }, error ?? done),
  ];
}

async function run(name) {
  try {
    await post(`/jobs/${name}/runs`);
    toast(`${name}: it runs as soon as nothing else does`);
  } catch (problem) {
    toast(problem.message);
  }
  show();
}

function archiveOf({ folder, messages, due, segments }) {
  const next = due.messages ? `The next run moves ${plural(due.messages, 'message')} that nothing changed for ${plural(due.older_than_days, 'day')}.` : `Messages move when nothing has changed them for ${plural(due.older_than_days, 'day')}: none has been left alone for so long.`;
  const intro = h('p', { class: 'intro' }, h('strong', {}, plural(messages, 'message')), ' in ', h('code', {}, folder), '. ', next);
  if (!segments.length) return [intro];
  const rows = segments.slice(-MAX_FILES).reverse().map((segment) => h('tr', { 'data-segment': segment.number },
    h('td', { class: 'name' }, h('strong', {}, segment.number), segment.outdated && h('span', { class: 'tag' }, 'has old lines'), !segment.readable && h('span', { class: 'tag', 'data-tone': 'bad' }, 'cannot be read')),
    h('td', { class: 'num' }, count(segment.messages)),
    h('td', {}, segment.first_at && h('bt-time', { datetime: segment.first_at, mode: 'clock' })),
    h('td', {}, segment.last_at && h('bt-time', { datetime: segment.last_at, mode: 'clock' })),
    h('td', { class: 'num' }, size(segment.bytes))));
  return [intro, scrollable('Segments', table([['Segment', 'name'], ['Messages', 'num'], ['First accepted', ''], ['Last accepted', ''], ['Size', 'num']], rows)), more(segments.length, 'segment')];
}

function backupsOf(backups) {
  if (!backups.length) return [h('p', { class: 'intro' }, 'None yet. A copy on another machine is what survives a fire.')];
  const rows = backups.slice(0, MAX_FILES).map((backup) => h('tr', {},
    h('td', { class: 'name' }, h('bt-time', { datetime: backup.taken_at, mode: 'both' })),
    h('td', { class: 'num' }, count(backup.messages)), h('td', { class: 'num' }, count(backup.archived)), h('td', { class: 'num' }, count(backup.inbound)),
    h('td', { class: 'num' }, size(backup.bytes)), h('td', { class: 'file' }, h('code', { title: backup.file }, backup.file.split('/').pop()))));
  return [scrollable('Backups', table([['Taken', 'name'], ['Messages', 'num'], ['Archived', 'num'], ['Inbound', 'num'], ['Size', 'num'], ['File', 'file']], rows)), more(backups.length, 'backup')];
}

function more(all, what) {
  return all > MAX_FILES && h('p', { class: 'intro fine' }, `and ${plural(all - MAX_FILES, `older ${what}`)}`);
}

show();
