// The list of messages: chips and a query box over one set of filters, which is the URL.

import './bt-shell.js';
import './bt-messages.js';
import { mark } from './dom.js';
import { parse, pick, text } from './filters.js';
import * as keys from './keys.js';
import * as url from './url-state.js';

const box = document.getElementById('query');
const hint = document.getElementById('query-hint');
const list = document.querySelector('bt-messages');
const chips = [...document.querySelectorAll('.chips a')];

function show(params = url.read()) {
  const asked = params.q ? parse(params.q) : null;
  if (asked && !asked.wrong) return url.go(asked.filters, { replace: true });
  const filters = pick(params);
  if (document.activeElement !== box) box.value = text(filters) && `${text(filters)} `;
  hint.textContent = asked?.wrong ?? '';
  if (asked) box.value = params.q;
  for (const chip of chips) {
    const { status, since } = chip.dataset;
    const other = status === undefined ? { since } : { status };
    const [field, value] = Object.entries(other)[0];
    chip.href = url.href({ ...filters, [field]: value });
    mark(chip, 'aria-current', (filters[field] ?? '') === value && 'true');
  }
  list.show(filters, params.cursor ?? null);
}

document.getElementById('filter').addEventListener('submit', (event) => {
  event.preventDefault();
  const { filters, wrong } = parse(box.value);
  hint.textContent = wrong ?? '';
  if (wrong) return;
  box.blur();
  url.go(filters);
});

box.addEventListener('search', () => box.value === '' && url.go({}));
keys.bind('/', 'Filter messages', () => {
  box.focus();
  box.select();
});
keys.bind('Escape', 'Clear the selection, then the filter', () => list.clear() || (Object.keys(url.read()).length && url.go({})));
url.watch(show);
show();
