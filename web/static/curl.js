// Ready-made commands against this very instance.

/** A first message, for pages that are still empty. */
export function firstMessage() {
  return command({ to: 'whatsapp:+491510000001', body: 'Hello from bluetick' }, 'hello-1');
}

/** The command that would make this message again. */
export function again(message) {
  const draft = {};
  for (const field of ['to', 'from', 'body', 'media_url', 'content_sid', 'variables', 'reference', 'tags', 'metadata', 'priority']) {
    if (!isEmpty(message[field])) draft[field] = message[field];
  }
  return command(draft, 'choose-a-key');
}

function command(draft, key) {
  return [
    `curl ${location.origin}/v1/messages`,
    '-H "Authorization: Bearer $BLUETICK_API_KEY"',
    '-H "Content-Type: application/json"',
    `-H "Idempotency-Key: ${key}"`,
    `-d ${quote(JSON.stringify(draft))}`,
  ].join(' \\\n  ');
}

/** One shell word, whatever is in it. */
function quote(text) {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function isEmpty(value) {
  return value === null || value === undefined || (typeof value === 'object' && Object.keys(value).length === 0);
}
