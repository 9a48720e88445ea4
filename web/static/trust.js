// Who may do what, with which secret, and who did: secrets and their rotation, API keys, refused webhooks and the audit log.
// A value is shown once, when it is made, and never again.

import './bt-copy.js';
import './bt-empty.js';
import './bt-shell.js';
import { get, post, remove } from './api.js';
import { problemNotice } from './bt-empty.js';
import { ask, line, open } from './dialog.js';
import { h, swap } from './dom.js';
import { count, plural, size } from './format.js';
import { toast } from './toast.js';

const REFRESH_MS = 10_000;
/** While a rotation is under way, it is looked at as often as this. */
const BUSY_MS = 700;
/** More rows than this are in `bluetick audit`. */
const AUDIT_ROWS = 25;
const SCOPES = [
  ['send', 'send, retry, hold and cancel messages', true],
  ['messages:read', 'see messages and numbers, people masked', true],
  ['pii:read', 'see who people are and what was written', true],
  ['events:read', 'follow what happens', true],
  ['operate', 'pause, run jobs, make backups', false],
  ['erase', 'take away everything about a person', false],
  ['keys:write', 'make and revoke keys and secrets', false],
  ['audit:read', 'read the audit log', false],
];
const place = (name) => document.getElementById(name);
let timer = null;

async function show() {
  clearTimeout(timer);
  let isBusy = false;
  try {
    const [secrets, { data: keys }, { data: refused }, audit] = await Promise.all([
      get('/secrets'), get('/keys'), get('/quarantine'), get(`/audit?limit=${AUDIT_ROWS}`)]);
    isBusy = secrets.data.some(({ rotation }) => rotation && !rotation.problem);
    swap(place('problem'));
    place('quarantine-card').hidden = !refused.length;
    swap(place('quarantine'), quarantineOf(refused));
    swap(place('secrets'), secretsOf(secrets));
    swap(place('keys'), keysOf(keys));
    swap(place('audit'), auditOf(audit.data));
  } catch (problem) {
    swap(place('problem'), problemNotice(problem, show));
  }
  timer = setTimeout(() => (document.hidden ? later() : show()), isBusy ? BUSY_MS : REFRESH_MS);
}

/** Whoever does not look is not told anything new; a look back is. */
function later() {
  document.addEventListener('visibilitychange', show, { once: true });
}

/** Does something, says what came of it, and looks again. */
async function act(what, done) {
  try {
    const answer = await what();
    if (done) toast(done);
    return answer;
  } catch (problem) {
    toast(problem.message);
    return null;
  } finally {
    show();
  }
}

function scrollable(label, content) {
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': label }, content);
}

function table(heads, rows) {
  return h('table', { class: 'upkeep' },
    h('thead', {}, h('tr', {}, heads.map(([label, name]) => h('th', { scope: 'col', class: name }, name === 'act' ? h('span', { class: 'sr-only' }, label) : label)))),
    h('tbody', {}, rows));
}

function button(words, data, onclick) {
  return h('button', { type: 'button', class: 'button', ...data, onclick }, words);
}

const TONES = { active: 'good', retiring: 'warn', staged: 'warn', revoked: 'quiet', expired: 'quiet' };

function state(word) {
  return h('span', { class: 'tag', 'data-tone': TONES[word] }, word);
}

// --- secrets

function secretsOf({ data, vault }) {
  const known = data.filter(({ generations }) => generations.length);
  const keptBy = !vault.master_key ? 'Nothing is kept in the data file yet: every secret stands in the configuration.'
    : vault.recovery_key ? `What is kept in the data file is sealed with the master key ${vault.master_key}, and opens with the recovery key ${vault.recovery_key}, too.`
      : `What is kept in the data file is sealed with the master key ${vault.master_key}. Without its file no backup of them opens: make a recovery key.`;
  const intro = h('p', { class: 'intro' }, keptBy, ' ', vault.master_key && button(vault.recovery_key ? 'New recovery key' : 'Make a recovery key', { 'data-recovery': true }, recoveryKey));
  if (!known.length) return [intro];
  const rows = known.flatMap((kind) => kind.generations.filter((one, index, all) => one.state !== 'revoked' || index >= all.length - 3).map((one, index) => h('tr', { 'data-kind': kind.kind, 'data-generation': one.generation },
    h('td', { class: 'name' }, index === 0 && [h('strong', {}, kind.kind), h('p', { class: 'fine' }, kind.what)], index === 0 && rotationOf(kind)),
    h('td', { class: 'num' }, one.generation),
    h('td', {}, state(one.state), one.retires_at && h('p', { class: 'fine' }, 'until ', h('bt-time', { datetime: one.retires_at }))),
    h('td', {}, h('bt-time', { datetime: one.made_at }), one.state === 'active' && kind.is_due && h('p', { class: 'fine', 'data-tone': 'bad' }, 'due to be rotated')),
    h('td', { class: 'num' }, count(one.used)),
    h('td', {}, one.last_used_at ? h('bt-time', { datetime: one.last_used_at }) : h('span', { class: 'fine' }, 'never')),
    h('td', { class: 'act' }, actions(kind, one)))));
  return [intro, scrollable('Secrets', table([['Secret', 'name'], ['Generation', 'num'], ['State', ''], ['Known since', ''], ['Used', 'num'], ['Last used', ''], ['Change it', 'act']], rows))];
}

