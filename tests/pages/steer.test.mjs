// What people do on the pages: hold, release, retry, pause, opt out; and what the pages say of doubles and of asking.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { call, emulate, serve, TESTS, waitUntil } from '../process/bluetick.mjs';
import { browse, inspect } from './browser.mjs';

const SHOP = 'whatsapp:+15550001111';
const TEMPLATE = { content_sid: 'HX00000000000000000000000000000001', variables: { 1: 'Ada', 2: '17' } };
const LATER = new Date(Date.now() + 86_400_000).toISOString();
/** Lost answers are looked for within a second and a half, and Twilio is asked every second. */
const QUICK = { BLUETICK__POLICY__SETTLE_MS: '1500', BLUETICK__POLICY__RECONCILE_AFTER_MS: '1000', BLUETICK__POLICY__POLL_AFTER_MS: '500' };
const ADMIN = { admin_user: 'admin', admin_password: 'password-of-the-outer-tests' };
/** Longer than any test, and what the emulator's clock is then moved by. */
const HOUR_MS = 3_600_000;
/** Whoever pauses everything may be told by /readyz that nothing goes. */
const NOT_READY = /readyz|status of 503/;
const PERMANENT = '63024';
const DOUBTFUL = '30008';

let emulator;
let bluetick;
let browser;
let data;
/** Far from the numbers whose last digits mean something to the emulator. */
let person = 4915100105000;

before(async () => {
  data = mkdtempSync(join(TESTS, 'steer-'));
  emulator = await emulate();
  bluetick = await serve(data, { ...emulator, api_url: emulator.url, env: QUICK });
  await tell('webhooks', { inbound_url: `${bluetick.url}/webhooks/twilio/inbound`, status_callback_url: `${bluetick.url}/webhooks/twilio/status` });
  browser = await browse({ ...bluetick, ...ADMIN });
});
after(async () => {
  await browser?.close();
  await bluetick?.stop();
  await emulator?.stop();
  rmSync(data, { recursive: true, force: true });
});

/** Someone nobody has written to yet, with a number that nothing happens to. */
function stranger() {
  person += 1;
  return `whatsapp:+${person}`;
}

async function tell(what, json) {
  const { status, text } = await call('POST', `${emulator.control_url}/${what}`, { json });
  assert.ok(status < 300, `${what}: ${status} ${text}`);
}

async function api(method, path, json) {
  const { status, body, text } = await bluetick.api(method, path, json);
  assert.ok(status < 300, `${method} ${path}: ${status} ${text}`);
  return body;
}

const send = (draft) => api('POST', '/v1/messages', { from: SHOP, ...TEMPLATE, ...draft });

/** Waits until the message has one of these statuses. */
function until(id, ...statuses) {
  return waitUntil(async () => {
    const message = await api('GET', `/v1/messages/${id}`);
    return statuses.includes(message.status) && message;
  }, `${id} is ${statuses}`);
}

const status = (page, value) => page.locator(`#head bt-status[value="${value}"]`);
/** Complaints that belong to what was just done: a refusal, or not being ready. */
function forgive(page, complaint) {
  page.complaints.splice(0, page.complaints.length, ...page.complaints.filter((one) => !complaint.test(one)));
}

const verb = (page, name) => page.locator(`main [data-verb="${name}"]`);
const live = (page) => page.locator('.live[data-state="live"]').waitFor();

test('a message is held, released and sent while one looks at it', async () => {
  const { id } = await send({ to: stranger(), send_at: LATER });
  const page = await browser.open(`/messages/${id}`);
  await status(page, 'pending').waitFor();
  await live(page);
  assert.equal(await verb(page, 'retry').count(), 0, 'what has not failed is not retried');
  await verb(page, 'hold').click();
  await status(page, 'held').waitFor();
  await page.locator('.standing', { hasText: 'Someone held it' }).waitFor();
  await page.locator('#timeline li[data-fact="held"]').waitFor();
  await inspect(page, 'message-held');
  await verb(page, 'release').click();
  await status(page, 'read').waitFor();
  await page.locator('#timeline li[data-fact="released"]').waitFor();
  assert.equal(await page.locator('.standing').count(), 0);
  assert.deepEqual(page.complaints, []);
});

