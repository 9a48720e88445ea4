// One message: where it is now, what happened, why it failed, what comes next. Changes while one looks at it.

import './bt-copy.js';
import './bt-shell.js';
import './bt-status.js';
import './bt-timeline.js';
import { get } from './api.js';
import { problemNotice } from './bt-empty.js';
import { prose } from './bt-time.js';
import { again } from './curl.js';
import { ask } from './dialog.js';
import { h, swap, throttle } from './dom.js';
import { explanation } from './failure.js';
import { absolute, address, duration } from './format.js';
import { contact, pathName, sender } from './inspect.js';
import * as keys from './keys.js';
import { live } from './live.js';
import { icon } from './icons.js';
import { isOfAll, stopping, strip, watch } from './pauses.js';
import { confirm, steer, VERBS, verbsFor } from './steer.js';
import { toast } from './toast.js';
import { neighbours } from './trail.js';
import { ENDINGS, HOLDS, ON_UNKNOWN, sentence, status as words, upcoming } from './words.js';

const REFRESH_MS = 250;
/** The way of a message; who is at a later step has passed the earlier ones. */
const PROGRESS = ['accepted', 'sent', 'delivered', 'read'];
/** As long as it stands so, its error is the reason; else an earlier attempt failed once, and its line says so. */
const TROUBLED = ['pending', 'unknown', 'undelivered', 'failed', 'refused', 'expired'];
const main = document.querySelector('main');
const place = (name) => document.getElementById(name);
let message = null;
let pauses = [];
/** Answers may overtake one another; the page never goes back. */
let turns = 0;
let answered = 0;
/** Why the last thing asked for was not done, until the message changes. */
let refusal = null;

async function show() {
  const name = pathName();
  const turn = turns += 1;
  try {
    const [fetched, journal] = await Promise.all([get(`/messages/${encodeURIComponent(name)}`), get(`/messages/${encodeURIComponent(name)}/journal`)]);
    if (turn < answered) return;
    answered = turn;
    const before = message?.status;
    if (message && message.updated_at !== fetched.updated_at) refusal = null;
    message = fetched;
    // A SID leads here too, but a shared link should carry the name that never changes.
    if (name !== message.id) history.replaceState(history.state, '', `/messages/${message.id}`);
    document.title = `${sentence(message.status)} · ${address(message.to)} · bluetick`;
    swap(place('problem'));
    swap(place('head'), head(message));
    swap(place('steps'), steps(message));
    showStanding();
    place('timeline').show({ rows: journal.data, dropped: journal.dropped, message });
    swap(place('attempts'), attempts(message));
    swap(place('content'), content(message));
    swap(place('facts'), facts(message));
    if (before !== message.status) place('spoken').textContent = `Status: ${sentence(message.status)}`;
    main.removeAttribute('aria-busy');
  } catch (problem) {
    swap(place('problem'), problemNotice(problem, show));
  }
}

/** What holds it up or ended it, what can be done, why it failed, and whether it went twice. */
function showStanding() {
  const { held, ended, anomaly, status } = message;
  const told = standing(message);
  const error = TROUBLED.includes(status) || anomaly ? message.error : null;
  swap(place('twice'), isDuplicate(message) && twice(message));
  swap(place('standing'), stopped(message).filter((pause) => !isOfAll(pause)).map(strip), told && notice(told), !told && !error && refused());
  // A window that we knew to be closed is told by the notice above, in more words.
  swap(place('failure'), error && !held && !ended && explanation(error, told ? [] : buttons()), error && !told && refused());
}

function isDuplicate({ duplicate, duplicate_detected: detected }) {
  return duplicate ?? detected;
}

/** The pauses that this message waits for. */
function stopped({ status, from, content_sid: template }) {
  return ['pending', 'held'].includes(status) ? stopping(pauses, from, template) : [];
}