function rotationOf({ kind, rotation }) {
  if (!rotation) return null;
  const words = rotation.problem ? `The rotation stands still: ${rotation.problem}` : `A rotation is under way: ${rotation.step}`;
  return h('p', { class: 'fine', 'data-tone': rotation.problem && 'bad' }, words, ' ', rotation.problem && button('Give it up', { 'data-cancel': kind }, () => act(() => remove(`/secrets/${kind}/rotations`), 'Given up')));
}

function actions({ kind, rotation }, one) {
  const isBusy = Boolean(rotation && !rotation.problem);
  if (one.state === 'active') {
    return [
      kind !== 'twilio_api_key' && button(isBusy ? 'Rotating…' : 'Rotate', { 'data-rotate': kind, disabled: isBusy }, () => rotate(kind)),
      ' ', button('Revoke', { 'data-revoke': kind }, () => revoke(kind)),
    ];
  }
  if (one.state === 'staged' && !isBusy) return button('Use it', { 'data-promote': kind }, () => act(() => post(`/secrets/${kind}/promotion`), 'It is used from now on'));
  if (one.state === 'retiring') return button('End it', { 'data-retire': kind }, () => retire(kind, one));
  return null;
}

async function rotate(kind) {
  if (kind === 'twilio_auth_token') {
    const sure = await ask({
      title: 'Rotate the auth token?',
      text: [
        h('p', {}, 'Twilio has one auth token for everybody. bluetick makes a second one, keeps it, and lets Twilio promote it: from that moment the old one opens nothing. ', h('strong', {}, 'Every other program that uses this account by its auth token is shut out until it is given the new one.')),
        h('p', {}, 'bluetick goes on without a pause, and lets callbacks in that the old one signed until the grace ends. For other programs an API key of Twilio’s is better.'),
      ],
      fields: [h('label', { class: 'inline' }, h('input', { type: 'checkbox', required: true }), 'I know who else uses it')],
      yes: 'Rotate it',
    });
    if (!sure) return;
  }
  await act(() => post(`/secrets/${kind}/rotations`), 'The rotation has begun');
}

async function retire(kind, { generation, last_used_at: used }) {
  const title = `End the grace of generation ${generation}?`;
  const text = h('p', {}, used ? ['It was last used ', h('bt-time', { datetime: used }), '. Whoever still uses it is shut out.'] : 'It was never used.');
  if (await ask({ title, text, yes: 'End it', danger: true })) await act(() => remove(`/secrets/${kind}/${generation}`), `Generation ${generation} is good for nothing`);
}

async function revoke(kind) {
  const text = h('p', {}, 'This is for a secret in the wrong hands. It takes effect at once', kind === 'jwt' ? ': every access token is void, and everybody else is logged out.' : ': callbacks are refused and sending is paused until there is a new one.');
  if (!(await ask({ title: `Revoke ${kind}?`, text, yes: 'Revoke it now', danger: true }))) return;
  const done = await act(() => post(`/secrets/${kind}/revocation`));
  if (done) open('What to do now', [h('ol', {}, done.next.map((step) => h('li', {}, step))), closing('Close')]);
}

async function recoveryKey() {
  const told = await act(() => post('/secrets/recovery-key'));
  if (told) once('The recovery key', told.recovery_key, 'It opens the secrets of a backup on another machine. Write it down, away from the backups. The one before it opens nothing any more.');
}

/** A value that is shown once. */
function once(title, value, words) {
  open(title, [h('p', {}, h('code', { class: 'secret' }, value), ' ', h('bt-copy', { value })), h('p', {}, words, ' ', h('strong', {}, 'It is not shown again.')), closing('I have it')], { class: 'once' });
}

function closing(words) {
  return h('form', { method: 'dialog' }, h('button', { class: 'button primary' }, words));
}

// --- API keys

function keysOf(keys) {
  const intro = h('p', { class: 'intro' }, 'One for each program, which may do no more than it must. ', button('New key', { 'data-new-key': true, class: 'button primary' }, newKey));
  const live = keys.filter(({ state: word }) => word === 'active' || word === 'retiring');
  const over = keys.length - live.length;
  const rows = live.map((key) => h('tr', { 'data-key': key.id },
    h('td', { class: 'name' }, h('strong', {}, key.name), h('p', { class: 'fine' }, h('code', {}, key.id))),
    h('td', {}, state(key.state), key.retires_at && h('p', { class: 'fine' }, 'the one before until ', h('bt-time', { datetime: key.retires_at }))),
    h('td', { class: 'scopes' }, key.scopes.join(' '), key.networks.length > 0 && h('p', { class: 'fine' }, 'from ', key.networks.join(', ')), key.expires_at && h('p', { class: 'fine' }, 'expires ', h('bt-time', { datetime: key.expires_at }))),
    h('td', {}, h('bt-time', { datetime: key.rotated_at })),
    h('td', { class: 'num' }, count(key.used)),
    h('td', {}, key.last_used_at ? h('bt-time', { datetime: key.last_used_at }) : h('span', { class: 'fine' }, 'never')),
    h('td', { class: 'act' }, button('Rotate', { 'data-rotate-key': key.id }, () => rotateKey(key)), ' ', button('Revoke', { 'data-revoke-key': key.id }, () => revokeKey(key)))));
  const heads = [['Key', 'name'], ['State', ''], ['May', ''], ['Secret made', ''], ['Used', 'num'], ['Last used', ''], ['Change it', 'act']];
  return [intro, live.length > 0 && scrollable('API keys', table(heads, rows)), over > 0 && h('p', { class: 'intro fine' }, `and ${plural(over, 'key')} revoked or expired`)];
}

