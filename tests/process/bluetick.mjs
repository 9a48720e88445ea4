// Starts the real binary and its neighbours, and stops them again; the same for Node as bluetick.py for Python.
// Nothing sleeps for a time: every wait is for a condition, with a bound.

import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export const TESTS = process.env.BLUETICK_TESTS;
export const BINARY = process.env.BLUETICK_BIN;
/** A debug binary on a busy machine starts in well under a second; past this it hangs. */
const PATIENCE_MS = 30_000;
const GLANCE_MS = 10;
/** Below the ports the kernel hands out by itself. */
const PORTS = { first: 20_000, count: 10_000 };

/** Packages are installed beside the build, where a plain import does not look. */
export const require = createRequire(join(TESTS, 'node', 'package.json'));

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** The first true value of `condition`. */
export async function waitUntil(condition, what, within = PATIENCE_MS) {
  const deadline = Date.now() + within;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not within ${within} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, GLANCE_MS));
  }
}

/** A port nobody listens on. */
export async function freePort() {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    const probe = createServer();
    const free = await new Promise((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error('no free port among 100');
}

/** A program with its log in a file. */
export function start(name, command, args, { env = {}, stdout = 'log' } = {}) {
  mkdirSync(join(TESTS, 'logs'), { recursive: true });
  const log = join(TESTS, 'logs', `${name}-${process.pid}.log`);
  const file = openSync(log, 'a');
  const inherited = ['PATH', 'HOME', 'TESTS_RUN_ID', 'RUST_BACKTRACE'].filter((key) => key in process.env).map((key) => [key, process.env[key]]);
  const child = spawn(command, args, {
    stdio: ['ignore', stdout === 'pipe' ? 'pipe' : file, file],
    env: { ...Object.fromEntries(inherited), ...env },
  });
  closeSync(file);
  running.add(child);
  let wanted = false;
  const ended = new Promise((resolve) => child.once('close', (code, signal) => {
    running.delete(child);
    if (!wanted) console.error(`${name} ended by itself with ${code ?? signal}; its log is ${log}`);
    resolve(code);
  }));
  return {
    child,
    log: () => readFileSync(log, 'utf8'),
    checkAlive() {
      const end = child.exitCode ?? child.signalCode;
      if (end !== null) throw new Error(`${name} ended with ${end}:\n${this.log().slice(-4000)}`);
    },
    async stop() {
      wanted = true;
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** What `work` gives; if it fails, the program does not outlive it. */
export async function orStop(program, work) {
  try {
    return await work();
  } catch (error) {
    await program.stop();
    throw error;
  }
}

/** One JSON request: `{ status, headers, body }`. */
export async function call(method, url, { json, form, headers = {} } = {}) {
  const body = json === undefined ? form && new URLSearchParams(form) : JSON.stringify(json);
  const answer = await fetch(url, {
    method, body, signal: AbortSignal.timeout(PATIENCE_MS),
    headers: { accept: 'application/json', ...(json !== undefined && { 'content-type': 'application/json' }), ...headers },
  });
  const text = await answer.text();
  let document = null;
  try {
    document = JSON.parse(text);
  } catch {
    // Not every answer is JSON; those who care look at the text.
  }
  return { status: answer.status, headers: answer.headers, body: document, text };
}

export const basic = (user, password) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

/** The emulator's control API. */
export function controls(url) {
  const tell = async (what, json) => {
    const { status, body } = await call('POST', `${url}/${what}`, { json });
    if (status >= 300) throw new Error(`${what}: ${status} ${JSON.stringify(body)}`);
    return body;
  };
  return {
    pace: (json) => tell('pace', json),
    scenario: (json) => tell('scenario', json),
    inbound: (json) => tell('inbound', json),
    advance: (ms) => tell('clock', { advance_ms: ms }),
    ledger: async (query) => (await call('GET', `${url}/ledger?${new URLSearchParams(query)}`)).body,
  };
}

/** `bluetick emulate`. */
export async function emulate() {
  const program = start('emulator', BINARY, ['emulate', '--port', '0'], { stdout: 'pipe' });
  const lines = createInterface({ input: program.child.stdout });
  const line = await new Promise((resolve, reject) => {
    lines.once('line', resolve);
    program.child.once('close', (code) => reject(new Error(`the emulator ended with ${code}:\n${program.log()}`)));
  });
  const said = JSON.parse(line);
  return { ...program, ...said, control: controls(said.control_url) };
}

/** `bluetick demo`, with its own traffic unless `quiet`. */
export async function demo(data, { quiet = false } = {}) {
  const args = ['demo', '--listen', '127.0.0.1:0', '--emulator', '127.0.0.1:0', '--data', data];
  const program = start(quiet ? 'demo-quiet' : 'demo', BINARY, quiet ? [...args, '--quiet'] : args);
  return orStop(program, async () => {
    const said = await waitUntil(() => {
      program.checkAlive();
      try {
        return existsSync(join(data, 'demo.json')) && JSON.parse(readFileSync(join(data, 'demo.json'), 'utf8'));
      } catch {
        return false;
      }
    }, 'demo.json is written');
    const running = { ...program, ...said, api: client(said.url, said.api_key), control: controls(said.control_url) };
    await waitUntil(() => answers(running, '/readyz'), 'bluetick is ready');
    return running;
  });
}

/** `bluetick serve`, configured by its environment alone. */
export async function serve(data, { api_url: apiUrl, account_sid: accountSid, auth_token: authToken, env = {} }) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const apiKey = 'key-of-the-outer-tests-0123456789abcdef';
  const program = start('serve', BINARY, ['serve'], {
    env: {
      // Whatever file this machine has in the usual places does not count.
      BLUETICK_CONFIG: '/dev/null',
      BLUETICK__MODE: 'sandbox',
      BLUETICK__PUBLIC_URL: url,
      BLUETICK__HTTP__LISTEN: `127.0.0.1:${port}`,
      BLUETICK__HTTP__API_KEY: apiKey,
      BLUETICK__HTTP__ADMIN_USER: 'admin',
      BLUETICK__HTTP__ADMIN_PASSWORD: 'password-of-the-outer-tests',
      BLUETICK__STORE__DIR: data,
      BLUETICK__TWILIO__API_URL: apiUrl,
      BLUETICK__TWILIO__ACCOUNT_SID: accountSid,
      BLUETICK__TWILIO__AUTH_TOKEN: authToken,
      BLUETICK__TWILIO__FROM: 'whatsapp:+15550001111',
      ...env,
    },
  });
  const running = { ...program, url, api: client(url, apiKey) };
  await orStop(program, () => waitUntil(() => answers(running, '/healthz'), 'bluetick listens'));
  return running;
}

/** Calls with the API key. */
function client(url, key) {
  return (method, path, json) => call(method, url + path, { json, headers: { authorization: `Bearer ${key}` } });
}

async function answers(running, path) {
  running.checkAlive();
  return fetch(running.url + path).then(({ status }) => status === 200, () => false);
}
