// <bt-status value="delivered">: a status as colour and picture and word, never by one of them alone.

import { h, mark } from './dom.js';
import { icon } from './icons.js';
import { status } from './words.js';

class BtStatus extends HTMLElement {
  static observedAttributes = ['value'];

  attributeChangedCallback() {
    const { word, picture, tone, meaning } = status(this.getAttribute('value'));
    mark(this, 'data-tone', tone);
    this.title = meaning;
    this.replaceChildren(icon(picture), h('span', {}, word));
  }
}

customElements.define('bt-status', BtStatus);
