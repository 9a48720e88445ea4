// What a person can do with a message: retry, hold, release, cancel; one by one or a selection.

import { post } from './api.js';
import { ask } from './dialog.js';
import { plural } from './format.js';

/** So many are steered at once: quick, and nobody else waits for it. */
const AT_ONCE = 4;

/** verb → [word, of one that is done, statuses it is for] */
export const VERBS = {
  retry: ['Retry', 'sent again', ['failed', 'undelivered', 'refused', 'expired', 'suppressed']],
  release: ['Release', 'released', ['held']],
  hold: ['Hold', 'held', ['pending']],
  cancel: ['Cancel', 'canceled', ['pending', 'held']],
};

/** The verbs that fit a message as it stands; the server has the last word. */
export function verbsFor({ status, origin }) {
  if (origin === 'external') return [];
  return Object.keys(VERBS).filter((verb) => VERBS[verb][2].includes(status));
}

/** Does it; a refusal is a Problem whose detail says why. */
export function steer(id, verb, body = {}) {
  return post(`/messages/${id}/${verb}`, body);
}

/** Asks first where something cannot be undone, or goes to people. `number` is how many it is for. */
export function confirm(verb, number) {
  const many = number === 1 ? 'this message' : plural(number, 'message');
  if (verb === 'cancel') return ask({ title: `Cancel ${many}?`, text: 'Nothing of it is handed to Twilio then, and that cannot be undone.', yes: `Cancel ${many}`, no: number === 1 ? 'Keep it' : 'Keep them', danger: true });
  if (verb === 'retry' && number > 1) return ask({ title: `Send ${many} again?`, text: 'Each gets one more attempt, where that can help. The others are left as they are, and it is said why.', yes: `Send ${many} again`, no: 'Not now' });
  return Promise.resolve({});
}

/**
 * Steers `ids`, a few at a time, until `signal` stops it. `tell(done)` hears of each. Gives how many were done, and
 * the refusals: reason → how many.
 */
export async function steerAll(ids, verb, { tell, signal }) {
  const waiting = [...ids];
  const refusals = new Map();
  let done = 0;
  let finished = 0;
  const work = async () => {
    while (waiting.length && !signal.aborted) {
      try {
        await steer(waiting.shift(), verb);
        done += 1;
      } catch (problem) {
        refusals.set(problem.message, (refusals.get(problem.message) ?? 0) + 1);
      }
      finished += 1;
      tell(finished);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { done, refusals, left: waiting.length };
}
