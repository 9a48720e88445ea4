// One's own password and phone; who else may use the pages, as what; and the sessions that are open.

import './bt-copy.js';
import './bt-shell.js';
import { get, post, put, remove } from './api.js';
import { problemNotice } from './bt-empty.js';
import { ask, choice, line } from './dialog.js';
import { h, swap } from './dom.js';
import { who } from './session.js';
import { toast } from './toast.js';

/** role → what it is there for */
const ROLES = { viewer: 'looks on', operator: 'looks on, sends, retries, pauses, runs jobs', admin: 'everything' };
const place = (name) => document.getElementById(name);
let me = null;

async function show() {
  try {
    me = await who({ fresh: true });
    const looksAfter = me.scopes.includes('users:write');
    const [{ data: sessions }, users] = await Promise.all([get('/sessions'), looksAfter && get('/users')]);
    swap(place('problem'));
    if (!place('own').hasChildNodes()) swap(place('own'), own());
    place('users-card').hidden = !looksAfter;
    if (users) swap(place('users'), usersTable(users));
    swap(place('sessions'), sessionsTable(sessions));
  } catch (problem) {
    swap(place('problem'), problemNotice(problem, show));
  }
}

/** Does something, says how it went, and shows how things are now. */
async function act(work, done) {
  try {
    await work();
    toast(done);
  } catch (problem) {
    toast(problem.errors?.length ? problem.errors.map(({ field, detail }) => `${field} ${detail}`).join('; ') : problem.message);
  }
  show();
}

function own() {
  const intro = h('p', {}, h('strong', {}, me.user), ` · ${me.role}: ${ROLES[me.role]}`, !me.scopes.includes('pii:read') && '; without seeing who people are');
  if (me.is_declared) return [intro, h('p', { class: 'fine' }, 'You are the user of the configuration. Your password is http.admin_password there; enter a user for everyone who works here, with a phone as the second proof.')];
  return [intro, h('div', { class: 'own' }, passwordForm(), phone())];
}

function passwordForm() {
  const refusal = h('p', { class: 'refusal', role: 'alert' });
  const form = h('form', {
    onsubmit: async (event) => {
      event.preventDefault();
      const { current, password } = Object.fromEntries(new FormData(form));
      try {
        await post('/session/password', { current, password });
        form.reset();
        refusal.replaceChildren();
        toast('Changed: every other session of yours has ended');
        show();
      } catch (problem) {
        refusal.textContent = problem.errors?.length ? `The new one ${problem.errors[0].detail}.` : problem.message;
      }
    },
  },
  h('h3', {}, 'Password'),
  h('input', { type: 'text', name: 'user', value: me.user, autocomplete: 'username', hidden: true }),
  h('label', {}, h('span', {}, 'Current'), h('input', { type: 'password', name: 'current', autocomplete: 'current-password', required: true })),
  h('label', {}, h('span', {}, 'New, at least 12 characters'), h('input', { type: 'password', name: 'password', autocomplete: 'new-password', required: true, minlength: 12, maxlength: 256 })),
  refusal, h('button', { class: 'button' }, 'Change it'));
  return form;
}

