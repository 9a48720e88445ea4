// The query language of the messages page: `status:failed to:+49151 code:63016 tag:x since:2h`, to URL parameters and back.

/** Every filter the list of messages knows. */
export const FIELDS = ['status', 'to', 'from', 'code', 'tag', 'reference', 'since', 'until'];

/** Text → { filters, unknown }. A word without a field is looked for as a reference. */
export function parse(text) {
  const filters = {};
  const unknown = [];
  for (const [, field, quoted, plain, word] of text.matchAll(/([a-z_]+):(?:"([^"]*)"|(\S+))|(\S+)/gi)) {
    const name = field?.toLowerCase();
    if (!name) filters.reference = word;
    else if (FIELDS.includes(name)) filters[name] = quoted ?? plain;
    else unknown.push(name);
  }
  return { filters, unknown };
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
  return FIELDS.filter((field) => filters[field])
    .map((field) => `${field}:${/\s/.test(filters[field]) ? `"${filters[field]}"` : filters[field]}`)
    .join(' ');
}
