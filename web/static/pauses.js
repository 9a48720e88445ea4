// What is paused: in words, with the way to end it; and how a person pauses something.
// The shell asks for all pauses and tells the page by a `bt-pauses` event; pages show those that concern them.

import './bt-time.js';
import { post, remove } from './api.js';
import { ask, line } from './dialog.js';
import { h } from './dom.js';
import { address, plural } from './format.js';
import { icon } from './icons.js';
import { sender } from './inspect.js';
import { toast } from './toast.js';

/** These concern every page, which the shell therefore tells everywhere. */
const EVERYWHERE = ['all', 'account'];
/** Longer notes are for the team's own log. */
const MAX_NOTE = 200;

/** All that is paused now, as the shell last heard; null until then. */
let known = null;

/** Calls `listener` with what is paused, now if it is known and whenever it changes. */
export function watch(listener) {
  document.addEventListener('bt-pauses', ({ detail }) => listener(detail));
  if (known) listener(known);
}

/** The shell's part: tells everyone. */
export function tell(pauses) {
  known = pauses;
  document.dispatchEvent(new CustomEvent('bt-pauses', { detail: pauses }));
}

/** Those of `pauses` that hold up messages from this sender, with this template if any. */
export function stopping(pauses, from, template = null) {
  const scopes = [...EVERYWHERE, `sender:${from}`, template && `template:${template}`];
  return pauses.filter(({ scope }) => scopes.includes(scope));
}

/** Whether it stops every message. */
export function isOfAll({ scope }) {
  return EVERYWHERE.includes(scope);
}

/** One pause as a strip: what, since when, why, what next, and the way to end it. */
export function strip(pause) {
  const { scope, since, probe_at: probe, waiting } = pause;
  return h('div', { class: 'pause', 'data-scope': scope, 'data-cause': pause.cause },
    icon('pause'),
    h('p', {},
      h('strong', {}, scope.startsWith('sender:') ? h('a', { href: sender(scope.slice('sender:'.length)) }, what(scope)) : what(scope)), ' since ', h('bt-time', { datetime: since }), '. ', why(pause), ' ',
      waiting > 0 && h('a', { href: '/messages?status=pending,held' }, `${plural(waiting, 'message waits', 'messages wait')}.`), ' ',
      pause.action && h('span', { class: 'fine' }, pause.action, ' '),
      probe && h('span', { class: 'fine' }, 'The next message is let through as a test ', h('bt-time', { datetime: probe, mode: 'until' }), '; when it gets through, the pause ends by itself.')),
    h('button', { type: 'button', class: 'button', 'data-verb': 'resume', 'aria-label': `Resume: ${what(scope)}`, onclick: () => resume(scope) }, icon('play'), 'Resume'));
}

function what(scope) {
  const [kind, ...rest] = scope.split(':');
  const name = rest.join(':');
  if (kind === 'all') return 'All sending is paused';
  if (kind === 'account') return 'Sending is paused for the whole account';
  if (kind === 'sender') return `Sender ${address(name)} is paused`;
  return `Template ${name} is paused`;
}

function why({ cause, code, title, note }) {
  if (cause === 'operator') return note ? `Someone paused it: “${note}”.` : 'Someone paused it.';
  if (cause === 'restored') return `${note[0].toUpperCase()}${note.slice(1)}.`;
  if (cause === 'credentials') return `Twilio refuses the credentials${note ? `: ${note}` : ''}.`;
  return h('span', {}, 'Because of ', h('a', { href: `/messages?code=${code}`, class: 'code' }, code), ` ${title ?? note ?? ''}.`);
}

/** Ends a pause. */
export async function resume(scope) {
  try {
    await remove(`/pauses/${encodeURIComponent(scope)}`);
    toast('Resumed');
  } catch (problem) {
    toast(problem.status === 404 ? 'It was not paused any more' : problem.message);
  }
  document.dispatchEvent(new Event('bt-paused'));
}

/** Asks for a note, then pauses. */
export async function pause(scope, { title, text }) {
  const answer = await ask({
    title, text, yes: 'Pause', danger: true,
    fields: [line('Why (for the team)', { name: 'note', maxlength: MAX_NOTE, placeholder: 'optional' })],
  });
  if (!answer) return;
  try {
    await post('/pauses', { scope, ...(answer.note.trim() && { note: answer.note.trim() }) });
    toast('Paused');
  } catch (problem) {
    toast(problem.message);
  }
  document.dispatchEvent(new Event('bt-paused'));
}
