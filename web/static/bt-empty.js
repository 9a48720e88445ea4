// <bt-empty>: what stands where rows would be: why there are none, and what to do about it.

import './bt-copy.js';
import { firstMessage } from './curl.js';
import { h } from './dom.js';
import { icon } from './icons.js';

class BtEmpty extends HTMLElement {
  /** Nothing has happened yet: say what will appear, and how to make it appear. */
  nothingYet(title, text, { curl = false } = {}) {
    const command = firstMessage();
    this.#show('tick', title, text, curl && h('div', { class: 'command' }, h('pre', {}, h('code', {}, command)), h('bt-copy', { value: command, text: 'Copy' })));
  }

  /** There may be plenty, only not here. */
  noMatch(title, text, ...actions) {
    this.#show('search', title, text, h('p', { class: 'actions' }, actions));
  }

  /** A Problem: its sentence for the person, its code and request id for whoever is asked for help. */
  problem(problem, retry) {
    this.setAttribute('role', 'alert');
    this.#show('warn', problem.title ?? 'Something went wrong', problem.detail ?? problem.message,
      problem.errors?.length > 0 && h('ul', {}, problem.errors.map(({ field, detail }) => h('li', {}, h('code', {}, field), ` ${detail}`))),
      h('p', { class: 'actions' },
        retry && h('button', { type: 'button', class: 'button', onclick: retry }, 'Try again'),
        h('code', { class: 'fine' }, problem.code ?? 'page_error', problem.requestId && ` · request ${problem.requestId}`)));
  }

  #show(picture, title, text, ...more) {
    this.replaceChildren(icon(picture), h('h2', {}, title), h('p', {}, text), ...more.filter(Boolean));
  }
}

customElements.define('bt-empty', BtEmpty);

/** A ready problem notice. */
export function problemNotice(problem, retry) {
  const empty = h('bt-empty');
  empty.problem(problem, retry);
  return empty;
}
