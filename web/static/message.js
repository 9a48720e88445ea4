// One message: where it is now, what happened, why it failed, what comes next. Changes while one looks at it.

import './bt-copy.js';
import './bt-shell.js';
import './bt-status.js';
import './bt-time.js';
import './bt-timeline.js';
import { get, post } from './api.js';
import { problemNotice } from './bt-empty.js';
import { again } from './curl.js';
import { h, swap, throttle } from './dom.js';
import { explanation } from './failure.js';
import { absolute, address, duration } from './format.js';
import { contact, pathName, sender } from './inspect.js';
import * as keys from './keys.js';
import { live } from './live.js';
import { toast } from './toast.js';
import { neighbours } from './trail.js';
import { sentence } from './words.js';

const REFRESH_MS = 250;
const main = document.querySelector('main');
const place = (name) => document.getElementById(name);
let message = null;

async function show() {
  const asked = pathName();
  try {
    const [fetched, journal] = await Promise.all([get(`/messages/${encodeURIComponent(asked)}`), get(`/messages/${encodeURIComponent(asked)}/journal`)]);
    const before = message?.status;
    message = fetched;
    // A SID leads here too, but a shared link should carry the name that never changes.
    if (asked !== message.id) history.replaceState(history.state, '', `/messages/${message.id}`);
    document.title = `${sentence(message.status)} · ${address(message.to)} · bluetick`;
    swap(place('problem'));
    swap(place('head'), head(message));
    swap(place('steps'), steps(message));
    swap(place('failure'), message.error && explanation(message.error));
    place('timeline').show({ rows: journal.data, dropped: journal.dropped, next: message.next });
    swap(place('attempts'), attempts(message));
    swap(place('content'), content(message));
    swap(place('facts'), facts(message));
    if (before !== message.status) place('spoken').textContent = `Status: ${sentence(message.status)}`;
    main.removeAttribute('aria-busy');
  } catch (problem) {
    swap(place('problem'), problemNotice(problem, show));
  }
}

function head({ id, sid, status, to, origin, anomaly, duplicate_detected: duplicate, settled, attempts: made }) {
  return [
    h('div', { class: 'title' },
      h('bt-status', { value: status, class: 'large' }),
      h('h1', {}, h('span', { class: 'fine' }, 'to '), h('a', { href: contact(to) }, address(to))),
      anomaly && h('span', { class: 'flag', title: 'Twilio reported both delivered and failed for one attempt' }, 'conflict'),
      duplicate && h('span', { class: 'flag', title: 'Twilio made two messages of it' }, 'sent twice'),
      origin === 'external' && h('span', { class: 'tag', title: 'Not sent by bluetick; only followed' }, 'sent elsewhere'),
      settled && h('span', { class: 'tag', title: 'Nothing more is expected; a late receipt still counts' }, 'settled')),
    h('div', { class: 'ids' },
      h('span', {}, h('code', { 'data-testid': 'message-id' }, id), h('bt-copy', { value: id, label: 'Copy the message id' })),
      sid && h('span', {}, h('code', { 'data-testid': 'message-sid' }, sid), h('bt-copy', { value: sid, label: 'Copy the SID' }))),
    h('p', { class: 'actions' },
      origin === 'api' && h('bt-copy', { value: again(message), text: 'Copy as curl' }),
      ['pending', 'held'].includes(status) && made.length === 0 && h('button', { type: 'button', class: 'button danger', id: 'cancel', onclick: () => place('cancel-dialog').showModal() }, 'Cancel…')),
  ];
}

/** The way of a message, with how long each part took. */
function steps(shown) {
  const ends = shown.failed_at ? [['failed', shown.failed_at, null]] : [];
  if (['canceled', 'expired', 'suppressed'].includes(shown.status)) ends.push([shown.status, shown.updated_at, null]);
  const way = [
    ['accepted', shown.accepted_at, null], ['sent', shown.sent_at, shown.queue_ms], ['delivered', shown.delivered_at, shown.delivery_ms], ['read', shown.read_at, shown.read_ms],
  ].filter(([, at]) => at || !ends.length);
  return h('ol', { class: 'steps' }, [...way, ...ends].map(([name, at, took]) => h('li', { 'data-step': name, 'data-reached': String(Boolean(at)), 'aria-label': `${name}: ${at ? absolute(at) : 'not yet'}` },
    took !== null && h('span', { class: 'took' }, duration(took)),
    h('strong', {}, sentence(name)),
    at ? h('bt-time', { datetime: at, mode: 'clock' }) : h('span', { class: 'fine' }, '–'))));
}

