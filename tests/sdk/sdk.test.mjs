// The official Node SDK, unchanged but for the host, takes the emulator for Twilio; its validators accept what it signs.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { demo, emulate, require, TESTS, waitUntil } from '../process/bluetick.mjs';

const twilio = require('twilio');
const [PERSON, OTHER] = ['whatsapp:+4915100000001', 'whatsapp:+4915100000002'];
const SHOP = 'whatsapp:+15550001111';
const SERVICE = 'MG00000000000000000000000000000001';
const TEMPLATE = { contentSid: 'HX00000000000000000000000000000001', contentVariables: '{"1":"Ada","2":"17"}' };

/** The SDK's own HTTP client; only the host of Twilio is another. */
class Redirected extends twilio.RequestClient {
  constructor(url) {
    super();
    this.url = url;
  }

  request(options) {
    assert.ok(options.uri.startsWith('https://api.twilio.com/'), options.uri);
    return super.request({ ...options, uri: options.uri.replace('https://api.twilio.com', this.url) });
  }
}

let emulator;
let client;

before(async () => {
  emulator = await emulate();
  client = twilio(emulator.account_sid, emulator.auth_token, { httpClient: new Redirected(emulator.url) });
  await emulator.control.inbound({ from: '+4915100000001', body: 'hello', webhook: false });
});
after(() => emulator?.stop());

const settled = () => emulator.control.ledger({ settled: 'true', wait: '20s' });

test('a message is created, and fetched until it is read', async () => {
  const created = await client.messages.create({ to: PERSON, from: SHOP, body: 'Grüße 👋' });
  assert.match(created.sid, /^SM[0-9a-f]{32}$/);
  assert.equal(created.status, 'queued');
  await settled();
  const fetched = await client.messages(created.sid).fetch();
  assert.deepEqual([fetched.status, fetched.body, fetched.to, fetched.from], ['read', 'Grüße 👋', PERSON, SHOP]);
});

test('lists are filtered and paged', async () => {
  const created = await Promise.all(Array.from({ length: 7 }, () => client.messages.create({ to: OTHER, from: SHOP, ...TEMPLATE })));
  await settled();
  const sids = created.map(({ sid }) => sid).sort();
  const listed = await client.messages.list({ to: OTHER, from: SHOP, pageSize: 3 });
  assert.deepEqual(listed.map(({ sid }) => sid).sort(), sids);
  const first = await client.messages.page({ to: OTHER, pageSize: 3 });
  const second = await first.nextPage();
  assert.equal(first.instances.length, 3);
  assert.equal(second.instances.length, 3);
  assert.equal((await client.messages.list({ to: OTHER, limit: 2 })).length, 2);
});

test('a scheduled message is canceled', async () => {
  const sendAt = new Date(Date.now() + 3_600_000);
  const scheduled = await client.messages.create({ to: OTHER, messagingServiceSid: SERVICE, scheduleType: 'fixed', sendAt, ...TEMPLATE });
  assert.equal(scheduled.status, 'scheduled');
  const canceled = await client.messages(scheduled.sid).update({ status: 'canceled' });
  assert.equal(canceled.status, 'canceled');
});

test('a bad wish is refused with the code of Twilio', async () => {
  const refused = (wish) => client.messages.create(wish).then(() => assert.fail('it was taken'), ({ status, code }) => [status, code]);
  assert.deepEqual(await refused({ to: PERSON, body: 'x' }), [400, 21603]);
  assert.deepEqual(await refused({ to: 'whatsapp:12', from: SHOP, body: 'x' }), [400, 21211]);
  assert.deepEqual(await refused({ to: PERSON, from: SHOP }), [400, 21619]);
});

test('the official validators accept what the emulator signs', async () => {
  const posts = [];
  const app = createServer(async (request, response) => {
    const chunks = await request.toArray();
    posts.push({ path: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() });
    response.writeHead(204).end();
  });
  await new Promise((resolve) => app.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${app.address().port}`;
  try {
    await client.messages.create({ to: PERSON, from: SHOP, body: 'x', statusCallback: `${url}/status?a=b%20c#rc=2` });
    await waitUntil(() => posts.length === 3, 'sent, delivered and read are told');
  } finally {
    app.closeAllConnections();
    app.close();
  }
  for (const { path, headers, body } of posts) {
    const form = Object.fromEntries(new URLSearchParams(body));
    const signature = headers['x-twilio-signature'];
    assert.ok(twilio.validateRequest(emulator.auth_token, signature, url + path, form));
    assert.ok(!twilio.validateRequest(emulator.auth_token, signature, url + path, { ...form, MessageStatus: 'forged' }));
    // The Express middleware's way to the same answer.
    const request = { header: (name) => headers[name.toLowerCase()], body: form, originalUrl: path, protocol: 'http', headers };
    assert.ok(twilio.validateExpressRequest(request, emulator.auth_token, { url: url + path }));
  }
});

test('bluetick lets in what the SDK signs, and nothing else', async () => {
  const data = mkdtempSync(join(TESTS, 'node-sdk-'));
  const bluetick = await demo(data);
  try {
    const url = `${bluetick.public_url}/webhooks/twilio/status`;
    const form = { MessageSid: `SM${'9'.repeat(32)}`, MessageStatus: 'delivered', AccountSid: bluetick.account_sid, To: PERSON, From: SHOP };
    const signature = twilio.getExpectedTwilioSignature(bluetick.auth_token, url, form);
    const post = async (fields, signed) => {
      const answer = await fetch(`${bluetick.url}/webhooks/twilio/status`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-twilio-signature': signed },
        body: new URLSearchParams(fields),
      });
      return answer.status;
    };
    assert.equal(await post(form, signature), 204);
    assert.equal(await post({ ...form, MessageStatus: 'read' }, signature), 403);
    assert.equal(await post(form, twilio.getExpectedTwilioSignature('another token', url, form)), 403);
  } finally {
    await bluetick.stop();
    rmSync(data, { recursive: true, force: true });
  }
});
