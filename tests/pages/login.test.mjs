// The door: the first person, a wrong password, the way back to where one wanted to go, leaving, and who else may come in.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { emulate, serve, TESTS, waitUntil } from '../process/bluetick.mjs';
import { browse, inspect, logIn } from './browser.mjs';

const PASSWORD = 'seven purple herons knit';
const OTHER = 'a kettle sings to the moss';

let emulator;
let bluetick;
let browser;
let data;

before(async () => {
  data = mkdtempSync(join(TESTS, 'login-'));
  emulator = await emulate();
  // Nobody is declared: the first person must come in by the code.
  bluetick = await serve(data, { ...emulator, api_url: emulator.url, env: { BLUETICK__HTTP__ADMIN_PASSWORD: '' } });
  browser = await browse(bluetick);
});
after(async () => {
  await browser?.close();
  await bluetick?.stop();
  await emulator?.stop();
  rmSync(data, { recursive: true, force: true });
});

/** What a phone with this secret shows now (RFC 6238). */
function totp(secret) {
  const bits = [...secret].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const hash = createHmac('sha1', key).update(step).digest();
  const code = hash.readUInt32BE(hash[19] & 15) & 0x7fffffff;
  return String(code % 1_000_000).padStart(6, '0');
}

const loggedIn = (page, user) => page.locator('.who .name', { hasText: user }).waitFor();

test('the first person comes in with the code that serve printed', async () => {
  const page = await browser.open('/messages');
  await page.waitForURL('**/login?next=%2Fmessages');
  await page.getByRole('heading', { name: 'Set bluetick up' }).waitFor();
  await inspect(page, 'setup');
  const code = await waitUntil(() => /Set-up code, for 30 minutes: ([0-9A-Z-]{19})/.exec(bluetick.log())?.[1], 'the code is printed');
  const fill = async (fields) => {
    for (const [name, value] of Object.entries(fields)) await page.locator(`input[name="${name}"]`).fill(value);
    await page.getByRole('button', { name: 'Make the first user' }).click();
  };
  await fill({ code, user: 'anna', password: 'password1234' });
  await page.getByText('would be guessed').waitFor();
  await fill({ code: 'AAAA-AAAA-AAAA-AAAA', user: 'anna', password: PASSWORD });
  await page.getByText('the set-up code is wrong').waitFor();
  await fill({ code: code.toLowerCase(), user: 'anna', password: PASSWORD });
  await page.getByRole('heading', { name: 'The recovery key' }).waitFor();
  assert.match(await page.locator('code.secret').textContent(), /^\S{71}$/);
  // The password that would be guessed was refused.
  page.complaints.length = 0;
  await inspect(page, 'recovery-key');
  await page.getByRole('button', { name: 'I have it' }).click();
  await page.waitForURL('**/messages');
  await loggedIn(page, 'anna');
});

test('whoever leaves sees nothing any more, also by going back', async () => {
  const page = await browser.open('/');
  await loggedIn(page, 'anna');
  await page.goto('/upkeep');
  await page.locator('tr[data-job]').first().waitFor();
  await page.locator('[data-verb="leave"]').click();
  await page.waitForURL('**/login');
  await page.getByRole('heading', { name: 'Log in' }).waitFor();
  await inspect(page, 'login');
  await page.goBack();
  await page.waitForURL('**/login**');
  await page.getByRole('heading', { name: 'Log in' }).waitFor();
  assert.equal(await page.locator('tr[data-job]').count(), 0);
});

test('a wrong password is said so, and the right one leads to where one wanted to go', async () => {
  const page = await browser.open('/messages?status=read');
  await page.waitForURL('**/login?next=*');
  for (const [user, password] of [['anna', 'wrong'], ['nobody', PASSWORD]]) {
    await page.locator('input[name="user"]').fill(user);
    await page.locator('input[name="password"]').fill(password);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByText('The name or the password is wrong.').waitFor();
    await page.waitForFunction(() => !document.querySelector('button[disabled]'));
  }
  await inspect(page, 'login-wrong');
  await logIn(page, 'anna', PASSWORD);
  await page.waitForURL('**/messages?status=read');
  await loggedIn(page, 'anna');
  assert.deepEqual(page.complaints, []);
});

