// <bt-shell page="overview">: what every page shares: the way around, the search for anything, the state of the
// live stream, whether bluetick is ready, who is logged in, and the reader's choices of theme and clock.

import './bt-time.js';
import { get, readiness } from './api.js';
import { h, mark, swap, throttle } from './dom.js';
import { setZone, zone } from './format.js';
import { icon } from './icons.js';
import { inspect } from './inspect.js';
import * as keys from './keys.js';
import { live } from './live.js';
import { leave, watchLeaving, who } from './session.js';
import { isOfAll, strip, tell } from './pauses.js';

const PAGES = [
  ['overview', '/', 'Overview', 'g o'],
  ['messages', '/messages', 'Messages', 'g m'],
  ['inbound', '/inbound', 'Inbound', 'g i'],
  ['opt-outs', '/opt-outs', 'Opt-outs', 'g u'],
  ['upkeep', '/upkeep', 'Upkeep', 'g k'],
  ['trust', '/trust', 'Trust', 'g t'],
];
/** It stands behind one's own name. */
const USERS = ['users', '/users', 'People and sessions', 'g p'];
const READY_EVERY_MS = 15_000;
/** Many pauses may begin at once. */
const PAUSES_EVERY_MS = 500;

/** state of the stream → [word, explanation] */
const LIVE = {
  connecting: ['Connecting', 'Opening the live stream.'],
  live: ['Live', 'This page changes as things happen. Click to pause.'],
  reconnecting: ['Reconnecting', 'The live stream was interrupted. Nothing is lost: the page fetches anew once it is back.'],
  polling: ['Every 10 s', 'The live stream cannot be had, so bluetick is asked every 10 seconds.'],
  paused: ['Paused', 'This page stands still. Click to follow again.'],
};

const THEMES = { auto: ['auto', 'Theme: as the system'], light: ['sun', 'Theme: light'], dark: ['moon', 'Theme: dark'] };

class BtShell extends HTMLElement {
  #banner = h('div', { class: 'banner', role: 'status', hidden: true });
  #pauses = h('section', { class: 'pauses', 'aria-label': 'Paused' });
  #help = h('dialog', { class: 'help', 'aria-labelledby': 'help-title' });