test('an opt-out suppresses, is refused a retry with its reason, and gives way when it is removed', async () => {
  const to = stranger();
  const page = await browser.open('/opt-outs');
  await page.locator('bt-empty').waitFor();
  await live(page);
  await inspect(page, 'opt-outs-empty');
  await page.locator('#add').click();
  await page.locator('dialog input[name="contact"]').fill(to.replace('whatsapp:', ''));
  await page.locator('dialog input[name="note"]').fill('told us on the phone');
  await page.screenshot({ path: join(TESTS, 'screenshots', 'opt-out-dialog.png') });
  await page.locator('dialog button[value="yes"]').click();
  await page.locator(`tr[data-contact="${to}"][data-scope="all"]`, { hasText: 'told us on the phone' }).waitFor();
  await inspect(page, 'opt-outs');

  const { id } = await send({ to });
  await until(id, 'suppressed');
  await page.goto(`/messages/${id}`);
  await page.locator('.standing', { hasText: 'opted out' }).waitFor();
  await verb(page, 'retry').click();
  assert.match(await page.locator('.refusal').textContent(), /has opted out/);
  forgive(page, /409/);
  await inspect(page, 'message-suppressed');

  await page.goto(`/contacts/${encodeURIComponent(to)}`);
  await page.locator('#opt-outs', { hasText: 'told us on the phone' }).waitFor();
  await inspect(page, 'contact-opted-out');
  await verb(page, 'opt-in').click();
  await page.locator('dialog button[value="yes"]').click();
  await page.locator('#opt-outs .calm').waitFor();
  assert.deepEqual((await api('GET', '/v1/opt-outs')).opt_outs, []);

  await page.goto(`/messages/${id}`);
  await verb(page, 'retry').click();
  await status(page, 'read').waitFor();
  await page.locator('#timeline li[data-fact="retried"]').waitFor();
});

test('what may have arrived is sent again only after a warning', async () => {
  const to = stranger();
  await tell('scenario', { to, scenario: `fails_${DOUBTFUL}`, times: 1 });
  const { id } = await send({ to });
  await until(id, 'undelivered');
  const page = await browser.open(`/messages/${id}`);
  await page.locator('#failure [data-verb="retry"]').click();
  await page.locator('dialog', { hasText: 'may arrive twice' }).waitFor();
  await page.keyboard.press('Escape');
  await status(page, 'undelivered').waitFor();
  await page.keyboard.press('r');
  await page.locator('dialog button[value="yes"]').click();
  await status(page, 'read').waitFor();
  assert.equal(await page.locator('.attempt').count(), 2);
  assert.deepEqual(page.complaints, []);
});

test('retrying all that match first says what the API says, then does it', async () => {
  const tag = 'campaign';
  for (const code of [PERMANENT, PERMANENT, DOUBTFUL]) {
    const to = stranger();
    await tell('scenario', { to, scenario: `fails_${code}`, times: 1 });
    const { id } = await send({ to, tags: [tag] });
    await until(id, 'undelivered', 'failed');
  }
  const page = await browser.open(`/messages?status=failed_any&tag=${tag}`);
  await page.locator('tr[data-id]').nth(2).waitFor();
  await page.locator('#retry-matching').click();
  const shown = async () => {
    await page.locator('.retries tbody tr').first().waitFor();
    return page.locator('.retries tbody tr').evaluateAll((rows) => rows.map((row) => ({
      code: row.dataset.code, retried: Number(row.querySelector('[data-retried]').dataset.retried), never: Number(row.querySelector('[data-never]').dataset.never),
    })));
  };
  const told = async (mayDuplicate) => {
    const { by_code: codes } = await api('POST', '/v1/retries', { filter: { tag }, dry_run: true, may_duplicate: mayDuplicate });
    return codes.map(({ code, retried, never }) => ({ code: String(code), retried, never }));
  };
  assert.deepEqual(await shown(), await told(false));
  assert.ok(await page.locator('[data-verb="retry-all"]').isDisabled(), 'nothing of it helps');
  await page.screenshot({ path: join(TESTS, 'screenshots', 'retries-dialog.png') });
  await page.locator('.retries input[type="checkbox"]').check();
  await page.waitForFunction(() => document.querySelector('[data-verb="retry-all"]')?.disabled === false);
  assert.deepEqual(await shown(), await told(true));
  await page.screenshot({ path: join(TESTS, 'screenshots', 'retries-dialog-doubtful.png') });
  await page.locator('[data-verb="retry-all"]').click();
  await page.locator('.done[data-result="1"]').waitFor();
  await page.getByRole('button', { name: 'Close' }).click();
  await page.locator('tr[data-id] bt-status[value="read"]').waitFor();
  assert.deepEqual(page.complaints, []);
});

