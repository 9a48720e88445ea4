// What is done from time to time, the archive and the backups; a person's data as a file, and their erasure.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { BINARY, emulate, serve, TESTS, waitUntil } from '../process/bluetick.mjs';
import { browse, inspect } from './browser.mjs';

const SHOP = 'whatsapp:+15550001111';
const TEMPLATE = { content_sid: 'HX00000000000000000000000000000001', variables: { 1: 'Ada', 2: '17' } };
const ADMIN = { admin_user: 'admin', admin_password: 'password-of-the-outer-tests' };
const PERSON = '+4915100205000';

let emulator;
let bluetick;
let browser;
let data;
let archived;

before(async () => {
  data = mkdtempSync(join(TESTS, 'upkeep-'));
  emulator = await emulate();
  const start = () => serve(data, { ...emulator, api_url: emulator.url });
  bluetick = await start();
  archived = [];
  for (const to of [PERSON, PERSON, '+4915100206000']) {
    const { body } = await bluetick.api('POST', '/v1/messages', { from: SHOP, to: `whatsapp:${to}`, ...TEMPLATE });
    archived.push(body.id);
  }
  for (const id of archived) {
    await waitUntil(async () => (await bluetick.api('GET', `/v1/messages/${id}`)).body.status === 'read', `${id} is read`);
  }
  await bluetick.stop();
  const said = execFileSync(BINARY, ['archive', 'run', '--older-than-days', '0', '--data', data], { encoding: 'utf8' });
  assert.match(said, /3 messages moved into 1 segment/);
  bluetick = await start();
  browser = await browse({ ...bluetick, ...ADMIN });
});
after(async () => {
  await browser?.close();
  await bluetick?.stop();
  await emulator?.stop();
  rmSync(data, { recursive: true, force: true });
});

test('the jobs say how they went and when they are next, and one runs now', async () => {
  const page = await browser.open('/upkeep');
  await page.locator('tr[data-job]').first().waitFor();
  assert.deepEqual(await page.locator('tr[data-job] .name strong').allTextContents(), ['retention', 'archive', 'rewrite', 'backup', 'reminders']);
  assert.match(await page.locator('tr[data-job="backup"] .next').textContent(), /0 30 3 \* \* \*/);
  assert.match(await page.locator('#archive').textContent(), /3 messages in .*archive/);
  await page.locator('[data-segment="1"]').waitFor();
  await page.locator('[data-run="backup"]').click();
  await page.locator('tr[data-job="backup"] .outcome[data-tone="good"]').waitFor();
  await page.locator('#backups tbody tr').waitFor();
  assert.match(await page.locator('tr[data-job="backup"] .last').textContent(), /backup\.zst, \d+ bytes/);
  await inspect(page, 'upkeep');
});

test('an archived message is shown as ever, and says where it is kept', async () => {
  const page = await browser.open(`/messages/${archived[0]}`);
  await page.locator('#head bt-status[value="read"]').waitFor();
  await page.locator('#facts').getByText('in the archive').waitFor();
  assert.deepEqual(page.complaints, []);
});

test('a person’s data is exported, and the person erased only by whoever types their number', async () => {
  const page = await browser.open(`/contacts/whatsapp:${PERSON}`);
  await page.locator('[data-verb="erase"]').waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByText('Export as a file').click()]);
  const exported = JSON.parse((await (await download.createReadStream()).toArray()).join(''));
  assert.deepEqual([exported.messages.length, exported.contact.names[0]], [2, `whatsapp:${PERSON}`]);
  await page.locator('[data-verb="erase"]').click();
  await page.locator('dialog[open] input[name="typed"]').fill('+49151');
  await page.locator('dialog[open]').getByText('Erase for good').click();
  await page.getByText('Not erased: what was typed is not this person').waitFor();
  await page.locator('[data-verb="erase"]').click();
  await page.locator('dialog[open] input[name="typed"]').fill(PERSON);
  await page.locator('dialog[open]').getByText('Erase for good').click();
  await page.getByText('This person is erased').waitFor();
  await inspect(page, 'erased');
  const { status } = await bluetick.api('GET', `/v1/messages/${archived[0]}`);
  assert.equal(status, 404);
  await waitUntil(async () => {
    const { body } = await bluetick.api('GET', '/v1/jobs');
    return !body.data.some(({ wanted_at: wanted }) => wanted);
  }, 'the archive has lost them');
  const { body: archive } = await bluetick.api('GET', '/v1/archive');
  assert.deepEqual([archive.messages, archive.segments.map(({ messages }) => messages)], [1, [1]]);
});
