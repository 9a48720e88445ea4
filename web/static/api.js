// Speaks to bluetick's JSON surface; every failure becomes one Problem that a page can show.
// The browser adds the session; nothing here knows it. Where there is none, the person is sent to log in and comes back;
// where who they are must be shown once more, they are asked, and the request is made again.

const BASE = '/admin/api';
/** A page that waits longer than this is better served by an error and a retry. */
const PATIENCE_MS = 15_000;
/** Looking through ten thousand messages, and sending them again, takes longer than anything else here. */
export const LONG_MS = 120_000;

/** An RFC 9457 answer, or the lack of any answer. */
export class Problem extends Error {
  constructor({ status = 0, code, title, detail = null, request_id = null, errors = [] }) {
    super(detail ?? title);
    Object.assign(this, { status, code, title, detail, requestId: request_id, errors });
  }
}

/** `GET /admin/api{path}` as JSON. */
export function get(path, { signal } = {}) {
  return call('GET', BASE + path, { signal });
}

/** `POST /admin/api{path}` with a JSON body. */
export function post(path, body = {}, { signal, patience } = {}) {
  return call('POST', BASE + path, { body: JSON.stringify(body), signal, patience });
}

/** `PUT /admin/api{path}` with a JSON body. */
export function put(path, body = {}) {
  return call('PUT', BASE + path, { body: JSON.stringify(body) });
}

/** `DELETE /admin/api{path}`. */
export function remove(path) {
  return call('DELETE', BASE + path);
}

/** Whether bluetick is ready, and why not. A 503 here is an answer, not a failure. */
export async function readiness() {
  try {
    const response = await fetch('/readyz', { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) });
    return await response.json();
  } catch {
    return {
      ready: false,
      reasons: [{ code: 'unreachable', detail: 'bluetick does not answer', action: 'Check that it is running; this page tries again by itself.' }],
    };
  }
}

/** `?a=b` of what is set, or nothing at all. */
export function query(params) {
  const set = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== '');
  return set.length ? `?${new URLSearchParams(set)}` : '';
}

/** Leaves for the log-in, and comes back to this very page after it. */
export function toLogin() {
  const here = location.pathname + location.search;
  location.replace(`/login${query({ next: here === '/' ? null : here })}`);
  // Nothing that waits for an answer goes on: the page is about to go.
  return new Promise(() => {});
}

async function call(method, url, options = {}) {
  try {
    return await once(method, url, options);
  } catch (problem) {
    if (problem.code === 'unauthorized' && location.pathname !== '/login') return toLogin();
    if (problem.code !== 'step_up_needed') throw problem;
    // Fetched when it is first needed, and it speaks through this module itself.
    const { prove } = await import('./step-up.js');
    if (!(await prove())) throw problem;
    return once(method, url, options);
  }
}

async function once(method, url, { body, signal, patience = PATIENCE_MS }) {
  const limit = AbortSignal.timeout(patience);
  const headers = { accept: 'application/json' };
  if (body !== undefined) headers['content-type'] = 'application/json';
  let response;
  try {
    response = await fetch(url, {
      method, body, headers, cache: 'no-store', credentials: 'same-origin',
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem({ code: 'unreachable', title: 'bluetick does not answer', detail: 'Check that it is running, then try again.' });
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  throw new Problem({
    title: answer?.title ?? (response.ok ? 'The answer was not JSON' : `HTTP ${response.status}`),
    code: answer?.code ?? 'unexpected_answer',
    detail: answer?.detail,
    errors: answer?.errors ?? [],
    request_id: answer?.request_id ?? response.headers.get('x-request-id'),
    status: response.status,
  });
}