/** `{ tone, picture, title, lines }` of a message that waits, or that we ended ourselves; else null. */
function standing(shown) {
  const { status, held, ended, next, on_unknown: onUnknown } = shown;
  if (held) {
    const [title, advice] = HOLDS[held.reason] ?? [sentence(held.reason), ''];
    return { tone: 'warn', picture: 'pause', title: `Held: ${title}`, lines: [closed(held), held.template && h('p', {}, 'Template ', h('code', {}, held.template)), h('p', {}, h('strong', {}, 'What to do: '), advice)] };
  }
  if (ended) {
    const [title, advice] = ENDINGS[ended.reason] ?? [sentence(ended.reason), ''];
    return { tone: ['canceled', 'suppressed'].includes(ended.reason) ? 'wait' : 'bad', picture: 'ban', title, lines: [h('p', {}, prose(ended.detail)), h('p', {}, ended.reason !== 'canceled' && h('strong', {}, 'What to do: '), advice, ended.reason === 'suppressed' && [' ', h('a', { href: contact(shown.to) }, 'Open their page')])] };
  }
  if (status === 'unknown') {
    return { tone: 'warn', picture: 'question', title: 'Nobody knows yet whether Twilio took it', lines: [
      h('p', {}, 'The answer was lost. A callback can still tell; else bluetick looks through Twilio’s list, usually 5 s, 15 s, 1 min and 3 min later. ',
        `If Twilio then provably has no trace of it, ${ON_UNKNOWN[onUnknown] ?? 'policy.on_unknown decides: usually it is sent again, once'}. Messages with the same words to the same person wait for it.`),
      next && comes(shown)] };
  }
  if (status === 'pending') {
    const waits = stopped(shown).length ? 'It waits for the pause above' : next && Date.parse(next.due_at) > Date.now() ? 'It waits for its time' : 'It waits for its turn';
    return { tone: 'wait', picture: 'clock', title: waits, lines: [next && !stopped(shown).length && comes(shown)] };
  }
  return null;
}

function comes(shown) {
  const { due_at: due } = shown.next;
  return h('p', {}, h('strong', {}, 'Next: '), `${upcoming(shown)} `, h('bt-time', { datetime: due, mode: 'until' }), ' (', h('bt-time', { datetime: due, mode: 'clock' }), ')');
}

function closed({ reason, window_closed_at: at }) {
  if (reason !== 'window_closed') return null;
  return at ? h('p', {}, 'It closed ', h('bt-time', { datetime: at, mode: 'both' }), '.') : h('p', {}, 'The person never wrote to this sender.');
}

function notice({ tone, picture, title, lines }) {
  return h('section', { class: 'card standing', 'data-tone': tone, 'aria-label': 'What it waits for' },
    h('h2', {}, icon(picture), title), lines, h('p', { class: 'actions' }, buttons()), refused());
}

function buttons() {
  return verbsFor(message).map((verb) => h('button', { type: 'button', class: `button ${{ cancel: 'danger', retry: 'primary', release: 'primary' }[verb] ?? ''}`, 'data-verb': verb, onclick: () => act(verb) }, VERBS[verb][0], verb === 'cancel' && '…'));
}

function refused() {
  return refusal && h('p', { class: 'refusal', role: 'alert' }, icon('warn'), h('span', {}, 'Not done: ', prose(refusal)));
}

/** Why it may have arrived twice, in the order in which it happened. */
function twice({ attempts: made }) {
  const lost = made.find(({ written_off: isWrittenOff, sid }) => isWrittenOff && sid);
  const later = lost && made.find(({ number }) => number > lost.number);
  return h('section', { class: 'card standing', 'data-tone': 'warn', 'data-notice': 'duplicate', 'aria-label': 'Sent twice' },
    h('h2', {}, icon('warn'), 'This person may have got it twice'),
    lost && later
      ? h('p', {}, `The answer to attempt ${lost.number} was lost, and Twilio’s list did not have it for as long as anything takes to show up there, so it was sent again as attempt ${later.number}. Then attempt ${lost.number} showed up after all, as `, h('code', {}, lost.sid), '. Twilio has no way to take a message back, nor a key that makes a second send harmless.')
      : h('p', {}, 'Twilio told of more than one message for it, or more than one attempt arrived.'),
    h('p', { class: 'fine' }, 'If this happens more than once in a blue moon, raise policy.settle_ms: attempts are then looked for longer before they are sent again.'));
}

