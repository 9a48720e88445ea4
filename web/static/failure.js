// A failure explained: what it means, whose move it is, what to do. Used for one message and for the top errors.

import { query } from './api.js';
import { h } from './dom.js';
import { count } from './format.js';
import { CLASSES, JOBS } from './words.js';

/** The full explanation, for a message's page; `buttons` are what can be done about it there. */
export function explanation(failure, buttons = []) {
  return h('section', { class: 'card failure', 'data-code': failure.code, 'aria-label': 'Why it failed' },
    h('h2', {}, h('code', {}, failure.code), ` ${failure.title}`, job(failure)),
    h('p', {}, failure.meaning),
    h('p', {}, h('strong', {}, 'What to do: '), failure.action),
    h('p', { class: 'fine' }, CLASSES[failure.class] ?? failure.class,
      failure.may_duplicate && ' Twilio may have delivered it all the same, so another try may arrive twice.',
      failure.pause !== 'none' && ` bluetick pauses this ${failure.pause} instead of failing more, and lets one message through now and then to see whether it is put right.`,
      failure.opt_out && ` The person no longer gets ${failure.opt_out === 'marketing' ? 'marketing messages' : 'messages'}.`),
    h('p', { class: 'actions' }, buttons, manual(failure), h('a', { href: `/messages${query({ code: failure.code })}` }, 'Messages with this error')));
}

/** Errors by how often they happened; `filters` say which messages a row leads to. */
export function topErrors(errors, filters) {
  if (!errors.length) return h('p', { class: 'calm' }, 'No errors in this time.');
  return h('ol', { class: 'errors' }, errors.map((failure) => h('li', { 'data-code': failure.code },
    h('a', { href: `/messages${query({ code: failure.code, ...filters })}`, class: 'many', title: 'See these messages', tabindex: '-1', 'aria-hidden': 'true' }, count(failure.count)),
    h('div', {},
      h('p', {}, h('a', { class: 'name', href: `/messages${query({ code: failure.code, ...filters })}` }, failure.title), h('code', {}, failure.code), job(failure)),
      h('p', { class: 'fine' }, failure.action, ' ', manual(failure))))));
}

function job({ whose_job: whose }) {
  return h('span', { class: 'job', 'data-job': whose, title: 'Whose move it is' }, JOBS[whose] ?? whose);
}

function manual({ link }) {
  // The catalogue's links are data; only web addresses become links.
  return link?.startsWith('https://') && h('a', { href: link, rel: 'noreferrer', target: '_blank' }, 'Twilio’s page ↗');
}