test('rows are selected by key and by click, and steered together', async () => {
  const tag = 'together';
  const ids = [];
  for (let number = 0; number < 4; number += 1) ids.push((await send({ to: stranger(), tags: [tag], send_at: LATER })).id);
  const page = await browser.open(`/messages?tag=${tag}`);
  await page.locator('tr[data-id]').nth(3).waitFor();
  await live(page);
  await page.keyboard.press('j');
  await page.keyboard.press('x');
  assert.equal(await page.locator('tr[aria-selected]').count(), 1);
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('X');
  assert.equal(await page.locator('tr[aria-selected]').count(), 3);
  await page.keyboard.press('Tab');
  const focused = await page.evaluate(() => getComputedStyle(document.activeElement.closest('tr, bt-status, button, a')).outlineStyle);
  assert.notEqual(focused, 'none', 'one sees where the focus is');
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('tr[aria-selected]').count(), 0);
  assert.match(page.url(), /tag=/, 'the first Escape only takes the selection away');
  await page.locator('tr[data-id] .pick input').first().click();
  await page.locator('tr[data-id] .pick input').last().click({ modifiers: ['Shift'] });
  assert.equal(await page.locator('tr[aria-selected]').count(), 4);
  await inspect(page, 'messages-selected');
  assert.ok(await verb(page, 'retry').isDisabled());
  await verb(page, 'hold').click();
  await page.locator('.result [data-done="4"]').waitFor();
  await page.locator('tr[data-id] bt-status[value="held"]').nth(3).waitFor();
  await inspect(page, 'messages-held');

  await page.locator('thead .pick input').check();
  await verb(page, 'release').click();
  await page.locator('.result [data-done="4"]').waitFor();
  await page.locator('tr[data-id] bt-status[value="read"]').nth(3).waitFor();
  await page.locator('thead .pick input').check();
  for (const name of ['retry', 'hold', 'release', 'cancel']) assert.ok(await verb(page, name).isDisabled(), `${name}: these have arrived`);
  assert.deepEqual(page.complaints, []);
});

test('the big switch stops everything, says so on every page, and resumes live', async () => {
  const page = await browser.open('/');
  await live(page);
  await page.locator('#pause').click();
  await page.locator('dialog input[name="note"]').fill('wrong price in the template');
  await page.screenshot({ path: join(TESTS, 'screenshots', 'pause-dialog.png') });
  await page.locator('dialog button[value="yes"]').click();
  const banner = page.locator('.pause[data-scope="all"]');
  await banner.waitFor();
  assert.match(await banner.textContent(), /wrong price in the template/);
  assert.ok(await page.locator('#pause').isHidden());
  const { id } = await send({ to: stranger() });
  forgive(page, NOT_READY);
  await inspect(page, 'overview-paused');
  await page.goto(`/messages/${id}`);
  await page.locator('.standing', { hasText: 'waits for the pause' }).waitFor();
  await live(page);
  forgive(page, NOT_READY);
  await inspect(page, 'message-paused');
  assert.equal((await api('GET', `/v1/messages/${id}`)).status, 'pending');
  await page.locator('bt-shell [data-verb="resume"]').click();
  await status(page, 'read').waitFor();
  await banner.waitFor({ state: 'detached' });
  assert.deepEqual((await api('GET', '/v1/pauses')).pauses, []);
  forgive(page, NOT_READY);
  assert.deepEqual(page.complaints, []);
});

test('a template that Twilio paused holds only its own, says why, and lets go when resumed', async () => {
  const template = { content_sid: 'HX00000000000000000000000000000002', variables: { 1: 'Ada', 2: '17' } };
  const to = stranger();
  await tell('scenario', { to, scenario: 'fails_63041', times: 1 });
  const { id } = await send({ to, ...template });
  await until(id, 'held');
  const other = await send({ to: stranger() });
  await until(other.id, 'read');
  const page = await browser.open('/');
  const strip = page.locator(`.pause[data-scope="template:${template.content_sid}"]`);
  await strip.waitFor();
  assert.match(await strip.textContent(), /63041.*test/s, 'why, and that one message goes as a test');
  await inspect(page, 'overview-template-paused');
  await page.goto(`/messages/${id}`);
  await page.locator('.standing', { hasText: 'Its template is paused' }).waitFor();
  await inspect(page, 'message-template-paused');
  await page.locator('#standing .pause [data-verb="resume"]').click();
  await status(page, 'read').waitFor();
  assert.equal(await page.locator('#failure .failure').count(), 0, 'what failed once and arrived is no failure');
  assert.deepEqual(page.complaints, []);
});

test('a sender is paused and resumed on its own page', async () => {
  const page = await browser.open(`/senders/${encodeURIComponent(SHOP)}`);
  await live(page);
  await page.locator('#pause').click();
  await page.locator('dialog button[value="yes"]').click();
  await page.locator(`#paused .pause[data-scope="sender:${SHOP}"]`).waitFor();
  await inspect(page, 'sender-paused');
  await verb(page, 'resume').click();
  await page.locator('#paused .pause').waitFor({ state: 'detached' });
  assert.deepEqual(page.complaints, []);
});

