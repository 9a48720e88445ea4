// The demo as a newcomer sees it: within seconds there is something to look at, and nothing on the page complains.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { demo, TESTS } from '../process/bluetick.mjs';
import { browse, inspect } from './browser.mjs';

let bluetick;
let browser;
let data;

before(async () => {
  data = mkdtempSync(join(TESTS, 'traffic-'));
  bluetick = await demo(data);
  browser = await browse(bluetick);
});
after(async () => {
  await browser?.close();
  await bluetick?.stop();
  rmSync(data, { recursive: true, force: true });
});

test('the demo fills the overview and the list by itself', async () => {
  const page = await browser.open('/');
  await page.waitForFunction(() => Number(document.querySelector('[data-tile="delivered"] .value').textContent.replace(/\D/g, '')) >= 3);
  await page.locator('bt-chart#throughput svg').first().waitFor();
  await inspect(page, 'traffic-overview');

  await page.goto('/messages');
  await page.locator('tr[data-id] bt-status[value="delivered"], tr[data-id] bt-status[value="read"]').first().waitFor();
  assert.ok((await page.locator('tr[data-id]').count()) >= 3);
  await inspect(page, 'traffic-messages');
  assert.equal(await page.locator('tr[data-left]').count(), 0, 'where there is no filter, no row falls out of it');
});