test('the log-in leads to no other site', async () => {
  for (const next of ['https://evil.example/', '//evil.example/', '/\\evil.example', '/%5Cevil.example/..//evil.example', 'javascript:alert(1)', '/\t/evil.example', '/login?next=/login']) {
    const page = await browser.open(`/login?next=${encodeURIComponent(next)}`);
    await page.waitForURL((url) => url.origin === bluetick.url && url.pathname !== '/login');
    assert.deepEqual(page.complaints.filter((complaint) => complaint.startsWith('asked a stranger')), [], next);
  }
});

test('somebody is added, logs in, adds a phone, and is asked for its code', async (context) => {
  let page = await browser.open('/users');
  await page.getByRole('button', { name: 'Add somebody…' }).click();
  await page.locator('dialog input[name="name"]').fill('otto');
  await page.locator('dialog input[name="password"]').fill(OTHER);
  await page.locator('dialog').getByText('operator:').click();
  await page.locator('dialog').getByRole('button', { name: 'Add' }).click();
  await page.locator('tr[data-user="otto"]').waitFor();
  await page.locator('tr[data-session]').first().waitFor();
  await page.waitForFunction(() => !document.querySelector('.toast')?.textContent);
  await inspect(page, 'users');

  const others = await browse(bluetick);
  context.after(() => others.close());
  const theirs = await others.open('/users');
  await theirs.waitForURL('**/login?next=%2Fusers');
  await logIn(theirs, 'otto', OTHER);
  await loggedIn(theirs, 'otto');
  assert.equal(await theirs.locator('#users-card').isVisible(), false, 'who else there is, an operator is not told');
  await theirs.locator('[data-verb="enrol"]').click();
  const secret = (await theirs.locator('.totp-secret').textContent()).replaceAll(' ', '');
  await inspect(theirs, 'phone');
  await theirs.locator('input[name="code"]').fill(totp(secret));
  await theirs.getByRole('button', { name: 'It shows these' }).click();
  await theirs.getByText('The code of your phone is asked for when you log in.').waitFor();
  await theirs.locator('[data-verb="leave"]').click();
  await theirs.waitForURL('**/login');
  await theirs.locator('input[name="user"]').fill('otto');
  await theirs.locator('input[name="password"]').fill(OTHER);
  await theirs.getByRole('button', { name: 'Log in' }).click();
  await theirs.locator('input[name="code"]').fill('000000');
  await theirs.getByRole('button', { name: 'Log in' }).click();
  await theirs.getByText('A code is taken once').waitFor();
  await inspect(theirs, 'login-code');

  page = await browser.open('/users');
  await page.getByRole('button', { name: 'otto lost the phone' }).click();
  await page.locator('dialog').getByRole('button', { name: 'Ask for no code' }).click();
  await page.locator('tr[data-user="otto"]', { has: page.getByText('Change…') }).waitFor();
  await page.waitForFunction(() => !document.querySelector('[aria-label="otto lost the phone"]'));
});

test('what is dangerous asks once more who is there, and then does it', async () => {
  const page = await browser.open('/users');
  await page.locator('tr[data-user="otto"]').waitFor();
  const refusal = { status: 403, contentType: 'application/problem+json', body: JSON.stringify({ code: 'step_up_needed', status: 403, title: 'x', detail: 'x' }) };
  // Nobody waits five minutes here: the first answer is as if they were over.
  await page.route('**/admin/api/users/otto', (route) => route.fulfill(refusal), { times: 1 });
  await page.getByRole('button', { name: 'Remove otto' }).click();
  await page.locator('dialog').getByRole('button', { name: 'Remove' }).click();
  const dialog = page.locator('dialog.step-up');
  await dialog.locator('input[name="password"]').fill('wrong');
  await dialog.getByRole('button', { name: 'Confirm' }).click();
  await dialog.getByText('This password is wrong.').waitFor();
  page.complaints.length = 0;
  await inspect(page, 'step-up');
  await dialog.locator('input[name="password"]').fill(PASSWORD);
  await dialog.getByRole('button', { name: 'Confirm' }).click();
  await page.waitForFunction(() => !document.querySelector('tr[data-user="otto"]') && document.querySelector('tr[data-user="anna"]'));
  await page.locator('#sessions tr[data-session]').first().waitFor();
});
