// The door: who are you? And, where nobody has been entered yet, the first person.

import { get, post } from './api.js';
import { h, swap } from './dom.js';
import { icon } from './icons.js';

const place = document.getElementById('place');

/** Where the person wanted to go: a path of this site, and nothing else. */
function next() {
  const wanted = new URLSearchParams(location.search).get('next') ?? '/';
  const url = URL.parse(wanted, location.origin);
  // What looks like a path may name another host: `//evil.example`, `/\evil.example`.
  const isOurs = url?.origin === location.origin && wanted.startsWith('/') && url.pathname !== '/login';
  // Whole, since a path that begins with two slashes would be another host once more.
  return isOurs ? url.href : '/';
}

function field(label, props, hint = null) {
  return h('label', {}, h('span', {}, label), h('input', { type: 'text', required: true, ...props }), hint && h('span', { class: 'fine' }, hint));
}

/** A form that says what is wrong with it; `send` gets its values and leaves the page. */
function door({ title, text, fields, yes, send }) {
  const refusal = h('p', { class: 'refusal', role: 'alert' });
  const button = h('button', { class: 'button primary' }, yes);
  const form = h('form', {
    onsubmit: async (event) => {
      event.preventDefault();
      button.disabled = true;
      swap(refusal);
      try {
        await send(Object.fromEntries(new FormData(form)), form);
      } catch (problem) {
        const words = problem.errors?.length ? problem.errors.map(({ field: name, detail }) => `${name} ${detail}`).join('; ') : problem.message;
        swap(refusal, icon('warn'), h('span', {}, words));
      }
      button.disabled = false;
    },
  }, fields, refusal, button);
  swap(place, h('h1', {}, title), text && h('p', { class: 'fine' }, text), form);
  (form.querySelector('input') ?? button).focus();
}

async function enter(user, password, code) {
  await post('/session', { user, password, ...(code && { code }) });
  try {
    await get('/session');
  } catch {
    throw new Error('Your browser did not keep the session: open this page over https://, or on the machine itself as http://localhost.');
  }
  location.replace(next());
}

function logIn() {
  door({
    title: 'Log in', yes: 'Log in',
    fields: [
      field('Name', { name: 'user', autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false' }),
      field('Password', { type: 'password', name: 'password', autocomplete: 'current-password' }),
    ],
    send: async ({ user, password, code }, form) => {
      try {
        await enter(user, password, code);
      } catch (problem) {
        if (problem.code === 'wrong_login') throw new Error(form.elements.code ? 'The name, the password or the code is wrong. A code is taken once.' : 'The name or the password is wrong.');
        if (problem.code !== 'totp_needed') throw problem;
        form.elements.password.closest('label').after(field('Code of your phone', { name: 'code', inputmode: 'numeric', autocomplete: 'one-time-code' }));
        form.elements.code.focus();
      }
    },
  });
}

function setUp() {
  door({
    title: 'Set bluetick up',
    text: 'Nobody can log in yet. bluetick serve printed a set-up code when it started; bluetick admin setup-code on the machine shows a fresh one.',
    yes: 'Make the first user',
    fields: [
      field('Set-up code', { name: 'code', autocomplete: 'off', autocapitalize: 'characters', spellcheck: 'false', placeholder: 'XXXX-XXXX-XXXX-XXXX' }),
      field('Your name', { name: 'user', autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false' }),
      field('Password', { type: 'password', name: 'password', autocomplete: 'new-password', minlength: 12, maxlength: 256 }, 'At least 12 characters: four words that have nothing to do with each other are easy to keep.'),
    ],
    send: async ({ code, user, password }) => {
      const { recovery_key: key } = await post('/setup', { code, user, password });
      if (key) handOver(key, () => enter(user, password));
      else await enter(user, password);
    },
  });
}

/** It is shown now, and never again. */
function handOver(key, send) {
  door({
    title: 'The recovery key',
    text: 'It opens the secrets of a backup on another machine. Write it down, away from the backups. It is not shown again; another can be made on the page Trust.',
    yes: 'I have it',
    fields: [h('p', {}, h('code', { class: 'secret' }, key))],
    send,
  });
}

async function begin() {
  try {
    await get('/session');
    location.replace(next());
    return;
  } catch (problem) {
    if (problem.code !== 'unauthorized') {
      swap(place, h('h1', {}, 'bluetick does not answer'), h('p', {}, problem.message), h('button', { type: 'button', class: 'button', onclick: begin }, 'Try again'));
      return;
    }
  }
  const { is_open: isOpen } = await get('/setup');
  if (isOpen) setUp();
  else logIn();
}

begin();
// What the browser kept may be of before: whoever is logged in by now has no business here.
addEventListener('pageshow', ({ persisted }) => persisted && begin());
