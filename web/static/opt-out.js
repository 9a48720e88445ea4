// What people do not want: in words, entered and taken back by a person.

import './bt-time.js';
import { put, remove } from './api.js';
import { ask, choice, line } from './dialog.js';
import { h } from './dom.js';
import { address } from './format.js';
import { toast } from './toast.js';
import { optOutReason, SCOPES } from './words.js';

/** Longer notes are for the team's own log. */
const MAX_NOTE = 200;

/** Each opt-out as parts of a line; `done` is called when one was removed. */
export function entries(wishes, done) {
  return wishes.map((wish) => [
    h('strong', {}, SCOPES[wish.scope] ?? wish.scope),
    h('span', { class: 'why' }, optOutReason(wish)),
    h('bt-time', { datetime: wish.since, mode: 'both' }),
    h('button', { type: 'button', class: 'button', 'data-verb': 'opt-in', 'aria-label': `Remove the opt-out of ${address(wish.contact)}`, onclick: () => take(wish.contact, done) }, 'Remove…'),
  ]);
}

/** Asks what is not wanted, and by whom unless that is known, then writes it down. */
export async function add(contact, done) {
  const answer = await ask({
    title: contact ? `Add an opt-out of ${address(contact)}` : 'Add an opt-out',
    text: 'What is covered is not sent to this person from now on, and says so. Nothing is told to Twilio.',
    yes: 'Add', no: 'Cancel',
    fields: [
      !contact && line('Phone number', { name: 'contact', required: true, placeholder: '+49…', inputmode: 'tel' }),
      choice('What they do not want', 'scope', [['all', SCOPES.all], ['marketing', SCOPES.marketing]]),
      line('How you know (for the team)', { name: 'note', maxlength: MAX_NOTE, placeholder: 'optional' }),
    ],
  });
  if (!answer) return;
  try {
    await put(path(contact ?? answer.contact.trim()), { scope: answer.scope, ...(answer.note.trim() && { note: answer.note.trim() }) });
    toast('Opted out');
    done();
  } catch (problem) {
    toast(problem.message);
  }
}

async function take(contact, done) {
  const sure = await ask({
    title: `Send to ${address(contact)} again?`,
    text: 'Remove every opt-out of this person only if they asked for it: messages nobody wants cost a sender its rating. Twilio and WhatsApp may still refuse them.',
    yes: 'Remove the opt-out', no: 'Leave it', danger: true,
  });
  if (!sure) return;
  try {
    await remove(path(contact));
    toast('Removed');
  } catch (problem) {
    toast(problem.message);
  }
  done();
}

function path(contact) {
  return `/contacts/${encodeURIComponent(contact)}/opt-out`;
}
