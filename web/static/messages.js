// The list of messages: chips and a query box over one set of filters, which is the URL.

import './bt-shell.js';
import './bt-messages.js';
import { mark } from './dom.js';
import { FIELDS, parse, pick, text } from './filters.js';
import * as keys from './keys.js';
import * as url from './url-state.js';

const box = document.getElementById('query');
const hint = document.getElementById('query-hint');
const list = document.querySelector('bt-messages');
const chips = [...document.querySelectorAll('.chips a')];

function show(params = url.read()) {
  const filters = pick(params);
  if (document.activeElement !== box) box.value = text(filters) && `${text(filters)} `;
  hint.textContent = '';
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
  const { filters, unknown } = parse(box.value);
  if (unknown.length) {
    hint.textContent = `There is no filter “${unknown[0]}”. Use ${FIELDS.join(', ')}.`;
    return;
  }
  box.blur();
  url.go(filters);
});

box.addEventListener('search', () => box.value === '' && url.go({}));
keys.bind('/', 'Filter messages', () => {
  box.focus();
  box.select();
});
keys.bind('Enter', 'Open the message', () => document.activeElement.click?.());
keys.bind('Escape', 'Clear the filter', () => Object.keys(url.read()).length && url.go({}));
url.watch(show);
show();
