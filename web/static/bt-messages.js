// <bt-messages>: a page of the list of messages. Its rows change in place as events arrive and never move;
// what is new waits behind a button until the reader wants it. Rows can be chosen, and then steered together.

import './bt-status.js';
import './bt-time.js';
import './bt-empty.js';
import { get, query } from './api.js';
import { problemNotice } from './bt-empty.js';
import { h, mark, swap, throttle } from './dom.js';
import { absolute, address, count, duration, plural } from './format.js';
import { icon } from './icons.js';
import * as keys from './keys.js';
import { live } from './live.js';
import { retryMatching } from './retries.js';
import { confirm, steerAll, VERBS } from './steer.js';
import { leave } from './trail.js';
import * as url from './url-state.js';

const LIMIT = 50;
const REFRESH_MS = 1000;
/** Rows that fell out of the refreshed page are asked for one by one, but only so many at once. */
const SINGLE_FETCHES = 20;

const ARRIVED = ['sent', 'delivered', 'read'];
const COLUMNS = [
  ['Status', 'status'], ['To', 'to'], ['Message', 'text'], ['From', 'from'], ['Reference', 'reference'], ['Accepted', 'time'], ['Delivery', 'took'],
];

class BtMessages extends HTMLElement {
  #filters = {};
  #chosen = new Set();
  /** Where a range of chosen rows begins. */
  #anchor = null;
  /** Stops what is being done to the chosen rows, while it is. */
  #steering = null;
  #all = h('input', { type: 'checkbox', 'aria-label': 'Select all messages of this page' });
  #tools = h('div', { class: 'tools', role: 'toolbar', 'aria-label': 'Selected messages' });
  #result = h('div', { class: 'result', role: 'status' });
  #cursor = null;
  #rows = new Map();
  #next = null;
  #dirty = new Set();
  #waiting = null;
  #request = null;
  /** Answers must not overtake one another, so there is one refresh at a time; what came meanwhile is one more. */
  #refreshing = false;
  #again = false;
  #pill = h('button', { type: 'button', class: 'pill', hidden: true, onclick: () => this.#showWaiting() });
  #status = h('p', { class: 'sr-only', 'aria-live': 'polite' });
  #body = h('tbody');
  #table = h('table', { class: 'messages' },
    h('thead', {}, h('tr', {}, h('th', { scope: 'col', class: 'pick' }, h('label', {}, this.#all)), COLUMNS.map(([label, name]) => h('th', { scope: 'col', class: name }, label)))), this.#body);
  #notice = h('div', { class: 'notice' });
  #pager = h('nav', { class: 'pager', 'aria-label': 'Pages of messages' });
  #refreshSoon = throttle(REFRESH_MS, () => this.#refresh());

  connectedCallback() {
    if (this.#table.isConnected) return;
    this.append(this.#status, this.#tools, this.#result, h('div', { class: 'pill-place' }, this.#pill), this.#table, this.#notice, this.#pager);
    this.#table.hidden = this.#tools.hidden = true;
    this.#all.addEventListener('change', () => this.#choose([...this.#rows.keys()], this.#all.checked));
    live.addEventListener('event', ({ detail }) => this.#hear(detail));
    live.addEventListener('resync', () => this.#refreshSoon());
    this.#body.addEventListener('click', (event) => this.#click(event));
    this.#body.addEventListener('focusin', (event) => this.#rove(event.target.closest('tr')));
    keys.bind('j', 'Next message', () => this.#move(1));
    keys.bind('k', 'Previous message', () => this.#move(-1));
    keys.alias('ArrowDown', 'j');
    keys.alias('ArrowUp', 'k');
    keys.bind('n', 'Show new messages', () => this.#showWaiting());
    keys.bind('Enter', 'Open the message', () => (this.#focused()?.querySelector('a') ?? document.activeElement).click?.());
    keys.bind('x', 'Select the message', () => this.#toggle(this.#focused(), false));
    keys.bind('X', 'Select up to the message', () => this.#toggle(this.#focused(), true));
  }

  /** Takes the selection away; false if there was none. */
  clear() {
    if (!this.#chosen.size) return false;
    this.#choose([...this.#chosen], false);
    return true;
  }

  /** Shows the messages that match `filters`, from `cursor` on. */
  async show(filters, cursor = null) {
    this.#filters = filters;
    this.#cursor = cursor;
    this.#chosen.clear();
    this.#anchor = null;
    this.#steering?.abort();
    this.#result.replaceChildren();
    this.#request?.abort();
    this.#request = new AbortController();
    mark(this, 'aria-busy', 'true');
    try {
      const page = await this.#fetch(this.#request.signal);
      this.#fill(page);
    } catch (problem) {
      if (problem.name === 'AbortError') return;
      this.#table.hidden = this.#tools.hidden = true;
      this.#pager.replaceChildren();
      this.#notice.replaceChildren(problemNotice(problem, () => this.show(filters, cursor)));
    }
    mark(this, 'aria-busy', null);
    if (this.#again) this.#refreshSoon();
  }

  #fetch(signal) {
    return get(`/messages${query({ ...this.#filters, limit: LIMIT, cursor: this.#cursor })}`, { signal });
  }

  #fill(page) {
    this.#waiting = null;
    this.#pill.hidden = true;
    this.#dirty.clear();
    this.#next = page.next_cursor;
    this.#rows = new Map(page.data.map((message) => [message.id, row(message)]));
    this.#body.replaceChildren(...this.#rows.values());
    this.#table.hidden = this.#tools.hidden = page.data.length === 0;
    for (const id of this.#chosen) if (!this.#rows.has(id)) this.#chosen.delete(id);
    this.#showChosen();
    this.#rove(this.#body.firstElementChild);
    this.#notice.replaceChildren(...(page.data.length ? [] : [this.#whyEmpty(page)]));
    this.#page(page);
    this.#status.textContent = plural(page.data.length, 'message');
  }

  /** Nothing yet, nothing that matches, and nothing so far are three different things. */
  #whyEmpty(page) {
    const empty = h('bt-empty');
    if (page.next_cursor) {
      empty.noMatch('Nothing so far', `None of the last ${plural(page.scanned, 'message')} match. There are older ones.`,
        h('a', { class: 'button', href: this.#older(), 'data-soft': true }, 'Look further back'));
    } else if (Object.keys(this.#filters).length || this.#cursor) {
      empty.noMatch('No message matches', 'There may be others: widen the filter, or take it away.', this.hasAttribute('fixed')
        ? null : h('a', { class: 'button', href: url.href({}), 'data-soft': true }, 'Clear the filter'));
    } else {
      empty.nothingYet('No messages yet', 'Every message your app sends through bluetick appears here the moment it is accepted, and changes as its receipts arrive. Send the first one:', { curl: true });
    }
    return empty;
  }

  #older() {
    return url.href({ ...url.read(), cursor: this.#next });
  }

  #page(page) {
    const { cursor, ...newest } = url.read();
    this.#pager.replaceChildren(...[
      cursor && h('a', { class: 'button', href: url.href(newest), 'data-soft': true }, '⇤ Newest'),
      cursor && h('button', { class: 'button', type: 'button', onclick: () => url.back(newest) }, '← Newer'),
      this.#next && page.data.length > 0 && h('a', { class: 'button', href: this.#older(), 'data-soft': true, rel: 'next' }, 'Older →'),
    ].filter(Boolean));
  }

  #hear(event) {
    if (!event.message_id) return;
    if (this.#rows.has(event.message_id)) this.#dirty.add(event.message_id);
    else if (this.#cursor || !this.#concerns(event)) return;
    this.#refreshSoon();
  }

  /** Spares a request when an event plainly belongs to someone else. */
  #concerns({ contact: to, sender: from, type }) {
    const asked = this.#filters;
    if (asked.to && to && !to.includes(asked.to)) return false;
    if (asked.from && from && !from.includes(asked.from)) return false;
    return type !== 'inbound.received';
  }

  /** The same page again: known rows change in place, unknown ones wait. */
  async #refresh() {
    if (document.hidden) return;
    this.#again = this.#refreshing || this.hasAttribute('aria-busy');
    if (this.#again) return;
    this.#refreshing = true;
    const request = this.#request;
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    try {
      const page = await this.#fetch(request?.signal);
      const seen = new Set(page.data.map((message) => message.id));
      const gone = dirty.filter((id) => !seen.has(id)).slice(0, SINGLE_FETCHES);
      const singles = await Promise.all(gone.map((id) => get(`/messages/${id}`, { signal: request?.signal }).catch(() => null)));
      if (request !== this.#request) return;
      // Ids sort by time: what is older than the last row has only moved on to the next page.
      const last = page.next_cursor && page.data.at(-1)?.id;
      const matches = ({ id }) => seen.has(id) || (last && id < last);
      for (const message of [...page.data, ...singles.filter(Boolean)]) this.#update(message, matches(message));
      if (!this.#cursor) this.#offer(page);
    } catch {
      // The live dot already says that bluetick does not answer; what is shown stays.
      for (const id of dirty) this.#dirty.add(id);
    } finally {
      this.#refreshing = false;
      if (this.#again) this.#refreshSoon();
    }
  }

  #update(message, matches) {
    const shown = this.#rows.get(message.id);
    if (!shown) return;
    mark(shown, 'data-left', !matches && 'Does not match the filter any more');
    if (shown.dataset.revision === revision(message)) return;
    const fresh = row(message);
    shown.classList.toggle('changed', shown.dataset.status !== message.status);
    for (const name of ['status', 'revision']) shown.dataset[name] = fresh.dataset[name];
    // The cell with the link keeps the focus, so it stays as it is.
    [...fresh.cells].forEach((cell, index) => {
      if (!cell.matches('.to, .pick')) shown.cells[index].replaceChildren(...cell.childNodes);
    });
    if (this.#chosen.has(message.id)) this.#showChosen();
  }

  #offer(page) {
    const fresh = page.data.filter((message) => !this.#rows.has(message.id)).length;
    if (this.#rows.size === 0 && fresh > 0) return this.#fill(page);
    this.#waiting = fresh > 0 ? page : null;
    this.#pill.hidden = fresh === 0;
    const label = `${count(fresh)}${fresh >= LIMIT ? '+' : ''} new – show`;
    if (this.#pill.textContent !== label) this.#pill.textContent = label;
  }

  #showWaiting() {
    if (!this.#waiting) return;
    this.#fill(this.#waiting);
    scrollTo({ top: 0 });
    this.#body.querySelector('a')?.focus({ preventScroll: true });
  }

  #click(event) {
    const clicked = event.target.closest('tr');
    if (clicked && event.target.closest('.pick')) return this.#pick(event, clicked);
    if (!clicked || !getSelection().isCollapsed) return;
    leave([...this.#rows.keys()]);
    if (event.target.closest('a')) return;
    const { href } = clicked.querySelector('a');
    if (event.metaKey || event.ctrlKey) open(href, '_blank', 'noopener');
    else location.assign(href);
  }

  #rove(chosen) {
    if (!chosen) return;
    for (const shown of this.#rows.values()) {
      for (const stop of shown.querySelectorAll('.pick input, .to a')) stop.tabIndex = shown === chosen ? 0 : -1;
    }
  }

  #focused() {
    return document.activeElement?.closest?.('bt-messages tbody tr');
  }

  /** The label passes its click on to the box; only the box's own counts, so that each click counts once. */
  #pick(event, clicked) {
    if (!event.target.matches('input')) return;
    this.#extend(clicked, event.shiftKey, event.target.checked);
  }

  #toggle(shown, isRange) {
    if (shown) this.#extend(shown, isRange, isRange || !this.#chosen.has(shown.dataset.id));
  }

  #extend(shown, isRange, isChosen) {
    const ids = [...this.#rows.keys()];
    const to = ids.indexOf(shown.dataset.id);
    const from = isRange && this.#anchor !== null ? Math.max(ids.indexOf(this.#anchor), 0) : to;
    this.#anchor = shown.dataset.id;
    this.#choose(ids.slice(Math.min(from, to), Math.max(from, to) + 1), isChosen);
  }

  #choose(ids, isChosen) {
    for (const id of ids) this.#chosen[isChosen ? 'add' : 'delete'](id);
    this.#result.replaceChildren();
    this.#showChosen();
  }

  #showChosen() {
    for (const [id, shown] of this.#rows) {
      mark(shown, 'aria-selected', this.#chosen.has(id) && 'true');
      shown.querySelector('.pick input').checked = this.#chosen.has(id);
    }
    const number = this.#chosen.size;
    this.#all.checked = number > 0 && number === this.#rows.size;
    this.#all.indeterminate = number > 0 && number < this.#rows.size;
    if (!this.#steering) this.#showTools();
  }

  #showTools() {
    const number = this.#chosen.size;
    if (!number) {
      return swap(this.#tools, h('span', { class: 'fine' }, h('kbd', {}, 'x'), ' selects a message, ', h('kbd', {}, 'Shift'), ' a range'),
        h('button', { type: 'button', class: 'button', id: 'retry-matching', onclick: () => retryMatching(this.#filters, () => this.#refreshSoon()) }, icon('again'), 'Retry all matching…'));
    }
    const verbs = Object.entries(VERBS).map(([verb, [word]]) => {
      const ids = this.#fitting(verb);
      return h('button', { type: 'button', class: verb === 'cancel' ? 'button danger' : 'button', 'data-verb': verb, disabled: ids.length === 0, onclick: () => this.#steer(verb) }, ids.length ? `${word} ${count(ids.length)}` : word);
    });
    swap(this.#tools, h('strong', { class: 'chosen' }, `${count(number)} selected`), verbs, h('button', { type: 'button', class: 'quiet', 'data-verb': 'clear', onclick: () => this.clear() }, 'Clear'));
  }

  /** The chosen messages that a verb can be for, as they stand now. */
  #fitting(verb) {
    return [...this.#chosen].filter((id) => VERBS[verb][2].includes(this.#rows.get(id)?.dataset.status) && this.#rows.get(id).dataset.origin === 'api');
  }

  async #steer(verb) {
    const ids = this.#fitting(verb);
    if (!ids.length || !await confirm(verb, ids.length)) return;
    const steering = new AbortController();
    this.#steering = steering;
    const bar = h('progress', { max: ids.length, value: 0, 'aria-label': VERBS[verb][0] });
    const word = h('span', {}, `${VERBS[verb][0]}: 0 of ${count(ids.length)}`);
    this.#tools.replaceChildren(word, bar, h('button', { type: 'button', class: 'button', onclick: () => steering.abort() }, 'Stop'));
    const tell = (done) => {
      bar.value = done;
      word.textContent = `${VERBS[verb][0]}: ${count(done)} of ${count(ids.length)}`;
    };
    const outcome = await steerAll(ids, verb, { tell, signal: steering.signal });
    if (this.#steering !== steering) return;
    this.#steering = null;
    this.#chosen.clear();
    this.#showChosen();
    this.#result.replaceChildren(summary(verb, outcome, () => this.#result.replaceChildren()));
    this.#refreshSoon();
  }

  #move(by) {
    const rows = [...this.#body.rows];
    const at = rows.findIndex((shown) => shown.contains(document.activeElement));
    const to = at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by;
    rows[Math.min(Math.max(to, 0), rows.length - 1)]?.querySelector('a').focus();
  }
}

function row(message) {
  const name = `Select the message to ${address(message.to)}`;
  return h('tr', { 'data-id': message.id, 'data-status': message.status, 'data-origin': message.origin, 'data-revision': revision(message) },
    h('td', { class: 'pick' }, h('label', {}, h('input', { type: 'checkbox', 'aria-label': name }))),
    h('td', { class: 'status' }, h('bt-status', { value: message.status })),
    h('td', { class: 'to' }, h('a', { href: `/messages/${message.id}` }, address(message.to))),
    h('td', { class: 'text' }, flag(message), message.error && h('span', { class: ARRIVED.includes(message.status) ? 'fine' : 'why', title: ARRIVED.includes(message.status) && 'An earlier attempt failed so' }, h('code', {}, message.error.code), ` ${message.error.title} `), snippet(message)),
    h('td', { class: 'from', title: message.from }, address(message.from)),
    h('td', { class: 'reference' }, message.reference && h('span', {}, message.reference), message.tags.map((tag) => h('span', { class: 'tag' }, tag))),
    h('td', { class: 'time' }, h('bt-time', { datetime: message.accepted_at })),
    h('td', { class: 'took number', title: message.delivered_at && `Delivered ${absolute(message.delivered_at)}` }, message.delivery_ms === null ? '' : duration(message.delivery_ms)));
}

/** What became of a selection. */
function summary(verb, { done, refusals, left }, close) {
  const lines = [...refusals].map(([why, number]) => h('li', {}, `${plural(number, 'message')}: ${why}`));
  const parts = [done > 0 && `${plural(done, 'message')} ${VERBS[verb][1]}.`, refusals.size > 0 && `${plural([...refusals.values()].reduce((sum, number) => sum + number, 0), 'message')} not:`, left > 0 && `Stopped: ${plural(left, 'message')} left as they were.`];
  return h('div', { 'data-done': done }, h('p', {}, parts.filter(Boolean).join(' ')), lines.length > 0 && h('ul', {}, lines),
    h('button', { type: 'button', class: 'quiet', 'aria-label': 'Close this summary', onclick: close }, icon('cross')));
}

function flag({ anomaly, duplicate_detected: duplicate }) {
  if (duplicate) return h('span', { class: 'flag', title: 'The person may have got it twice' }, icon('warn'), 'sent twice');
  return anomaly && h('span', { class: 'flag', title: 'Reported both delivered and failed' }, 'conflict');
}

function snippet({ body, content_sid: template, media_url: media }) {
  if (body) return body;
  if (template) return h('span', { class: 'fine' }, `Template ${template}`);
  return h('span', { class: 'fine' }, media.length ? plural(media.length, 'media file') : 'No content kept');
}

function revision({ status, updated_at: updated }) {
  return `${status} ${updated}`;
}

customElements.define('bt-messages', BtMessages);
