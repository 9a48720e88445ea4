// What our emulator answers is what Twilio's OpenAPI describes: prism stands between and checks both ways.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { basic, call, emulate } from '../process/bluetick.mjs';
import { prism } from './prism.mjs';

const [PERSON, SHOP] = ['whatsapp:+4915100000001', 'whatsapp:+15550001111'];
const SERVICE = 'MG00000000000000000000000000000001';

let emulator;
let twilio;

before(async () => {
  emulator = await emulate();
  twilio = await prism({ upstream: emulator.url });
  await emulator.control.inbound({ from: '+4915100000001', body: 'hello', webhook: false });
});
after(async () => {
  await twilio?.stop();
  await emulator?.stop();
});

async function ask(method, path, form) {
  const headers = { authorization: basic(emulator.account_sid, emulator.auth_token) };
  const answer = await call(method, `${twilio.url}/2010-04-01/Accounts/${emulator.account_sid}${path}`, { form, headers });
  assert.equal(answer.headers.get('sl-violations'), null, `${method} ${path}`);
  return answer;
}

test('create, fetch, list, redact and delete answer as the OpenAPI describes', async () => {
  const created = await ask('POST', '/Messages.json', { To: PERSON, From: SHOP, Body: 'x' });
  assert.equal(created.status, 201, created.text);
  await emulator.control.ledger({ settled: 'true', wait: '20s' });
  const one = `/Messages/${created.body.sid}.json`;
  const fetched = await ask('GET', one);
  assert.equal(fetched.body.status, 'read');
  const listed = await ask('GET', '/Messages.json?PageSize=20');
  assert.deepEqual(listed.body.messages.map(({ sid }) => sid).includes(created.body.sid), true);
  assert.equal((await ask('POST', one, { Body: '' })).status, 200);
  assert.equal((await ask('DELETE', one)).status, 204);
});

test('media and a scheduled message answer as the OpenAPI describes', async () => {
  const media = await ask('POST', '/Messages.json', { To: PERSON, From: SHOP, MediaUrl: 'https://media.example/a.jpg' });
  assert.equal(media.status, 201, media.text);
  assert.equal((await ask('GET', `/Messages/${media.body.sid}/Media.json`)).body.media_list.length, 1);
  const SendAt = new Date(Date.now() + 3_600_000).toISOString();
  const scheduled = await ask('POST', '/Messages.json', { To: PERSON, MessagingServiceSid: SERVICE, Body: 'x', ScheduleType: 'fixed', SendAt });
  assert.equal(scheduled.body.status, 'scheduled');
  const canceled = await ask('POST', `/Messages/${scheduled.body.sid}.json`, { Status: 'canceled' });
  assert.equal(canceled.body.status, 'canceled');
});
