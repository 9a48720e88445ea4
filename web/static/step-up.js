// Shows once more who sits there, before something dangerous: by the code of a phone, or the password where there is none.

import { post } from './api.js';
import { open } from './dialog.js';
import { h } from './dom.js';
import { who } from './session.js';

/** A proof that ends while the answer is on its way is none. */
const MARGIN_MS = 10_000;
let asking = null;

/** Asks; whether it was shown. However many requests wait for it, the person is asked once. */
export function prove() {
  asking ??= ask().finally(() => {
    asking = null;
  });
  return asking;
}

/** Whether it was shown just now, or is now. */
export async function proven() {
  const { step_up_until: until } = await who({ fresh: true });
  return Date.parse(until) - Date.now() > MARGIN_MS || prove();
}

async function ask() {
  const { user, has_totp: hasTotp } = await who({ fresh: true });
  const input = h('input', hasTotp
    ? { type: 'text', name: 'code', inputmode: 'numeric', autocomplete: 'one-time-code', required: true }
    : { type: 'password', name: 'password', autocomplete: 'current-password', required: true });
  const refusal = h('p', { class: 'refusal', role: 'alert' });
  const confirm = h('button', { class: 'button primary' }, 'Confirm');
  let isProven = false;
  const form = h('form', {
    class: 'fields',
    onsubmit: async (event) => {
      event.preventDefault();
      confirm.disabled = true;
      try {
        await post('/session/step-up', { [input.name]: input.value });
        isProven = true;
        dialog.close();
      } catch (problem) {
        refusal.textContent = problem.code === 'wrong_login' ? `This ${hasTotp ? 'code' : 'password'} is wrong.` : problem.message;
        input.select();
      }
      confirm.disabled = false;
    },
  },
  // Password managers look for the name beside the password.
  !hasTotp && h('input', { type: 'text', name: 'user', value: user, autocomplete: 'username', hidden: true }),
  h('label', {}, h('span', {}, hasTotp ? 'Code of your phone' : 'Password'), input), refusal,
  h('p', { class: 'actions' }, confirm, h('button', { type: 'button', class: 'button', onclick: () => dialog.close() }, 'Cancel')));
  const dialog = open('Is it still you?', [h('p', {}, `What you are about to do is asked of ${user} only, so show once more that it is you. It then holds for five minutes.`), form], { class: 'step-up' });
  input.focus();
  return new Promise((resolve) => {
    dialog.addEventListener('close', async () => {
      if (isProven) await who({ fresh: true });
      resolve(isProven);
    });
  });
}
