// What bluetick's own vocabulary means, in the words of a person. The catalogue of error codes is the server's.

/** status → [word, picture, tone, what it means] */
const STATUSES = {
  pending: ['Pending', 'clock', 'wait', 'Stored safely; not yet handed to Twilio.'],
  held: ['Held', 'pause', 'wait', 'Kept back until someone releases it.'],
  in_flight: ['In flight', 'plane', 'wait', 'Being handed to Twilio right now.'],
  unknown: ['Unknown', 'question', 'warn', 'Twilio may or may not have it. bluetick is finding out and does not send it twice.'],
  accepted: ['Accepted', 'clock', 'wait', 'Twilio has it; the sender is not chosen yet.'],
  scheduled: ['Scheduled', 'clock', 'wait', 'Twilio keeps it until its time.'],
  queued: ['Queued', 'clock', 'wait', 'Waiting in Twilio’s queue for the sender.'],
  sending: ['Sending', 'plane', 'wait', 'Twilio is handing it to WhatsApp.'],
  sent: ['Sent', 'tick', 'sent', 'WhatsApp’s servers took it. Not yet on the phone.'],
  delivered: ['Delivered', 'ticks', 'delivered', 'It is on the phone.'],
  read: ['Read', 'ticks', 'read', 'The person opened it.'],
  undelivered: ['Undelivered', 'cross', 'bad', 'WhatsApp could not deliver it.'],
  failed: ['Failed', 'cross', 'bad', 'It never left Twilio.'],
  refused: ['Refused', 'cross', 'bad', 'Twilio did not take it.'],
  expired: ['Expired', 'ban', 'off', 'Its time ran out before it could be sent.'],
  suppressed: ['Suppressed', 'ban', 'off', 'Not sent, because this person opted out.'],
  canceled: ['Canceled', 'ban', 'off', 'Stopped before it was sent.'],
  absent: ['Absent', 'ban', 'off', 'Twilio never had it; that is proven.'],
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
  transient: 'Passes by itself: sending it again can help.',
  rate: 'Too fast: sending it again more slowly can help.',
  wait: 'A limit is used up: sending it again later can help.',
  template: 'Needs an approved template.',
  permanent: 'Trying again does not help.',
  opted_out: 'This person does not want these messages.',
  operator: 'A setting must be put right first.',
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
  released: ['Released', 'plane', 'wait'],
};

/** The words, picture and tone of a journal row. */
export function fact(row) {
  const [word, picture, tone] = FACTS[row.fact] ?? [];
  if (word) return { word, picture, tone };
  return status(row.status ?? row.fact);
}

/** What comes next for a message. */
export const STEPS = {
  send: 'Send it',
  reconcile: 'Ask Twilio how it went',
  archive: 'Move it to the archive',
  forget: 'Forget its content',
};

/** Where bluetick learned of a fact. */
export const SOURCES = {
  api: ['API', 'Your app asked for it.'],
  callback: ['Callback', 'Twilio told us, signed.'],
  poll: ['Poll', 'We asked Twilio.'],
  job: ['bluetick', 'Done by bluetick itself.'],
  operator: ['Operator', 'Done by a person.'],
};

/** `not_processed` → `Not processed` */
export function sentence(value) {
  const text = String(value ?? '').replaceAll('_', ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}