function head({ id, sid, status, to, origin, anomaly, settled }) {
  return [
    h('div', { class: 'title' },
      h('bt-status', { value: status, class: 'large' }),
      h('h1', {}, h('span', { class: 'fine' }, 'to '), h('a', { href: contact(to) }, address(to))),
      anomaly && h('span', { class: 'flag', title: 'Twilio reported both delivered and failed for one attempt' }, 'conflict'),
      isDuplicate(message) && h('span', { class: 'flag', title: 'The person may have got it twice' }, icon('warn'), 'sent twice'),
      origin === 'external' && h('span', { class: 'tag', title: 'Not sent by bluetick; only followed' }, 'sent elsewhere'),
      settled && h('span', { class: 'tag', title: 'Nothing more is expected; a late receipt still counts' }, 'settled')),
    h('div', { class: 'ids' },
      h('span', {}, h('code', { 'data-testid': 'message-id' }, id), h('bt-copy', { value: id, label: 'Copy the message id' })),
      sid && h('span', {}, h('code', { 'data-testid': 'message-sid' }, sid), h('bt-copy', { value: sid, label: 'Copy the SID' }))),
    h('p', { class: 'actions' },
      origin === 'api' && h('bt-copy', { value: again(message), text: 'Copy as curl' })),
  ];
}

/** The way of a message, with how long each part took. */
function steps(shown) {
  const ends = shown.failed_at ? [['failed', shown.failed_at, null]] : [];
  if (!ends.length && ['canceled', 'expired', 'suppressed', 'refused'].includes(shown.status)) ends.push([shown.status, shown.updated_at, null]);
  const furthest = PROGRESS.indexOf(shown.status);
  const way = [
    ['accepted', shown.accepted_at, null], ['sent', shown.sent_at, shown.queue_ms], ['delivered', shown.delivered_at, shown.delivery_ms], ['read', shown.read_at, shown.read_ms],
  ].map(([name, at, took]) => [name, at ?? asked(shown, name), took, !at, PROGRESS.indexOf(name) <= furthest]).filter(([, at]) => at || !ends.length);
  return h('ol', { class: 'steps' }, [...way, ...ends].map(([name, at, took, isUntimed, isImplied]) => {
    const isReached = Boolean(at) || Boolean(isImplied);
    const before = at && isUntimed ? 'at or before ' : '';
    return h('li', { 'data-step': name, 'data-reached': String(isReached), 'aria-label': `${name}: ${at ? before + absolute(at) : isReached ? 'yes, at an unknown time' : 'not yet'}` },
      took !== null && h('span', { class: 'took' }, duration(took)),
      h('strong', {}, sentence(name)),
      at ? h('span', { class: 'fine', title: before && 'Learned by asking: it happened at this time or before' }, before, h('bt-time', { datetime: at, mode: 'clock' })) : h('span', { class: 'fine', title: isReached && 'Nobody told when' }, isReached ? 'yes' : '–'));
  }));
}

/** When asking showed that it had come this far, where no callback told when it did. */
function asked({ attempts: made }, name) {
  return made.flatMap(({ receipt }) => receipt).find(({ status, timed }) => status === name && !timed)?.at ?? null;
}

function attempts({ attempts: made }) {
  if (!made.length) return [h('p', { class: 'calm' }, 'Not handed to Twilio yet.')];
  return made.map((attempt) => h('article', { class: 'attempt', 'data-attempt': attempt.number },
    h('header', {},
      h('strong', {}, `Attempt ${attempt.number}`),
      h('bt-status', { value: attempt.status ?? attempt.state }),
      attempt.form === 'fallback' && h('span', { class: 'tag', 'data-form': 'fallback', title: 'The fallback template went instead of what was asked for' }, 'fallback template'),
      attempt.written_off && h('span', { class: 'flag', title: 'Another attempt was made though nobody knew what became of this one' }, 'written off'),
      attempt.error_code && h('code', {}, attempt.error_code),
      attempt.sid && h('span', {}, h('code', { class: 'fine' }, attempt.sid), h('bt-copy', { value: attempt.sid, label: 'Copy the SID' }))),
    h('p', { class: 'fine' }, 'Handed over ', h('bt-time', { datetime: attempt.started_at, mode: 'clock' }),
      attempt.answered_at ? `, answered after ${duration(Date.parse(attempt.answered_at) - Date.parse(attempt.started_at))}` : ', no answer seen'),
    attempt.reason && h('p', {}, sentence(attempt.reason)),
    attempt.receipt.length > 0 && h('ol', { class: 'receipt' }, attempt.receipt.map(({ status, at, timed }) => h('li', { 'data-status': status },
      h('bt-status', { value: status }),
      h('span', { class: 'fine', title: timed ? null : 'Learned by asking; it happened at this time or before' }, timed ? '' : 'at or before ', h('bt-time', { datetime: at, mode: 'clock' })))))));
}

