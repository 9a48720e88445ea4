// One stream of events for the whole page: closed while nobody looks, polled when it cannot be had.
// Emits `event` (detail: one Event), `resync` (something may have been missed: fetch again) and `state`.
//
// It never replays: pages show what is, not what happened, so after a gap one fetch is both cheaper and surer.

const STREAM = '/admin/api/events';
const POLL_MS = 10_000;
/** Streams that fail this often in a row give way to polling, which goes on trying the stream. */
const TRIES_BEFORE_POLLING = 3;
const FIRST_BACKOFF_MS = 1000;
/** A proxy that holds back the stream's head looks like this: connected, and silent. */
const OPEN_MS = 6000;

/** EventSource hands over named events only to who knows the name; these are all the names there are. */
const TYPES = [
  ...['pending', 'held', 'in_flight', 'unknown', 'accepted', 'scheduled', 'queued', 'sending', 'sent', 'delivered', 'read',
    'undelivered', 'failed', 'partially_delivered', 'refused', 'expired', 'suppressed', 'canceled', 'updated', 'duplicate_detected'].map((status) => `message.${status}`),
  'inbound.received', 'sending.paused', 'sending.resumed', 'contact.opted_out', 'contact.opted_in',
];

class Live extends EventTarget {
  /** `connecting`, `live`, `reconnecting`, `polling` or `paused`. */
  state = 'connecting';
  #source = null;
  /** The next try, or the patience with the current one. */
  #timer = null;
  #failures = 0;
  #paused = false;

  start() {
    document.addEventListener('visibilitychange', () => this.#follow());
    // An open stream would keep the page out of the back/forward cache.
    addEventListener('pagehide', () => this.#close('paused'));
    addEventListener('pageshow', (shown) => shown.persisted && this.#follow());
    this.#follow();
  }

  /** The person's own switch. */
  toggle() {
    this.#paused = !this.#paused;
    this.#follow();
  }

  #follow() {
    if (this.#paused || document.hidden) this.#close('paused');
    else if (this.state === 'paused' || this.#timer === null) this.#open();
  }

  #close(state) {
    this.#source?.close();
    clearTimeout(this.#timer);
    this.#source = this.#timer = null;
    this.#failures = 0;
    this.#become(state);
  }

  #open() {
    if (this.state === 'paused') this.#become('connecting');
    this.#source?.close();
    const source = new EventSource(STREAM);
    this.#source = source;
    this.#timer = setTimeout(() => this.#retry(), OPEN_MS);
    source.addEventListener('open', () => {
      clearTimeout(this.#timer);
      this.#failures = 0;
      this.#become('live');
      this.dispatchEvent(new Event('resync'));
    });
    // The browser's own reconnecting gives up for good on an HTTP error, so ours is used for every kind of failure.
    source.addEventListener('error', () => this.#retry());
    for (const type of TYPES) {
      source.addEventListener(type, (message) => this.dispatchEvent(new CustomEvent('event', { detail: JSON.parse(message.data) })));
    }
  }

  #retry() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
    this.#failures += 1;
    if (this.#failures <= TRIES_BEFORE_POLLING) {
      this.#become('reconnecting');
      this.#timer = setTimeout(() => this.#open(), FIRST_BACKOFF_MS * 2 ** (this.#failures - 1));
      return;
    }
    this.#become('polling');
    this.#timer = setTimeout(() => {
      this.dispatchEvent(new Event('resync'));
      this.#open();
    }, POLL_MS);
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event('state'));
  }
}

/** The page's only stream. */
export const live = new Live();
