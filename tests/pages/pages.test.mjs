// Every page once in a real browser, driven through the API and the emulator, and looked at while things happen.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { call, demo, TESTS, waitUntil } from '../process/bluetick.mjs';
import { browse, inspect } from './browser.mjs';

const SHOP = 'whatsapp:+15550001111';
const READER = 'whatsapp:+4915100000042';
const REFUSED = 'whatsapp:+4915100003003';
const FAILING_CODE = 63003;
const TEMPLATE = { content_sid: 'HX00000000000000000000000000000001', variables: { 1: 'Ada', 2: '17' } };
/** Markup in a message is text, and no CSP violation either. */
const NASTY = '<img src=x onerror=alert(1)> & "Grüße" 👋';
/** `late` callbacks come 30 s after what they tell. */
const PAST_LATE_MS = 31_000;

let bluetick;
let browser;
let data;
let read;
let failed;

before(async () => {
  data = mkdtempSync(join(TESTS, 'pages-'));
  bluetick = await demo(data, { quiet: true });
  browser = await browse(bluetick);
  await bluetick.control.pace({ pace: 'instant', chatter: false });
  await bluetick.control.inbound({ from: '+4915100000042', body: NASTY, profile_name: 'Ada Example' });
  // Free text goes once bluetick has heard of it; the emulator answers before.
  await waitUntil(async () => (await bluetick.api('GET', `/v1/contacts/${READER}/metrics`)).body.windows?.some(({ open }) => open), 'the window is open');
  read = await send({ to: READER, body: NASTY, reference: 'order-17', tags: ['otp'] });
  failed = await send({ to: REFUSED, ...TEMPLATE });
  await bluetick.control.ledger({ messages: 2, settled: 'true', wait: '20s' });
});
after(async () => {
  await browser?.close();
  await bluetick?.stop();
  rmSync(data, { recursive: true, force: true });
});

async function send(draft) {
  const { status, body } = await bluetick.api('POST', '/v1/messages?wait=20s', { from: SHOP, ...draft });
  assert.equal(status, 202, JSON.stringify(body));
  assert.ok(body.sid, `Twilio did not get it: ${JSON.stringify(body)}`);
  return body;
}

/** The page says this status where the message's own status stands. */
const status = (page, value) => page.locator(`#head bt-status[value="${value}"]`);

test('the overview shows the figures, and they change live', async () => {
  const page = await browser.open('/');
  const accepted = page.locator('[data-tile="accepted"] .value');
  await page.waitForFunction(() => document.querySelector('[data-tile="accepted"] .value').textContent === '2');
  for (const tile of ['sent', 'delivered', 'read', 'failed', 'p95', 'queue', 'unknown']) {
    assert.match(await page.locator(`[data-tile="${tile}"] .value`).textContent(), /\d|–/, tile);
  }
  await page.locator('bt-chart#throughput svg').first().waitFor();
  await page.locator('bt-chart#delivery svg').first().waitFor();
  assert.match(await page.locator('#errors').textContent(), new RegExp(FAILING_CODE));
  await page.locator('#senders a').first().waitFor();

  await send({ to: READER, body: 'one more' });
  await page.waitForFunction(() => document.querySelector('[data-tile="accepted"] .value').textContent === '3');
  assert.equal(await accepted.textContent(), '3');
  await inspect(page, 'overview');
});

test('messages lists, filters from the URL, and changes its rows in place', async () => {
  const page = await browser.open('/messages');
  const row = (id) => page.locator(`tr[data-id="${id}"]`);
  await row(read.id).locator('bt-status[value="read"]').waitFor();
  await row(failed.id).locator('bt-status[value="undelivered"]').waitFor();
  assert.ok((await row(read.id).textContent()).includes(NASTY), 'markup is shown as text');
  await inspect(page, 'messages');

  await page.goto(`/messages?status=failed_any&code=${FAILING_CODE}`);
  await row(failed.id).waitFor();
  assert.equal(await page.locator('tr[data-id]').count(), 1);

  await page.goto('/messages');
  await bluetick.control.scenario({ to: READER, scenario: 'late', times: 1 });
  const late = await send({ to: READER, body: 'late news' });
  await page.goto('/messages?reference=order-17');
  await row(read.id).waitFor();
  assert.equal(await row(late.id).count(), 0);
  await page.goto('/messages');
  await row(late.id).waitFor();
  await bluetick.control.advance(PAST_LATE_MS);
  await row(late.id).locator('bt-status[value="read"]').waitFor();
  assert.deepEqual(page.complaints, []);
});