  connectedCallback() {
    const current = this.getAttribute('page');
    this.append(
      h('a', { class: 'skip', href: '#main' }, 'Skip to the content'),
      h('header', { class: 'bar' },
        h('a', { class: 'brand', href: '/' }, icon('ticks'), h('span', {}, 'bluetick')),
        h('nav', { 'aria-label': 'Pages' }, PAGES.map(([page, href, label]) => h('a', { href, 'aria-current': page === current && 'page' }, label))),
        finder(),
        h('div', { class: 'choices' }, liveButton(), zoneButton(), themeButton(),
          h('button', { type: 'button', class: 'quiet', title: 'Keyboard shortcuts (?)', 'aria-label': 'Keyboard shortcuts', onclick: () => this.#openHelp() }, '?'), personLink(current), leaveButton())),
      this.#banner, this.#pauses, this.#help);
    document.body.append(footer());
    this.#bindKeys();
    this.#watchReadiness();
    this.#watchPauses();
    watchLeaving();
    live.start();
  }

  #bindKeys() {
    for (const [, href, label, pair] of [...PAGES, USERS]) keys.bind(pair, `Go to ${label}`, () => location.assign(href));
    keys.bind('/', 'Search', () => this.querySelector('.find input').focus());
    keys.bind('?', 'This help', () => this.#openHelp());
  }

  #openHelp() {
    this.#help.replaceChildren(
      h('h2', { id: 'help-title' }, 'Keyboard'),
      h('dl', {}, keys.all().map(({ key, what }) => h('div', {}, h('dt', {}, key.split(' ').map((part) => h('kbd', {}, part.replace('Escape', 'Esc').replace('Enter', '↵')))), h('dd', {}, what)))),
      h('p', { class: 'fine' }, 'Arrow keys move, too. On a chart: ← → read values, Shift + ← → select, ↵ zooms in.'),
      h('form', { method: 'dialog' }, h('button', { class: 'button' }, 'Close')));
    this.#help.showModal();
  }

  #watchReadiness() {
    const look = async () => {
      if (document.hidden) return;
      const { ready, reasons: all = [] } = await readiness();
      // What is paused has a strip of its own, with the way to end it.
      const reasons = all.filter(({ code }) => code !== 'sending_paused');
      this.#banner.hidden = ready || !reasons.length;
      const lines = reasons.map(({ code, detail, action }) => h('p', { 'data-code': code }, icon('warn'), h('span', {}, h('strong', {}, sentence(detail)), ' ', action)));
      if (this.#banner.textContent !== lines.map((line) => line.textContent).join('')) this.#banner.replaceChildren(...lines);
      document.dispatchEvent(new CustomEvent('bt-ready', { detail: { ready, reasons } }));
    };
    look();
    setInterval(look, READY_EVERY_MS);
    document.addEventListener('visibilitychange', look);
  }

  #watchPauses() {
    const isOverview = location.pathname === '/';
    const look = throttle(PAUSES_EVERY_MS, async () => {
      if (document.hidden) return;
      try {
        const { pauses } = await get('/pauses');
        tell(pauses);
        // One of a sender or a template is told where it belongs, and all of them on the overview.
        swap(this.#pauses, pauses.filter((pause) => isOverview || isOfAll(pause)).map(strip));
      } catch {
        // What is shown stays; the banner above says it if bluetick does not answer.
      }
    });
    look();
    setInterval(look, READY_EVERY_MS);
    live.addEventListener('event', ({ detail }) => ['sending.paused', 'sending.resumed'].includes(detail.type) && look());
    live.addEventListener('resync', look);
    document.addEventListener('bt-paused', look);
  }
}

function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

function finder() {
  const hint = h('output', { class: 'hint', hidden: true });
  const input = h('input', { type: 'search', name: 'q', placeholder: 'Message ID, SID or phone number', 'aria-label': 'Go to a message ID, SID, phone number, error code or reference', autocomplete: 'off', spellcheck: 'false' });
  const show = () => {
    const found = inspect(input.value);
    hint.hidden = !found;
    hint.replaceChildren(...(found ? [found.what, ' ', h('kbd', {}, '↵')] : []));
  };
  input.addEventListener('input', show);
  input.addEventListener('blur', () => {
    hint.hidden = true;
  });
  input.addEventListener('focus', show);
  return h('form', {
    class: 'find', role: 'search', 'aria-label': 'Go to anything',
    onsubmit: (event) => {
      event.preventDefault();
      const found = inspect(input.value);
      if (found) location.assign(found.href);
    },
  }, icon('search'), input, h('kbd', { 'aria-hidden': 'true' }, '/'), hint);
}

/** Who is logged in, and the way to what they may do about it. */
function personLink(current) {
  const name = h('span', { class: 'name' });
  const [page, href, label] = USERS;
  const link = h('a', { class: 'quiet who', href, title: label, 'aria-label': label, 'aria-current': page === current && 'page' }, icon('person'), name);
  who().then(({ user, role }) => {
    name.textContent = user;
    link.title = `${user}, ${role}. ${label}`;
    link.setAttribute('aria-label', `${user}: ${label}`);
  }, () => {});
  return link;
}

function leaveButton() {
  return h('button', { type: 'button', class: 'quiet', 'data-verb': 'leave', title: 'Log out', 'aria-label': 'Log out', onclick: leave }, icon('leave'));
}

function liveButton() {
  const word = h('span', { class: 'word', 'aria-live': 'polite' });
  const button = h('button', { type: 'button', class: 'live', onclick: () => live.toggle() }, h('span', { class: 'dot' }), word);
  const show = () => {
    const [text, meaning] = LIVE[live.state];
    mark(button, 'data-state', live.state);
    button.title = meaning;
    word.textContent = text;
  };
  live.addEventListener('state', show);
  show();
  return button;
}

function zoneButton() {
  const button = h('button', { type: 'button', class: 'quiet zone', onclick: () => setZone(zone() === 'utc' ? 'local' : 'utc') });
  const show = () => {
    button.textContent = zone() === 'utc' ? 'UTC' : 'Local';
    button.title = zone() === 'utc' ? 'Times are in UTC. Click for your own clock.' : `Times are in ${Intl.DateTimeFormat().resolvedOptions().timeZone}. Click for UTC.`;
    button.setAttribute('aria-label', `${button.textContent} times. ${button.title}`);
  };
  document.addEventListener('bt-zone', show);
  show();
  return button;
}

function themeButton() {
  const order = Object.keys(THEMES);
  const button = h('button', {
    type: 'button', class: 'quiet theme',
    onclick: () => choose(order[(order.indexOf(current()) + 1) % order.length]),
  });
  const current = () => document.documentElement.dataset.theme ?? 'auto';
  const show = () => {
    const [picture, label] = THEMES[current()];
    button.replaceChildren(icon(picture));
    button.title = label;
    button.setAttribute('aria-label', label);
  };
  const choose = (theme) => {
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem('bt-theme', theme);
    } catch {
      // Storage can be forbidden; then the choice lasts as long as the page.
    }
    show();
  };
  show();
  return button;
}

/** Which bluetick this is: people ask for it in every bug report. */
function footer() {
  const line = h('footer', { class: 'foot' });
  get('/status').then(({ version, mode, public_url: publicUrl, boot_at: bootAt }) => {
    line.replaceChildren(h('span', {}, `bluetick ${version}`), h('span', { class: 'mode' }, mode), h('span', {}, publicUrl ?? 'no public URL: receipts come by asking Twilio'),
      h('span', {}, 'started ', h('bt-time', { datetime: bootAt })), h('a', { href: '/openapi.json' }, 'API'), h('a', { href: '/metrics' }, 'Metrics for Prometheus'));
  }, () => line.replaceChildren());
  return line;
}

customElements.define('bt-shell', BtShell);
