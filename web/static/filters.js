// The query language of the messages page: `status:failed to:+49151 code:63016 tag:x since:2h`, to URL parameters and back.
// Invariant: no word is dropped in silence; what cannot be understood is said.

/** Every filter the list of messages knows. */
export const FIELDS = ['status', 'to', 'from', 'code', 'tag', 'reference', 'since', 'until'];
/** Of these only `status` takes several values. */
const SEVERAL = 'status';
const WORD = /(?:([a-z_]+):)?(?:"((?:[^"\\]|\\.)*)"|(\S+))/gi;

/** Text → { filters, wrong }: words without a field are one reference; `wrong` is a sentence about the first mistake. */
export function parse(text) {
  const filters = {};
  const loose = [];
  let wrong = null;
  for (const [all, field, quoted, plain] of text.matchAll(WORD)) {
    const value = quoted === undefined ? plain : quoted.replace(/\\(.)/g, '$1');
    const name = field?.toLowerCase();
    if (!name && /^[a-z_]+:$/i.test(value)) wrong ??= `What is “${all}” to be? Write its value right after the colon.`;
    else if (!name) loose.push(value);
    else if (!FIELDS.includes(name)) wrong ??= `There is no filter “${field}”. Use ${FIELDS.join(', ')}.`;
    else if (!(name in filters)) filters[name] = value;
    else if (name === SEVERAL) filters[name] += `,${value}`;
    else if (filters[name] !== value) wrong ??= `“${name}” can be given once: it is ${filters[name]} and ${value} here.`;
  }
  if (loose.length && filters.reference) wrong ??= `“${loose.join(' ')}” stands without a filter’s name. Use ${FIELDS.join(', ')}.`;
  else if (loose.length) filters.reference = loose.join(' ');
  return { filters, wrong };
}

/** The filters among URL parameters. A bare `+` in a hand-written URL means a space; here it was meant. */
export function pick(params) {
  const filters = {};
  for (const field of FIELDS) {
    if (params[field]) filters[field] = params[field].replace(/^ (?=\d)/, '+').trim();
  }
  return filters;
}

/** Filters → text. */
export function text(filters) {
  return FIELDS.filter((field) => filters[field]).map((field) => `${field}:${quote(filters[field])}`).join(' ');
}

function quote(value) {
  return /\s|^"/.test(value) ? `"${value.replace(/["\\]/g, String.raw`\$&`)}"` : value;
}
