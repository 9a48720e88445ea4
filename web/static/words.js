// What bluetick's own vocabulary means, in the words of a person. The catalogue of error codes is the server's.

/** status → [word, picture, tone, what it means] */
const STATUSES = {
  pending: ['Pending', 'clock', 'wait', 'Stored safely; not yet handed to Twilio.'],
  held: ['Held', 'pause', 'wait', 'Kept back: until someone releases it, the person writes, or a pause ends.'],
  in_flight: ['In flight', 'plane', 'wait', 'Being handed to Twilio right now.'],
  unknown: ['Unknown', 'question', 'warn', 'Nobody knows yet whether Twilio took it. bluetick looks for it there; it is sent again only if Twilio provably has no trace of it.'],
  accepted: ['Accepted', 'clock', 'wait', 'Twilio has it; the sender is not chosen yet.'],
  scheduled: ['Scheduled', 'clock', 'wait', 'Twilio keeps it until its time.'],
  queued: ['Queued', 'clock', 'wait', 'Waiting in Twilio’s queue for the sender.'],
  sending: ['Sending', 'plane', 'wait', 'Twilio is handing it to WhatsApp.'],
  sent: ['Sent', 'tick', 'sent', 'WhatsApp’s servers took it. Not yet on the phone.'],
  delivered: ['Delivered', 'ticks', 'delivered', 'It is on the phone.'],
  read: ['Read', 'ticks', 'read', 'The person opened it.'],
  undelivered: ['Undelivered', 'cross', 'bad', 'WhatsApp could not deliver it.'],
  failed: ['Failed', 'cross', 'bad', 'It never left Twilio.'],
  refused: ['Refused', 'cross', 'bad', 'Twilio did not take it, or would not have.'],
  expired: ['Expired', 'ban', 'off', 'Its time or its attempts ran out before Twilio took it.'],
  suppressed: ['Suppressed', 'ban', 'off', 'Not sent, because this person opted out.'],
  canceled: ['Canceled', 'ban', 'off', 'Stopped before it was sent.'],
  absent: ['Absent', 'ban', 'off', 'Looked for in Twilio’s list until it must have shown up there, and it did not.'],
  not_processed: ['Not processed', 'ban', 'off', 'Twilio did not look at it, so it may be tried again.'],
};

/** The word, picture, tone and meaning of a status; Twilio's new words are shown as they come. */
export function status(value) {
  const [word, picture, tone, meaning] = STATUSES[value] ?? [sentence(value), 'dot', 'wait', 'A word of Twilio’s that bluetick does not know yet.'];
  return { word, picture, tone, meaning };
}

/** Whose move it is. */
export const JOBS = {
  app: 'Your app',
  operator: 'You, the operator',
  twilio: 'Twilio',
  recipient: 'The recipient',
  nobody: 'Nobody',
};

/** What can be done about a failure, by its class. */
export const CLASSES = {
  transient: 'Passes by itself: bluetick sends it again, a few times.',
  rate: 'Too fast: bluetick sends it again, more slowly.',
  wait: 'A limit is used up: bluetick sends it again, hours later.',
  template: 'Needs an approved template: bluetick falls back to one, once, if the send names it.',
  permanent: 'Trying again does not help.',
  opted_out: 'This person does not want these messages.',
  operator: 'Something must be put right first.',
  none: 'Nothing is lost.',
};

/** What bluetick itself did: fact → [words, picture, tone]. A `reported` fact is told by the status it brought. */
const FACTS = {
  accepted: ['Accepted by bluetick', 'tick', 'wait'],
  adopted: ['Sent elsewhere', 'tick', 'wait'],
  claimed: ['Handed to Twilio', 'plane', 'wait'],
  sent: ['Taken by Twilio', 'tick', 'wait'],
  refused: ['Refused by Twilio', 'cross', 'bad'],
  not_processed: ['Not looked at by Twilio', 'ban', 'wait'],
  unknown: ['No clear answer', 'question', 'warn'],
  asked: ['Looked for at Twilio', 'search', 'wait'],
  absent: ['Twilio has no trace of it', 'ban', 'warn'],
  retried: ['To be sent again', 'again', 'wait'],
  held: ['Held', 'pause', 'wait'],
  released: ['Released', 'plane', 'wait'],
  deferred: ['Lets others go first', 'clock', 'wait'],
  suppressed: ['Not sent: opted out', 'ban', 'off'],
  window_closed: ['Not sent: window closed', 'ban', 'bad'],
  given_up: ['Given up', 'cross', 'bad'],
  canceled: ['Canceled', 'ban', 'off'],
  expired: ['Expired', 'ban', 'off'],
};

