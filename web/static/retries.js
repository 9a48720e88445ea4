// "Retry all matching": first a table of what would be sent again and what never, by code; then the person decides.

import { LONG_MS, post } from './api.js';
import { open } from './dialog.js';
import { h } from './dom.js';
import { text } from './filters.js';
import { count, plural } from './format.js';
import { icon } from './icons.js';
import { NEVER, sentence } from './words.js';
import { VERBS } from './steer.js';

const RETRYABLE = VERBS.retry[2];
/** Words of the list's filter that stand for several statuses. */
const GROUPS = { failed_any: ['failed', 'undelivered', 'refused', 'expired'], attention: RETRYABLE };
/** What a retry can be narrowed to; a reference is one message or a few, and for those there are checkboxes. */
const NARROWED_BY = ['code', 'from', 'to', 'tag', 'since', 'until'];

/** The filter of a retry, out of the list's; `{ filter }`, or `{ why }` there can be none. */
export function retryFilter(filters) {
  if (filters.reference) return { why: 'A filter by reference matches few: select them instead.' };
  const asked = filters.status ? filters.status.split(',').flatMap((status) => GROUPS[status] ?? [status]) : RETRYABLE;
  const status = RETRYABLE.filter((each) => asked.includes(each));
  if (!status.length) return { why: `Nothing that is ${filters.status.replaceAll(',', ' or ')} can be sent again.` };
  const filter = { status };
  for (const name of NARROWED_BY) {
    if (filters[name]) filter[name] = name === 'code' ? [Number(filters.code)] : filters[name];
  }
  return { filter };
}

/** Opens the dialog; `done` is called when something was sent again. */
export function retryMatching(filters, done) {
  const { filter, why } = retryFilter(filters);
  const body = h('div', { class: 'retries', 'aria-live': 'polite' });
  const stop = new AbortController();
  const dialog = open('Retry all matching', [
    h('p', { class: 'fine' }, 'Of the messages that failed', text(filters) ? [' and match ', h('code', {}, text(filters))] : '', ', newest first.'), body,
  ], { class: 'broad' });
  dialog.addEventListener('close', () => stop.abort());
  const close = h('button', { type: 'button', class: 'button', onclick: () => dialog.close() }, 'Close');
  const state = { mayDuplicate: false, cursor: null };
  const call = (dryRun) => post('/retries', { filter, dry_run: dryRun, may_duplicate: state.mayDuplicate, ...(state.cursor && { cursor: state.cursor }) }, { patience: LONG_MS, signal: stop.signal });
  const wait = (words) => {
    body.replaceChildren(h('p', { class: 'calm', 'aria-busy': 'true' }, words), h('p', { class: 'actions' }, close));
    close.focus();
  };
  const fail = (problem) => {
    if (problem.name === 'AbortError') return;
    body.replaceChildren(h('p', { class: 'refusal', role: 'alert' }, icon('warn'), h('span', {}, problem.message)),
      h('p', { class: 'actions' }, h('button', { type: 'button', class: 'button', onclick: look }, 'Look again'), close));
  };

  async function look() {
    wait('Looking at every message that matches. Nothing is sent yet.');
    try {
      const found = await call(true);
      const offersDuplicates = state.mayDuplicate || found.by_code.some(({ reasons }) => reasons.may_duplicate > 0);
      const risk = h('input', { type: 'checkbox', checked: state.mayDuplicate });
      risk.addEventListener('change', () => {
        state.mayDuplicate = risk.checked;
        look();
      });
      const go = h('button', { type: 'button', class: 'button primary', disabled: found.retried === 0, 'data-verb': 'retry-all', onclick: run }, found.retried ? `Send ${plural(found.retried, 'message')} again` : 'Nothing to send again');
      body.replaceChildren(verdict(found), table(found),
        offersDuplicates ? h('label', { class: 'inline' }, risk, 'Also those that may have arrived all the same: the person may get them twice') : '',
        h('p', { class: 'actions' }, go, close));
      if (found.retried) go.focus();
      else close.focus();
    } catch (problem) {
      fail(problem);
    }
  }

  async function run() {
    wait('Sending them again. They go at the usual pace; this only puts them in the queue.');
    try {
      const found = await call(false);
      body.replaceChildren(h('p', { class: 'done', 'data-result': found.retried }, icon('tick'), `${plural(found.retried, 'message is', 'messages are')} being sent again.${found.never ? ` ${plural(found.never, 'other was', 'others were')} left as they are.` : ''}`),
        table(found), h('p', { class: 'actions' }, found.more && found.next_cursor && h('button', { type: 'button', class: 'button', onclick: () => goOn(found) }, 'Look at the older ones'), close));
      close.focus();
      done();
    } catch (problem) {
      fail(problem);
    }
  }

  /** One request looks at ten thousand at most; the next one goes on where it ended. */
  function goOn(found) {
    state.cursor = found.next_cursor;
    look();
  }

  if (filter) look();
  else {
    body.replaceChildren(h('p', {}, why), h('p', { class: 'actions' }, close));
    close.focus();
  }
}

function verdict(found) {
  if (!found.matched) return h('p', {}, 'No message that failed matches.');
  return h('p', {}, `${plural(found.matched, 'message matches', 'messages match')}: `, h('strong', {}, `${count(found.retried)} will be sent again`), `, ${count(found.never)} never.`, more(found));
}

function more(found) {
  return found.more ? h('span', { class: 'fine' }, ' There are older ones: they come after these.') : '';
}

function table({ by_code: codes, retried, never }) {
  if (!codes.length) return '';
  const why = (reasons) => Object.entries(reasons).map(([reason, number]) => `${NEVER[reason] ?? sentence(reason).toLowerCase()}: ${count(number)}`).join(', ');
  return h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'By code' }, h('table', {},
    h('thead', {}, h('tr', {}, [['Why it failed'], ['Sent again', 1], ['Never', 1], ['Why never']].map(([label, isNumber]) => h('th', { scope: 'col', class: isNumber && 'number' }, label)))),
    h('tbody', {}, codes.map((row) => h('tr', { 'data-code': row.code ?? 'none' },
      h('th', { scope: 'row' }, row.code && h('code', {}, row.code), ` ${row.title ?? 'No code'}`),
      h('td', { class: 'number', 'data-retried': row.retried }, count(row.retried)),
      h('td', { class: 'number', 'data-never': row.never }, count(row.never)),
      h('td', { class: 'fine' }, why(row.reasons))))),
    h('tfoot', {}, h('tr', {}, h('th', { scope: 'row' }, 'All'), h('td', { class: 'number' }, count(retried)), h('td', { class: 'number' }, count(never)), h('td')))));
}
