// Questions to the person before something happens to many, or cannot be undone. The browser's own <dialog>.

import { h } from './dom.js';

let number = 0;

/**
 * Asks, and gives the values of `fields` by name, or null. `fields` are labelled controls; Escape and `no` mean no.
 * What is asked for gets the focus, else the way out.
 */
export function ask({ title, text, fields = [], yes, no = 'Leave it', danger = false }) {
  const form = h('form', { method: 'dialog', class: 'fields' }, fields,
    h('p', { class: 'actions' },
      h('button', { class: `button ${danger ? 'danger' : 'primary'}`, value: 'yes' }, yes),
      h('button', { class: 'button', value: 'no', formnovalidate: true, autofocus: fields.length === 0 }, no)));
  const dialog = open(title, [text && h('p', {}, text), form]);
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes' ? Object.fromEntries(new FormData(form)) : null));
  });
}

/** Opens a dialog that is gone for good when it closes. */
export function open(title, content, props = {}) {
  const id = `dialog-${number += 1}`;
  const back = document.activeElement;
  const dialog = h('dialog', { 'aria-labelledby': id, ...props }, h('h2', { id }, title), content);
  document.body.append(dialog);
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (back?.isConnected) back.focus({ preventScroll: true });
  });
  dialog.showModal();
  return dialog;
}

/** A labelled line of text. */
export function line(label, props, hint = null) {
  return h('label', {}, h('span', {}, label), h('input', { type: 'text', autocomplete: 'off', ...props }), hint && h('span', { class: 'fine' }, hint));
}

/** A labelled choice of one: `options` are [value, words]. */
export function choice(label, name, options) {
  return h('fieldset', {}, h('legend', {}, label), options.map(([value, words], index) =>
    h('label', { class: 'inline' }, h('input', { type: 'radio', name, value, checked: index === 0 }), words)));
}