async function newKey() {
  const scopes = h('fieldset', {}, h('legend', {}, 'It may'), SCOPES.map(([word, words, usual]) => h('label', { class: 'inline' },
    h('input', { type: 'checkbox', name: word, value: 'on', checked: usual }), h('span', {}, h('code', {}, word), ' ', h('span', { class: 'fine' }, words)))));
  const wish = await ask({ title: 'A key for which program?', fields: [line('Name', { name: 'name', required: true, maxlength: 60 }), scopes], yes: 'Make the key' });
  if (!wish) return;
  const made = await act(() => post('/keys', { name: wish.name, scopes: SCOPES.map(([word]) => word).filter((word) => wish[word]) }));
  if (made) once(`The key of ${made.name}`, made.secret, 'The program sends it as Authorization: Bearer …');
}

async function rotateKey({ id, name }) {
  const text = h('p', {}, 'The secret it has opens too for 24 hours, so that the program can be given the new one.');
  if (!(await ask({ title: `A new secret for ${name}?`, text, yes: 'Make it' }))) return;
  const made = await act(() => post(`/keys/${id}/rotations`));
  if (made) once(`The new secret of ${made.name}`, made.secret, 'The program sends it as Authorization: Bearer …');
}

async function revokeKey({ id, name }) {
  if (await ask({ title: `Revoke the key of ${name}?`, text: h('p', {}, 'It opens nothing from now on, and neither do its access tokens.'), yes: 'Revoke it', danger: true })) {
    await act(() => remove(`/keys/${id}`), `The key of ${name} opens nothing any more`);
  }
}

// --- refused webhooks

function quarantineOf(refused) {
  const intro = h('p', { class: 'intro' }, `${plural(refused.length, 'webhook')} refused for the signature, kept for a day. `, button('Let in what is right by now', { 'data-replay': true }, replay));
  const rows = refused.slice(0, 10).map((one) => h('tr', { 'data-refused': one.id },
    h('td', { class: 'name' }, h('bt-time', { datetime: one.at })), h('td', {}, h('code', {}, one.path)), h('td', {}, one.address ?? ''),
    h('td', {}, one.reason === 'no_signature' ? 'no signature' : 'wrong signature'), h('td', { class: 'num' }, size(one.bytes)),
    h('td', { class: 'act' }, button('Why?', { 'data-why': one.id }, () => why(one)))));
  return [intro, scrollable('Refused webhooks', table([['When', 'name'], ['Path', ''], ['From', ''], ['Refused for', ''], ['Size', 'num'], ['Explain it', 'act']], rows)), refused.length > 10 && h('p', { class: 'intro fine' }, `and ${plural(refused.length - 10, 'older one')}`)];
}

async function why({ id }) {
  const said = await act(() => get(`/quarantine/${id}/diagnosis`));
  if (!said) return;
  const facts = [['Twilio called', said.called], ['public_url must be', said.public_url], ['Signed with', said.token], ['What was signed', said.signed]].filter(([, value]) => value);
  open(said.certain ? 'Why it was refused' : 'Why it was probably refused', [
    h('p', { 'data-diagnosis': said.code }, said.sentence),
    h('dl', { class: 'facts' }, facts.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, h('code', {}, value))))),
    closing('Close')]);
}

async function replay() {
  const done = await act(() => post('/quarantine/replays'));
  if (done) toast(`${done.let_in} let in, ${done.still_refused} still refused`);
}

// --- the audit log

function auditOf(rows) {
  if (!rows.length) return [h('p', { class: 'intro' }, 'Nothing yet: what is done to keys, secrets, people, pauses and backups will stand here.')];
  const cells = rows.map((row) => h('tr', {},
    h('td', { class: 'name' }, h('bt-time', { datetime: row.at, mode: 'both' })), h('td', {}, h('code', {}, row.by)), h('td', {}, row.address ?? ''),
    h('td', {}, row.action), h('td', {}, row.object), h('td', { class: 'fine' }, row.detail)));
  return [scrollable('Audit log', table([['When', 'name'], ['Who', ''], ['From', ''], ['What', ''], ['To what', ''], ['More', '']], cells)), h('p', { class: 'intro fine' }, 'Each row holds the hash of the one before: ', h('code', {}, 'bluetick verify'), ' proves that none was changed or is missing; ', h('code', {}, 'bluetick audit'), ' shows them all.')];
}

show();
