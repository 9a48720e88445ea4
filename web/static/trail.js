// The list a message was opened from, so that its page can step to its neighbours and back. Lasts as long as the tab.

const KEY = 'bt-trail';

/** Remembers the rows of the page being left. */
export function leave(ids) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ from: location.pathname + location.search, ids }));
  } catch {
    // Without storage a message page simply has no neighbours.
  }
}

/** `{ from, newer, older }`, as far as they are known. */
export function neighbours(id) {
  try {
    const { from, ids } = JSON.parse(sessionStorage.getItem(KEY));
    const at = ids.indexOf(id);
    return at < 0 ? {} : { from, newer: ids[at - 1], older: ids[at + 1] };
  } catch {
    return {};
  }
}