/** The second proof: what it is, how to begin, how to end. */
function phone() {
  const box = h('section', { 'aria-label': 'Phone' });
  const state = () => swap(box, h('h3', {}, 'Phone'), me.has_totp
    ? [h('p', {}, 'The code of your phone is asked for when you log in.'), h('button', { type: 'button', class: 'button danger', onclick: off }, 'Ask for it no more…')]
    : [h('p', { class: 'fine' }, 'With an app that shows six digits (any that does TOTP), nobody logs in with your password alone.'), h('button', { type: 'button', class: 'button', 'data-verb': 'enrol', onclick: begin }, 'Add a phone…')]);
  const again = async () => {
    me = await who({ fresh: true });
    state();
    show();
  };
  const off = async () => {
    if (!(await ask({ title: 'Log in with the password alone?', text: 'Whoever learns your password can then log in as you.', yes: 'Ask for no code', danger: true }))) return;
    await act(() => remove('/session/totp'), 'No code is asked for any more');
    again();
  };
  const begin = async () => {
    try {
      enrolling(await post('/session/totp'));
    } catch (problem) {
      toast(problem.message);
    }
  };
  const enrolling = ({ secret, uri }) => {
    const refusal = h('p', { class: 'refusal', role: 'alert' });
    const code = h('input', { type: 'text', name: 'code', inputmode: 'numeric', autocomplete: 'one-time-code', required: true });
    swap(box, h('h3', {}, 'Phone'),
      h('div', { class: 'secret' },
        h('p', {}, '1. Type this secret into the app, or open the ', h('a', { href: uri }, 'otpauth address'), ' on the phone itself.'),
        h('p', {}, h('code', { class: 'totp-secret' }, secret.match(/.{4}/g).join(' ')), ' ', h('bt-copy', { value: secret }), ' ', h('bt-copy', { value: uri, text: 'Copy the address' })),
        h('p', {}, '2. Type the six digits that it shows.')),
      h('form', {
        onsubmit: async (event) => {
          event.preventDefault();
          try {
            await put('/session/totp', { code: code.value });
            toast('From now on the code is asked for');
            again();
          } catch (problem) {
            refusal.textContent = problem.message;
            code.select();
          }
        },
      }, h('label', {}, h('span', {}, 'Code'), code), refusal, h('p', { class: 'actions' }, h('button', { class: 'button primary' }, 'It shows these'), h('button', { type: 'button', class: 'button', onclick: state }, 'Cancel'))));
    code.focus();
  };
  state();
  return box;
}

/** Reached by key, too, where it is wider than the page. */
function scrollable(label, content) {
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': label }, content);
}

function table(heads, rows) {
  return h('table', { class: 'upkeep people' },
    h('thead', {}, h('tr', {}, heads.map(([label, name]) => h('th', { scope: 'col', class: name }, name === 'act' ? h('span', { class: 'sr-only' }, label) : label)))),
    h('tbody', {}, rows));
}

const button = (words, onclick, props = {}) => h('button', { type: 'button', class: 'button', onclick, ...props }, words);

function usersTable({ data, declared }) {
  const rows = data.map((user) => h('tr', { 'data-user': user.name, 'data-off': user.disabled },
    h('td', { class: 'name' }, h('strong', {}, user.name), user.disabled && h('span', { class: 'tag' }, 'disabled'), user.name === me.user && !me.is_declared && h('span', { class: 'tag' }, 'you')),
    h('td', { class: 'role' }, user.role), h('td', { 'data-head': 'sees people' }, user.pii ? 'yes' : 'no'), h('td', { 'data-head': 'phone' }, user.totp ? 'yes' : 'no'),
    h('td', { 'data-head': 'last log-in' }, user.last_login_at ? h('bt-time', { datetime: user.last_login_at }) : h('span', { class: 'fine' }, 'never')),
    h('td', { class: 'act' }, user.name !== me.user && h('div', { class: 'acts' },
      button('Change…', () => change(user), { 'aria-label': `Change ${user.name}` }),
      button('Password…', () => setPassword(user), { 'aria-label': `Set the password of ${user.name}` }),
      user.totp && button('Phone lost…', () => lost(user), { 'aria-label': `${user.name} lost the phone` }),
      button('Remove…', () => takeOut(user), { class: 'button danger', 'aria-label': `Remove ${user.name}` })))));
  const none = !data.length && h('p', { class: 'intro' }, 'Nobody yet but the user of the configuration.');
  return [
    declared && h('p', { class: 'intro' }, 'The configuration declares ', h('strong', {}, declared), ' (http.admin_user), who may do everything.'),
    none || scrollable('People', table([['Name', 'name'], ['Role', ''], ['Sees people', ''], ['Phone', ''], ['Last log-in', ''], ['What to do', 'act']], rows)),
  ];
}

