// Paste anything, go there: a message id, a SID, a phone number, an error code, a query, or else a reference.

import { query } from './api.js';
import { parse } from './filters.js';

/** `{ href, what }` for a pasted text, or null when there is nothing in it. */
export function inspect(pasted) {
  const text = pasted.trim();
  if (!text) return null;
  if (/^msg_[0-9a-f]{32}$/i.test(text)) return { href: `/messages/${text.toLowerCase()}`, what: 'Open this message' };
  if (/^(SM|MM)[0-9a-f]{32}$/i.test(text)) return { href: `/messages/${text}`, what: 'Open the message with this SID' };
  if (/^MG[0-9a-f]{32}$/i.test(text)) return { href: sender(text), what: 'Open this sender' };
  if (/^\d{5}$/.test(text)) return { href: `/messages${query({ code: text })}`, what: `Messages with error ${text}` };
  if (/^(whatsapp:)?\+?\d[\d\s().-]{5,}$/i.test(text)) {
    const number = `+${text.replace(/\D/g, '')}`;
    return { href: contact(`whatsapp:${number}`), what: `Open contact ${number}` };
  }
  if (/^(whatsapp:)?[A-Z]{2}\.[A-Za-z0-9.]+$/.test(text)) return { href: contact(`whatsapp:${text.replace(/^whatsapp:/i, '')}`), what: 'Open this contact' };
  if (/^[a-z_]+:\S/i.test(text)) {
    const { filters, wrong } = parse(text);
    // What cannot be understood is told apart there, with all its words kept.
    return { href: `/messages${query(wrong ? { q: text } : filters)}`, what: 'Messages for this query' };
  }
  return { href: `/messages${query({ reference: text })}`, what: `Messages with reference ${text}` };
}

/** The page of a contact. */
export function contact(address) {
  return `/contacts/${encodeURIComponent(address)}`;
}

/** The page of a sender. */
export function sender(address) {
  return `/senders/${encodeURIComponent(address)}`;
}

/** The last part of this page's path: an id or an address. */
export function pathName() {
  return decodeURIComponent(location.pathname.split('/').filter(Boolean).at(-1) ?? '');
}
