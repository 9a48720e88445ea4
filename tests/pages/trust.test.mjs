// Secrets that rotate, keys that are shown once, webhooks that say why they were refused, and the log of who did it.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { emulate, serve, TESTS, waitUntil } from '../process/bluetick.mjs';
import { browse, inspect } from './browser.mjs';

const SHOP = 'whatsapp:+15550001111';
const ADMIN = { admin_user: 'admin', admin_password: 'password-of-the-outer-tests' };

let emulator;
let bluetick;
let browser;
let data;

before(async () => {
  data = mkdtempSync(join(TESTS, 'trust-'));
  emulator = await emulate();
  bluetick = await serve(data, { ...emulator, api_url: emulator.url });
  browser = await browse({ ...bluetick, ...ADMIN });
});
after(async () => {
  await browser?.close();
  await bluetick?.stop();
  await emulator?.stop();
  rmSync(data, { recursive: true, force: true });
});

/** A callback that Twilio signed for another host than ours. */
async function misdirected() {
  const fields = { AccountSid: emulator.account_sid, From: SHOP, MessageSid: `SM${'7'.repeat(32)}`, MessageStatus: 'sent', To: 'whatsapp:+4915100300000' };
  const url = 'https://wa.example.com/webhooks/twilio/status';
  const signed = url + Object.keys(fields).sort().map((name) => name + fields[name]).join('');
  const signature = createHmac('sha1', emulator.auth_token).update(signed).digest('base64');
  const headers = { 'X-Twilio-Signature': signature, 'X-Forwarded-Host': 'wa.example.com', 'X-Forwarded-Proto': 'https' };
  const response = await fetch(`${bluetick.url}/webhooks/twilio/status`, { method: 'POST', headers, body: new URLSearchParams(fields) });
  assert.equal(response.status, 403);
}

test('the auth token rotates when it is known who else uses it, and the old one is let in for a while', async () => {
  const page = await browser.open('/trust');
  await page.locator('[data-rotate="twilio_auth_token"]').click();
  await page.locator('dialog input[type="checkbox"]').check();
  await page.locator('dialog button[value="yes"]').click();
  await page.locator('tr[data-generation="2"] .tag[data-tone="good"]').waitFor();
  assert.match(await page.locator('tr[data-kind="twilio_auth_token"][data-generation="1"]').textContent(), /retiring.*until/);
  assert.match(await page.locator('#secrets').textContent(), /Without its file no backup of them opens/);
  await page.locator('[data-recovery]').click();
  const key = await page.locator('dialog.once code.secret').textContent();
  assert.match(key, /^([0-9a-f]{8}-){7}[0-9a-f]{8}$/);
  await page.locator('dialog.once button.primary').click();
  await page.locator('#secrets', { hasText: 'opens with the recovery key' }).waitFor();
  await inspect(page, 'trust');
});

test('a key is made for a program, shown once, used and revoked', async () => {
  const page = await browser.open('/trust');
  await page.locator('[data-new-key]').click();
  await page.locator('dialog input[name="name"]').fill('shop');
  await page.locator('dialog input[name="pii:read"]').uncheck();
  await inspect(page, 'trust-new-key');
  await page.locator('dialog button[value="yes"]').click();
  const secret = await page.locator('dialog.once code.secret').textContent();
  await page.locator('dialog.once button.primary').click();
  const opens = async () => (await fetch(`${bluetick.url}/v1/status`, { headers: { authorization: `Bearer ${secret}` } })).status;
  assert.equal(await opens(), 200);
  const row = page.locator('tr[data-key]', { hasText: 'shop' });
  assert.match(await row.locator('.scopes').textContent(), /^send messages:read events:read$/);
  assert.equal(await page.getByText(secret).count(), 0, 'it is not shown again');
  await row.locator('[data-revoke-key]').click();
  await page.locator('dialog button.danger').click();
  await row.waitFor({ state: 'detached' });
  assert.equal(await opens(), 401);
});

test('a refused webhook says which URL Twilio called, and what to do', async () => {
  await misdirected();
  const page = await browser.open('/trust');
  await page.locator('#quarantine-card:not([hidden])').waitFor();
  await page.locator('[data-why]').first().click();
  const said = await page.locator('[data-diagnosis]').textContent();
  assert.match(said, /https:\/\/wa\.example\.com/);
  assert.match(said, /public_url/);
  await inspect(page, 'trust-diagnosis');
  await page.keyboard.press('Escape');
  await page.locator('[data-replay]').click();
  await page.locator('.toast', { hasText: '0 let in, 1 still refused' }).waitFor();
});

test('the audit log says who did all that', async () => {
  const page = await browser.open('/trust');
  await waitUntil(async () => (await page.locator('#audit tbody tr').count()) >= 8, 'the log is shown');
  const log = await page.locator('#audit').textContent();
  for (const action of ['secret.rotated', 'key.created', 'key.revoked', 'recovery_key.made', 'POST /quarantine/replays']) assert.ok(log.includes(action), action);
});
