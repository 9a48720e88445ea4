// Twilio as its own OpenAPI describes it: prism, with the Messages part of the document that Twilio publishes.
// In front of it a recorder, because prism answers every create with one example SID, and ignores unknown parameters.

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { freePort, orStop, start, TESTS, waitUntil } from '../process/bluetick.mjs';

const PACKAGES = join(TESTS, 'node', 'node_modules');
const PUBLISHED = join(PACKAGES, '@twilio-alpha/mcp/twilio-oai/spec/json/twilio_api_v2010.json');
const PRISM = join(PACKAGES, '@stoplight/prism-cli/dist/index.js');
const EXAMPLE_SID = /\b(SM|MM)a{32}\b/g;

/** The Messages paths and what they refer to: a thirtieth of the document, so prism starts at once. */
function messagesPart() {
  const document = JSON.parse(readFileSync(PUBLISHED, 'utf8'));
  const paths = Object.fromEntries(Object.entries(document.paths).filter(([path]) => /\/\{AccountSid\}\/Messages[./]/.test(path)));
  const schemas = {};
  const walk = (value) => {
    if (value === null || typeof value !== 'object') return;
    const name = value.$ref?.split('/').at(-1);
    if (name && !schemas[name]) {
      schemas[name] = document.components.schemas[name];
      walk(schemas[name]);
    }
    // The document calls its relative page links URIs, and its own examples then fail.
    for (const [key, link] of Object.entries(value)) if (/(^|_)uri$/.test(key) && link?.format === 'uri') delete link.format;
    Object.values(value).forEach(walk);
  };
  walk(paths);
  // prism reads a list of one in a form as a plain value.
  for (const property of Object.values(parameters(paths))) {
    if (property.type === 'array') Object.assign(property, { type: undefined, anyOf: [property.items, { type: 'array', items: property.items }] });
  }
  return { ...document, paths, components: { ...document.components, schemas } };
}

/** What a create takes, by name. */
function parameters(paths) {
  const [, { post }] = Object.entries(paths).find(([path]) => path.endsWith('/Messages.json'));
  return post.requestBody.content['application/x-www-form-urlencoded'].schema.properties;
}

/** Starts `prism mock`, or `prism proxy` in front of `upstream`; both answer an invalid request or response with an error. */
export async function prism({ upstream } = {}) {
  const document = messagesPart();
  const file = join(TESTS, 'twilio-messages.json');
  writeFileSync(file, JSON.stringify(document));
  const port = await freePort();
  const args = upstream ? ['proxy', file, upstream] : ['mock', file];
  const program = start('prism', process.execPath, [PRISM, ...args, '--errors', '--host', '127.0.0.1', '--port', String(port)]);
  const url = `http://127.0.0.1:${port}`;
  await orStop(program, () => waitUntil(() => {
    program.checkAlive();
    return fetch(url).then(() => true, () => false);
  }, 'prism listens'));
  return { ...program, url, document };
}

/** Passes everything on to prism, keeps it, and gives every create a SID of its own. */
export async function recorder(prism) {
  const exchanges = [];
  const known = parameters(prism.document.paths);
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    const { host, connection, 'content-length': _, ...headers } = request.headers;
    const answer = await fetch(prism.url + request.url, { method: request.method, headers, body: body.length ? body : undefined });
    const form = [...new URLSearchParams(body.toString())];
    const fresh = randomBytes(16).toString('hex');
    const text = (await answer.text()).replace(EXAMPLE_SID, (_, kind) => kind + fresh);
    exchanges.push({
      method: request.method, path: request.url, headers, form, status: answer.status, answer: text,
      violations: answer.headers.get('sl-violations'),
      unknown: request.method === 'POST' ? form.map(([name]) => name).filter((name) => !(name in known)) : [],
    });
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') }).end(text);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    exchanges,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
