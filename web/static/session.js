// Who is logged in, and how they leave. A page that the browser kept to go back to shows nothing of them afterwards.

import { get, remove, toLogin } from './api.js';
import { toast } from './toast.js';

/** Changes when somebody leaves, so that the other tabs leave too. */
const LEFT = 'bt-left';
let asked = null;

/** `{ user, role, scopes, has_totp, is_declared, step_up_until, ends_at }`; `fresh` asks again. */
export function who({ fresh = false } = {}) {
  if (fresh || !asked) asked = get('/session');
  return asked;
}

/** Logs out, in every tab. */
export async function leave() {
  try {
    await remove('/session');
  } catch (problem) {
    toast(problem.message);
    return;
  }
  try {
    localStorage.setItem(LEFT, String(Date.now()));
  } catch {
    // Without storage the other tabs notice with their next request.
  }
  document.body.replaceChildren();
  location.replace('/login');
}

/** Follows when another tab leaves, and looks again when this page comes back out of the browser's memory. */
export function watchLeaving() {
  addEventListener('storage', ({ key }) => key === LEFT && toLogin());
  addEventListener('pageshow', async ({ persisted }) => {
    if (!persisted) return;
    document.documentElement.hidden = true;
    try {
      await who({ fresh: true });
      document.documentElement.hidden = false;
    } catch {
      // Whoever cannot be asked is not shown what stood there.
      location.reload();
    }
  });
}