test('a message changes live when its callback arrives', async () => {
  await bluetick.control.scenario({ to: READER, scenario: 'late', times: 1 });
  const { id, sid } = await send({ to: READER, body: 'are you there?' });
  const page = await browser.open(`/messages/${id}`);
  await status(page, 'queued').waitFor();
  await page.locator('.live[data-state="live"]').waitFor();
  const facts = page.locator('#timeline li[data-fact]');
  const before = await facts.count();
  await page.evaluate(() => {
    window.sameDocument = true;
  });

  await bluetick.control.advance(PAST_LATE_MS);
  await status(page, 'read').waitFor();
  assert.ok(await page.evaluate(() => window.sameDocument), 'without loading the page again');
  await page.locator('#timeline li[data-fact="reported"]').nth(2).waitFor();
  assert.ok((await facts.count()) >= before + 3, 'sent, delivered and read are in the timeline');
  assert.equal(await page.locator('[data-step="read"]').getAttribute('data-reached'), 'true');
  await inspect(page, 'message');

  // A SID leads to the same page, and the address then carries the name that never changes.
  await page.goto(`/messages/${sid}`);
  await page.waitForURL(`**/messages/${id}`);
});

test('a failed message explains itself', async () => {
  const page = await browser.open(`/messages/${failed.id}`);
  await status(page, 'undelivered').waitFor();
  const { body: failure } = await bluetick.api('GET', `/v1/errors/${FAILING_CODE}`);
  const text = await page.locator('#failure').textContent();
  for (const part of [String(FAILING_CODE), failure.title, failure.action]) assert.ok(text.includes(part), part);
  await inspect(page, 'message-failed');
});

test('a contact shows what reached this person, and their window', async () => {
  const page = await browser.open(`/contacts/${encodeURIComponent(READER)}`);
  await page.locator('#figures [data-figure="read"] dd').waitFor();
  assert.match(await page.locator('#figures [data-figure="inbound"] dd').textContent(), /^1$/);
  await page.locator('#windows li[data-open="true"]').waitFor();
  await page.locator(`tr[data-id="${read.id}"]`).waitFor();
  assert.equal(await page.locator(`tr[data-id="${failed.id}"]`).count(), 0);
  await inspect(page, 'contact');
});

test('a sender shows its figures and its messages', async () => {
  const page = await browser.open(`/senders/${encodeURIComponent(SHOP)}`);
  await page.waitForFunction(() => /[1-9]/.test(document.querySelector('[data-tile="accepted"] .value').textContent));
  await page.locator('bt-chart#throughput svg').first().waitFor();
  await page.locator(`tr[data-id="${read.id}"]`).waitFor();
  await inspect(page, 'sender');
});

test('inbound shows what people wrote, and what they write now', async () => {
  const page = await browser.open('/inbound');
  await page.locator('tr[data-sid]', { hasText: NASTY }).waitFor();
  const { sid } = await bluetick.control.inbound({ from: '+4915100000043', body: 'just now' });
  await page.locator(`tr[data-sid="${sid}"]`).waitFor();
  assert.equal(await page.locator('tr[data-sid]').count(), 2);
  await inspect(page, 'inbound');
});

test('no data is shown to whoever is not logged in', async () => {
  for (const path of ['/admin/api/messages', '/admin/api/status']) {
    const { status: code, body } = await call('GET', bluetick.url + path);
    assert.deepEqual([code, body.code], [401, 'unauthorized'], path);
  }
});

test('older messages are a page away, and the newest one click back', async () => {
  const person = (number) => `whatsapp:+49151000018${String(number).padStart(2, '0')}`;
  const sent = await Promise.all(Array.from({ length: 53 }, (_, number) => send({ to: person(number), tags: ['paged'], ...TEMPLATE })));
  const page = await browser.open('/messages?tag=paged');
  const rows = (count) => page.waitForFunction((wanted) => document.querySelectorAll('tr[data-id]').length === wanted, count);
  const ids = () => page.locator('tr[data-id]').evaluateAll((found) => found.map((row) => row.dataset.id));
  await rows(50);
  const newest = await ids();
  await page.getByRole('link', { name: 'Older' }).click();
  await rows(3);
  assert.deepEqual([...newest, ...(await ids())].sort(), sent.map(({ id }) => id).sort());
  await page.getByRole('link', { name: 'Newest' }).click();
  await rows(50);
  assert.deepEqual((await ids()).sort(), newest.sort());
  assert.deepEqual(page.complaints, []);
});