test('a lost answer is told apart, and a double send is never hidden', async () => {
  // Accepted with a 500, missing from lists, and its callbacks late: as if Twilio never had it, until it shows up.
  await tell('chaos', { error_after: 1, shuffled: 1, shuffle_ms: HOUR_MS, list_lag_ms: HOUR_MS });
  const { id } = await send({ to: stranger() });
  await until(id, 'unknown');
  const page = await browser.open(`/messages/${id}`);
  await page.locator('.standing', { hasText: 'Nobody knows yet' }).waitFor();
  await inspect(page, 'message-unknown');
  await tell('chaos', {});
  await page.locator('#timeline li[data-fact="absent"]').waitFor();
  await status(page, 'read').waitFor();
  await page.locator('.attempt[data-attempt="1"]', { hasText: 'written off' }).waitFor();
  await tell('clock', { advance_ms: HOUR_MS });
  await page.locator('[data-notice="duplicate"]').waitFor();
  await page.locator('#head .flag', { hasText: 'sent twice' }).waitFor();
  await inspect(page, 'message-twice');
  await page.goto('/messages?status=attention');
  await page.locator(`tr[data-id="${id}"] .flag`, { hasText: 'sent twice' }).waitFor();
  await page.goto('/');
  await page.locator('#care [data-figure="resent"] dd', { hasText: '1' }).waitFor();
});

test('what no callback told is marked as asked for', async () => {
  const to = stranger();
  await tell('scenario', { to, scenario: 'lost', times: 1 });
  const { id } = await send({ to });
  await until(id, 'read');
  const page = await browser.open(`/messages/${id}`);
  await page.locator('#timeline li[data-fact="reported"][data-source="poll"] .untimed').first().waitFor();
  assert.match(await page.locator('[data-step="read"]').textContent(), /at or before/);
  for (const step of ['sent', 'delivered', 'read']) assert.equal(await page.locator(`[data-step="${step}"]`).getAttribute('data-reached'), 'true', step);
  assert.match(await page.locator('#timeline li[data-source="poll"] .source').first().textContent(), /Asked/);
  await inspect(page, 'message-asked');

  await emulator.control.inbound({ from: to.replace('whatsapp:', ''), body: 'nobody told you of this', webhook: false });
  await page.goto('/inbound');
  await page.locator('tr[data-sid]', { hasText: 'nobody told you of this' }).locator('[data-source="poll"]').waitFor();
  await inspect(page, 'inbound-asked');
});

test('no word of a query is dropped', async () => {
  const page = await browser.open('/messages');
  const box = page.locator('#query');
  const ask = async (typed) => {
    await box.fill(typed);
    await box.press('Enter');
  };
  await ask('order 17');
  await page.waitForURL(/reference=order\+17$/);
  assert.equal((await box.inputValue()).trim(), 'reference:"order 17"');
  await ask('status:failed status:refused tag:x');
  await page.waitForURL((url) => url.searchParams.get('status') === 'failed,refused' && url.searchParams.get('tag') === 'x');
  for (const wrong of ['tag:a tag:b', 'color:red', 'status:', 'hello reference:x']) {
    await ask(wrong);
    await page.locator('#query-hint:not(:empty)').waitFor();
    assert.equal(await box.inputValue(), wrong, 'what was typed stays');
  }
  await page.locator('.find input').fill('color:red to:+49');
  await page.locator('.find input').press('Enter');
  await page.locator('#query-hint', { hasText: 'color' }).waitFor();
  assert.equal(await box.inputValue(), 'color:red to:+49');
});

test('without a public URL the overview says that everything works by asking, and it does', async () => {
  const folder = mkdtempSync(join(TESTS, 'asking-'));
  const quiet = await emulate();
  const asking = await serve(folder, { ...quiet, api_url: quiet.url, env: { ...QUICK, BLUETICK__PUBLIC_URL: undefined } });
  const other = await browse({ ...asking, ...ADMIN });
  try {
    const { body } = await asking.api('POST', '/v1/messages', { from: SHOP, to: stranger(), ...TEMPLATE });
    const page = await other.open('/');
    await page.locator('[data-notice="asking"]').waitFor();
    await inspect(page, 'overview-asking');
    await page.goto(`/messages/${body.id}`);
    await status(page, 'read').waitFor();
  } finally {
    await other.close();
    await asking.stop();
    await quiet.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