/** The words, picture and tone of a journal row. */
export function fact(row) {
  const [word, picture, tone] = FACTS[row.fact] ?? [];
  if (word) return { word, picture, tone };
  return status(row.status ?? row.fact);
}

/** What comes next for a message, in words. */
export function upcoming({ status, next, attempts }) {
  const last = attempts.at(-1);
  if (next.step === 'send') return last ? `Sent again${cause(last)}` : 'Sent';
  if (next.step === 'reconcile') return status === 'unknown' ? 'Looked for at Twilio' : 'Twilio is asked how it went';
  return sentence(next.step);
}

function cause({ state, error_code: code }) {
  if (state === 'absent') return ', because Twilio has no trace of the last attempt';
  return code ? `, because of ${code}` : '';
}

/** Whether Twilio told us when it happened; what is learned by asking happened then or before. */
export function isTimed({ fact: name, source }) {
  return !(name === 'reported' && source === 'poll');
}

/** Why a message waits → [headline, what to do] */
export const HOLDS = {
  operator: ['Someone held it', 'Release it to send it, or cancel it.'],
  window_closed: ['The person’s window is closed', 'Free text goes only in the 24 hours after the person wrote. It goes by itself when they write. Release it to try all the same: Twilio will most likely fail it with 63016.'],
  unknown: ['Twilio has no trace of it', 'Twilio was looked through until the attempt must have shown up, and it did not. It was not sent again by itself: release it if it should be, or cancel it.'],
  template: ['Its template is paused', 'It goes by itself when the pause is over. Release it to try now.'],
};

/** How a message ended without Twilio's word → [headline, what to do] */
export const ENDINGS = {
  canceled: ['Canceled', 'It was stopped before it was sent.'],
  expired: ['Expired', 'It was not sent late. Send a new message if it is still wanted.'],
  suppressed: ['Not sent: this person opted out', 'If they ask for messages again, remove the opt-out on their page, then retry.'],
  window_closed: ['Not sent: the person’s window is closed', 'Free text goes only in the 24 hours after the person wrote. Send a template, give sends a fallback template, or retry when the person has written.'],
  given_up: ['Given up: Twilio has no trace of it', 'This send says that an attempt which Twilio provably never had is not made again. Retry sends it.'],
};

/** What becomes of an attempt that Twilio provably never had. */
export const ON_UNKNOWN = {
  resend_if_absent: 'it is sent again, once',
  hold: 'it is held for a person to decide',
  fail: 'it has failed, and is not sent again',
};

/** Why a message is not sent again. */
export const NEVER = {
  arrived: 'it has arrived',
  under_way: 'still under way',
  sent_elsewhere: 'sent without bluetick',
  forgotten: 'its words were forgotten',
  canceled: 'canceled',
  too_late: 'its time is over',
  used_up: 'its attempts are used up',
  opted_out: 'the person opted out',
  permanent: 'no retry helps',
  outside_window: 'window closed, no fallback',
  may_duplicate: 'may have arrived all the same',
};

/** What an opt-out covers. */
export const SCOPES = { all: 'All messages', marketing: 'Marketing only' };

/** Why a person gets no messages, in a sentence. */
export function optOutReason({ reason, code, word, note }) {
  if (reason === 'word') return `They wrote “${word}”`;
  if (reason === 'code') return `Twilio said so (${code})`;
  return note ? `Entered by hand: ${note}` : 'Entered by hand';
}

/** Where bluetick learned of a fact. */
export const SOURCES = {
  api: ['API', 'Your app asked for it.'],
  callback: ['Callback', 'Twilio told us, signed.'],
  poll: ['Asked', 'No callback told this: bluetick asked Twilio.'],
  job: ['bluetick', 'Done by bluetick itself.'],
  operator: ['Operator', 'Done by a person.'],
};

/** `not_processed` → `Not processed` */
export function sentence(value) {
  const text = String(value ?? '').replaceAll('_', ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}
