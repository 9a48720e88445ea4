// A real browser that remembers every complaint: console errors, exceptions, broken requests, CSP violations.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { require, TESTS } from '../process/bluetick.mjs';

const { chromium } = require('playwright-core');
const { AxeBuilder } = require('@axe-core/playwright');

/** It talks to nobody but the page. */
const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic', '--no-first-run'];
/** Longer than anything a page should take on a busy machine. */
const PATIENCE_MS = 20_000;
/** Being told to log in is no fault of a page. */
const REFUSED = /status of 401/;
const SCREENSHOTS = join(TESTS, 'screenshots');
const WIDE = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };

/**
 * One browser for all pages of one bluetick; one page at a time, since each holds a stream open and a host gets six. Whoever
 * is named logs in as people do; without a name the browser stays a stranger.
 */
export async function browse({ url, admin_user: user = null, admin_password: password }) {
  mkdirSync(SCREENSHOTS, { recursive: true });
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ARGS });
  const context = await browser.newContext({ baseURL: url, viewport: WIDE, reducedMotion: 'reduce' });
  context.setDefaultTimeout(PATIENCE_MS);
  let page = null;
  const opener = {
    /** Opens a page in place of the one before; `complaints` fills while it lives. */
    async open(path) {
      await page?.close();
      page = await context.newPage();
      const complaints = [];
      page.on('console', (message) => message.type() === 'error' && !REFUSED.test(message.text()) && complaints.push(`console: ${message.text()}`));
      page.on('pageerror', (error) => complaints.push(`exception: ${error}`));
      page.on('response', (response) => response.status() >= 400 && response.status() !== 401 && complaints.push(`${response.status()} ${response.url()}`));
      page.on('request', (request) => new URL(request.url()).origin === url || complaints.push(`asked a stranger: ${request.url()}`));
      await page.addInitScript(() => {
        document.addEventListener('securitypolicyviolation', (event) => console.error(`CSP ${event.violatedDirective} ${event.blockedURI}`));
      });
      const answer = await page.goto(path);
      const policy = answer.headers()['content-security-policy'] ?? '';
      assert.match(policy, /default-src 'none'/, 'the page has a content security policy');
      assert.doesNotMatch(policy, /unsafe/);
      return Object.assign(page, { complaints });
    },
    close: () => browser.close(),
  };
  if (user) await logIn(await opener.open('/login'), user, password);
  return opener;
}

/** Fills the form of the log-in and waits until it lets one in. */
export async function logIn(page, user, password) {
  await page.locator('input[name="user"]').fill(user);
  await page.locator('input[name="password"]').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL((url) => url.pathname !== '/login');
}

/** Pictures in light, dark and on a phone; no serious accessibility violation in any; nothing complained. */
export async function inspect(page, name) {
  for (const [look, colorScheme, size] of [['light', 'light', WIDE], ['dark', 'dark', WIDE], ['phone', 'light', PHONE]]) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    // The colours change with the next frame, not at once.
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
    await page.screenshot({ path: join(SCREENSHOTS, `${name}-${look}.png`), fullPage: true });
    const { violations } = await new AxeBuilder({ page }).analyze();
    const bad = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
    assert.deepEqual(bad.map(({ id, nodes }) => [id, nodes.map(({ html, any }) => [html, any[0]?.message]).slice(0, 3)]), [], `${name} ${look}: accessibility`);
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wider <= 0, `${name} ${look}: scrolls sideways by ${wider} px`);
  }
  await page.setViewportSize(WIDE);
  assert.deepEqual(page.complaints, [], `${name}: complaints`);
}
