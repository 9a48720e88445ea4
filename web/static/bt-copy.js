// <bt-copy value="SM…" [label="Copy SID"] [text="Copy as curl"]>: a button that copies, also where there is no TLS.

import { h } from './dom.js';
import { icon } from './icons.js';
import { toast } from './toast.js';

class BtCopy extends HTMLElement {
  static observedAttributes = ['value'];

  connectedCallback() {
    if (this.firstChild) return;
    const text = this.getAttribute('text');
    const label = this.getAttribute('label') ?? text ?? 'Copy';
    this.append(h('button', { type: 'button', class: text ? 'button' : 'quiet', title: label, 'aria-label': label, onclick: () => this.#copy() }, icon('copy'), text));
  }

  async #copy() {
    const value = this.getAttribute('value') ?? '';
    const done = navigator.clipboard ? await navigator.clipboard.writeText(value).then(() => true, () => copyBySelection(value)) : copyBySelection(value);
    toast(done ? 'Copied' : 'The browser did not allow copying');
  }
}

/** The clipboard API exists only in secure contexts; admin pages on a private network often are not one. */
function copyBySelection(value) {
  const area = h('textarea', { class: 'sr-only', 'aria-hidden': 'true' });
  area.value = value;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  return done;
}

customElements.define('bt-copy', BtCopy);