function content({ body, media_url: media, content_sid: template, variables, fallback, forgotten }) {
  return [
    body && h('p', { class: 'bubble' }, body),
    template && h('p', {}, 'Template ', h('code', {}, template), h('bt-copy', { value: template, label: 'Copy the template’s SID' })),
    variables && Object.keys(variables).length > 0 && pairs(variables),
    media.length > 0 && h('ul', { class: 'media' }, media.map((link) => h('li', {}, /^https?:\/\//.test(link) ? h('a', { href: link, rel: 'noreferrer noopener', target: '_blank' }, link) : link))),
    forgotten ? h('p', { class: 'calm' }, 'What it said was forgotten, as old words are (retention.bodies_days).') : !body && !template && !media.length && h('p', { class: 'calm' }, 'Its content is not kept.'),
    fallback && h('div', { class: 'fallback' }, h('p', { class: 'fine' }, 'If the person’s window is closed, this goes instead:'),
      h('p', {}, 'Template ', h('code', {}, fallback.content_sid), h('bt-copy', { value: fallback.content_sid, label: 'Copy the fallback’s SID' })),
      Object.keys(fallback.variables ?? {}).length > 0 && pairs(fallback.variables)),
  ];
}

function facts(shown) {
  const rows = {
    From: h('a', { href: sender(shown.from), title: shown.from }, address(shown.from)),
    To: h('a', { href: contact(shown.to), title: shown.to }, address(shown.to)),
    Reference: shown.reference && [h('a', { href: `/messages?reference=${encodeURIComponent(shown.reference)}` }, shown.reference), h('bt-copy', { value: shown.reference, label: 'Copy the reference' })],
    Tags: shown.tags.length > 0 && shown.tags.map((tag) => h('a', { class: 'tag', href: `/messages?tag=${encodeURIComponent(tag)}` }, tag)),
    Priority: shown.priority,
    Category: shown.category,
    'If unknown': shown.on_unknown && sentence(shown.on_unknown),
    'May go twice': shown.may_duplicate && 'yes, rather than not at all',
    'Send at': shown.send_at && h('bt-time', { datetime: shown.send_at, mode: 'both' }),
    'Expires at': shown.expires_at && h('bt-time', { datetime: shown.expires_at, mode: 'both' }),
    Accepted: h('bt-time', { datetime: shown.accepted_at, mode: 'both' }),
    'Last change': h('bt-time', { datetime: shown.updated_at, mode: 'both' }),
    Kept: shown.archived && h('a', { href: '/upkeep' }, 'in the archive'),
  };
  return [definitions(rows), Object.keys(shown.metadata ?? {}).length > 0 && pairs(shown.metadata)];
}

function definitions(rows) {
  return h('dl', { class: 'facts' }, Object.entries(rows).filter(([, value]) => value).map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
}

function pairs(values) {
  return h('dl', { class: 'facts pairs' }, Object.entries(values).map(([name, value]) => h('div', {}, h('dt', {}, h('code', {}, name)), h('dd', {}, h('code', {}, value)))));
}

async function act(verb) {
  const body = {};
  if (verb === 'retry' && message.error?.may_duplicate && !message.may_duplicate) {
    const risk = await ask({ title: 'It may arrive twice', text: 'Twilio reported a failure after which the message may have arrived all the same. Send it again only if twice is better than not at all.', yes: 'Send it again all the same', no: 'Leave it', danger: true });
    if (!risk) return;
    body.may_duplicate = true;
  } else if (!await confirm(verb, 1)) return;
  refusal = null;
  try {
    await steer(message.id, verb, body);
    toast(sentence(VERBS[verb][1]));
  } catch (problem) {
    refusal = problem.message;
  }
  const shown = refusal;
  await show();
  // What was refused is said even if the message has changed since, which may be the very reason.
  refusal = shown;
  showStanding();
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
watch((now) => {
  pauses = now;
  if (message) showStanding();
});
for (const [key, verb] of [['r', 'retry'], ['h', 'hold'], ['l', 'release'], ['c', 'cancel']]) {
  keys.bind(key, `${VERBS[verb][0]} this message`, () => message && verbsFor(message).includes(verb) ? act(verb) : toast(`${VERBS[verb][0]}: not while it is ${words(message?.status).word.toLowerCase()}`));
}
keys.bind('J', 'Next message of the list', () => step('older'));
keys.bind('K', 'Previous message of the list', () => step('newer'));
keys.bind('Escape', 'Back to the list', () => location.assign(neighbours(message?.id ?? pathName()).from ?? '/messages'));
refreshSoon();