function roleFields(user) {
  const roles = Object.entries(ROLES).map(([role, words]) => [role, `${role}: ${words}`]);
  // The first one is chosen.
  roles.sort(([one], [other]) => (other === user?.role) - (one === user?.role));
  return [
    choice('Role', 'role', roles),
    h('label', { class: 'inline' }, h('input', { type: 'checkbox', name: 'pii', checked: user?.pii ?? false }), 'sees who people are and what was written'),
  ];
}

async function add() {
  const answer = await ask({
    title: 'Add somebody', yes: 'Add', no: 'Cancel',
    text: 'Tell them name and password in person; they change the password here and add a phone.',
    fields: [
      line('Name', { name: 'name', required: true, maxlength: 40, autocapitalize: 'none', spellcheck: 'false' }),
      line('First password, at least 12 characters', { type: 'password', name: 'password', required: true, minlength: 12, maxlength: 256, autocomplete: 'new-password' }),
      roleFields(null),
    ],
  });
  if (answer) act(() => post('/users', { name: answer.name, password: answer.password, role: answer.role, pii: 'pii' in answer }), 'Added');
}

async function change(user) {
  const answer = await ask({
    title: `Change ${user.name}`, yes: 'Change', no: 'Cancel', text: 'What takes something away ends their sessions.',
    fields: [roleFields(user), h('label', { class: 'inline' }, h('input', { type: 'checkbox', name: 'disabled', checked: user.disabled }), 'disabled: is let in no more')],
  });
  if (answer) act(() => put(path(user), { role: answer.role, pii: 'pii' in answer, disabled: 'disabled' in answer }), 'Changed');
}

async function setPassword(user) {
  const answer = await ask({
    title: `Set the password of ${user.name}`, yes: 'Set it', no: 'Cancel', text: 'All their sessions end.',
    fields: [line('New password, at least 12 characters', { type: 'password', name: 'password', required: true, minlength: 12, maxlength: 256, autocomplete: 'new-password' })],
  });
  if (answer) act(() => post(`${path(user)}/password`, { password: answer.password }), 'Set: they log in with it');
}

async function lost(user) {
  const sure = await ask({ title: `Did ${user.name} lose the phone?`, text: 'They then log in with the password alone until they add another phone. All their sessions end.', yes: 'Ask for no code', danger: true });
  if (sure) act(() => remove(`${path(user)}/totp`), 'No code is asked for');
}

async function takeOut(user) {
  const sure = await ask({ title: `Remove ${user.name}?`, text: 'They are let in no more, and their sessions end. What they did stays in the audit log.', yes: 'Remove', danger: true });
  if (sure) act(() => remove(path(user)), 'Removed');
}

const path = ({ name }) => `/users/${encodeURIComponent(name)}`;

function sessionsTable(sessions) {
  const rows = sessions.map((session) => h('tr', { 'data-session': session.id },
    h('td', { class: 'name' }, h('strong', {}, session.user), session.is_own && h('span', { class: 'tag' }, 'this one')),
    h('td', { 'data-head': 'since' }, h('bt-time', { datetime: session.created_at })), h('td', { 'data-head': 'seen' }, h('bt-time', { datetime: session.seen_at })),
    h('td', { 'data-head': 'from' }, session.address ?? '–'), h('td', { class: 'agent' }, session.agent || '–'),
    h('td', { class: 'act' }, !session.is_own && button('End', () => act(() => remove(`/sessions/${session.id}`), 'Ended'), { 'aria-label': `End a session of ${session.user}` }))));
  return scrollable('Sessions', table([['Whose', 'name'], ['Since', ''], ['Last seen', ''], ['From', ''], ['Browser', 'agent'], ['End it', 'act']], rows));
}

place('add').addEventListener('click', add);
show();
