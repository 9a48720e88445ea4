// What bluetick asks of Twilio is what Twilio's OpenAPI allows, and the answers it describes are understood.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { basic, call, serve, TESTS, waitUntil } from '../process/bluetick.mjs';
import { prism, recorder } from './prism.mjs';

const ACCOUNT = { account_sid: `AC${'a'.repeat(32)}`, auth_token: '00000000000000000000000000c0ffee' };
const TO = 'whatsapp:+4915100000001';
const TEMPLATE = `HX${'1'.repeat(32)}`;
const DRAFTS = {
  'a text': { to: TO, body: 'Grüße & 1+1=2 👍' },
  'media with a text': { to: TO, body: 'see', media_url: ['https://media.example/a.jpg'] },
  'a template with variables': { to: TO, content_sid: TEMPLATE, variables: { 1: 'Ada', 2: '17 & more' } },
  'a template without variables': { to: TO, content_sid: TEMPLATE },
  'a message through a Messaging Service': { to: TO, from: `MG${'2'.repeat(32)}`, body: 'x' },
  'a message to a user id': { to: 'whatsapp:US.13491208655302741918', body: 'x' },
};

let mock;
let twilio;
let bluetick;
let data;

before(async () => {
  // Nobody wrote to us in this Twilio: free text goes all the same.
  const env = { BLUETICK__POLICY__OUTSIDE_WINDOW: 'try', BLUETICK__POLICY__RECONCILE_AFTER_MS: '1000', BLUETICK__POLICY__POLL_AFTER_MS: '1000' };
  data = mkdtempSync(join(TESTS, 'contract-'));
  mock = await prism();
  twilio = await recorder(mock);
  bluetick = await serve(data, { api_url: twilio.url, ...ACCOUNT, env });
});
after(async () => {
  await bluetick?.stop();
  twilio?.stop();
  await mock?.stop();
  rmSync(data, { recursive: true, force: true });
});

const messages = `/2010-04-01/Accounts/${ACCOUNT.account_sid}/Messages.json`;

for (const [name, draft] of Object.entries(DRAFTS)) {
  test(`${name} is a create that the OpenAPI allows`, async () => {
    const before = twilio.exchanges.length;
    const { status, body } = await bluetick.api('POST', '/v1/messages?wait=20s', draft);
    assert.equal(status, 202, JSON.stringify(body));
    const creates = twilio.exchanges.slice(before).filter(({ method, path }) => method === 'POST' && path === messages);
    assert.equal(creates.length, 1);
    const [create] = creates;
    assert.equal(create.status, 201, create.answer);
    assert.deepEqual([create.violations, create.unknown], [null, []]);
    assert.equal(new Map(create.form).get('To'), draft.to);
    // The answer was understood: its SID is the message's, its status too.
    const answer = JSON.parse(create.answer);
    assert.equal(body.sid, answer.sid);
    assert.equal(body.status, answer.status);
  });
}

test('what became of a message is asked for, one by one and by list, as the OpenAPI allows', async () => {
  const asked = (what) => twilio.exchanges.filter(({ method, path }) => method === 'GET' && what(path));
  const isList = (path) => path.split('?')[0] === messages;
  const isFetch = (path) => path.includes('/Messages/');
  await waitUntil(() => asked(isList).length > 0 && asked(isFetch).length > 0, () => `bluetick asks: ${asked(() => true).map(({ path }) => path)}`);
  assert.deepEqual([...asked(isList), ...asked(isFetch)].filter(({ violations, unknown }) => violations || unknown.length), []);
});

test('nothing bluetick asked broke the OpenAPI', () => {
  const broken = twilio.exchanges.filter(({ path, status, violations }) => path.includes('/Messages') && (violations || status === 422));
  assert.deepEqual(broken, []);
});

test('a create that breaks the OpenAPI would have been noticed', async () => {
  const headers = { authorization: basic(ACCOUNT.account_sid, ACCOUNT.auth_token) };
  const wrong = (form) => call('POST', twilio.url + messages, { form, headers });
  assert.equal((await wrong({ Body: 'to nobody' })).status, 422);
  assert.equal((await wrong({ To: TO, Body: 'x', ContentSid: 'HX12' })).status, 422);
  assert.equal((await call('POST', twilio.url + messages, { form: { To: TO, Body: 'x' } })).status, 401);
  await wrong({ To: TO, Bdy: 'x' });
  assert.deepEqual(twilio.exchanges.at(-1).unknown, ['Bdy']);
});