function attempts({ attempts: made }) {
  if (!made.length) return [h('p', { class: 'calm' }, 'Not handed to Twilio yet.')];
  return made.map((attempt) => h('article', { class: 'attempt', 'data-attempt': attempt.number },
    h('header', {},
      h('strong', {}, `Attempt ${attempt.number}`),
      h('bt-status', { value: attempt.status ?? attempt.state }),
      attempt.error_code && h('code', {}, attempt.error_code),
      attempt.sid && h('span', {}, h('code', { class: 'fine' }, attempt.sid), h('bt-copy', { value: attempt.sid, label: 'Copy the SID' }))),
    h('p', { class: 'fine' }, 'Handed over ', h('bt-time', { datetime: attempt.started_at, mode: 'clock' }),
      attempt.answered_at ? `, answered after ${duration(Date.parse(attempt.answered_at) - Date.parse(attempt.started_at))}` : ', no answer seen'),
    attempt.reason && h('p', {}, sentence(attempt.reason)),
    attempt.receipt.length > 0 && h('ol', { class: 'receipt' }, attempt.receipt.map(({ status, at, timed }) => h('li', { 'data-status': status },
      h('bt-status', { value: status }),
      h('span', { class: 'fine', title: timed ? null : 'Learned by asking; it happened at this time or before' }, timed ? '' : 'by ', h('bt-time', { datetime: at, mode: 'clock' })))))));
}

function content({ body, media_url: media, content_sid: template, variables }) {
  return [
    body && h('p', { class: 'bubble' }, body),
    template && h('p', {}, 'Template ', h('code', {}, template), h('bt-copy', { value: template, label: 'Copy the template’s SID' })),
    variables && Object.keys(variables).length > 0 && pairs(variables),
    media.length > 0 && h('ul', { class: 'media' }, media.map((link) => h('li', {}, /^https?:\/\//.test(link) ? h('a', { href: link, rel: 'noreferrer noopener', target: '_blank' }, link) : link))),
    !body && !template && !media.length && h('p', { class: 'calm' }, 'Its content is not kept.'),
  ];
}

function facts(shown) {
  const rows = {
    From: h('a', { href: sender(shown.from), title: shown.from }, address(shown.from)),
    To: h('a', { href: contact(shown.to), title: shown.to }, address(shown.to)),
    Reference: shown.reference && [h('a', { href: `/messages?reference=${encodeURIComponent(shown.reference)}` }, shown.reference), h('bt-copy', { value: shown.reference, label: 'Copy the reference' })],
    Tags: shown.tags.length > 0 && shown.tags.map((tag) => h('a', { class: 'tag', href: `/messages?tag=${encodeURIComponent(tag)}` }, tag)),
    Priority: shown.priority,
    'Send at': shown.send_at && h('bt-time', { datetime: shown.send_at, mode: 'both' }),
    'Expires at': shown.expires_at && h('bt-time', { datetime: shown.expires_at, mode: 'both' }),
    Accepted: h('bt-time', { datetime: shown.accepted_at, mode: 'both' }),
    'Last change': h('bt-time', { datetime: shown.updated_at, mode: 'both' }),
  };
  return [definitions(rows), Object.keys(shown.metadata ?? {}).length > 0 && pairs(shown.metadata)];
}

function definitions(rows) {
  return h('dl', { class: 'facts' }, Object.entries(rows).filter(([, value]) => value).map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
}

function pairs(values) {
  return h('dl', { class: 'facts pairs' }, Object.entries(values).map(([name, value]) => h('div', {}, h('dt', {}, h('code', {}, name)), h('dd', {}, h('code', {}, value)))));
}

async function cancel() {
  try {
    await post(`/messages/${message.id}/cancel`);
    toast('Canceled');
  } catch (problem) {
    toast(problem.code === 'too_late' ? 'Too late: it was handed to Twilio already' : `${problem.title} (${problem.code})`);
  }
  show();
}

function step(direction) {
  const id = neighbours(message?.id ?? pathName())[direction];
  if (id) location.assign(`/messages/${id}`);
  else toast(direction === 'older' ? 'No further message in the list you came from' : 'No message before this one in the list you came from');
}

const refreshSoon = throttle(REFRESH_MS, show);
live.addEventListener('event', ({ detail }) => {
  if (message && detail.message_id === message.id) refreshSoon();
});
live.addEventListener('resync', refreshSoon);
place('cancel-dialog').addEventListener('close', (event) => event.target.returnValue === 'cancel' && cancel());
keys.bind('J', 'Next message of the list', () => step('older'));
keys.bind('K', 'Previous message of the list', () => step('newer'));
keys.bind('Escape', 'Back to the list', () => location.assign(neighbours(message?.id ?? pathName()).from ?? '/messages'));
refreshSoon();
