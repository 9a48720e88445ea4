// Numbers, times and addresses as people read them.

/** Our words are English, so numbers and dates are too, in the reader's own variety of it. */
const LOCALE = navigator.language.startsWith('en') ? navigator.language : 'en-GB';
const number = new Intl.NumberFormat(LOCALE);
const compact = new Intl.NumberFormat(LOCALE, { notation: 'compact', maximumFractionDigits: 1 });
const decimal = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 1 });
const relative = new Intl.RelativeTimeFormat(LOCALE, { numeric: 'always', style: 'narrow' });
const NOTHING = '–';
const DAY_MS = 86_400_000;

/** 12,345 */
export function count(value) {
  return value === null || value === undefined ? NOTHING : number.format(value);
}

/** 12.3K, for where there is no room; small numbers stay exact. */
export function short(value) {
  if (value === null || value === undefined) return NOTHING;
  return value < 100_000 ? number.format(value) : compact.format(value);
}

/** 1.2 */
export function tenth(value) {
  return value === null || value === undefined ? NOTHING : decimal.format(value);
}

/** 99.9%: rounded towards the middle, so that 100% means all and 0% means none. */
export function percent(rate) {
  if (rate === null || rate === undefined) return NOTHING;
  if (rate > 0 && rate < 0.001) return '<0.1%';
  return `${decimal.format(Math.floor(rate * 1000 + 1e-9) / 10)}%`;
}

/** 812 ms, 3.2 s, 4 min 12 s, 2 h 5 min, 3 d 4 h */
export function duration(ms) {
  if (ms === null || ms === undefined) return NOTHING;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 59.95) return `${decimal.format(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return pair(whole, 60, 'min', 1, 's');
  if (whole < 86_400) return pair(whole, 3600, 'h', 60, 'min');
  return pair(whole, 86_400, 'd', 3600, 'h');
}

function pair(seconds, unit, name, rest, restName) {
  const left = Math.floor((seconds % unit) / rest);
  return `${Math.floor(seconds / unit)} ${name}${left ? ` ${left} ${restName}` : ''}`;
}

/** 12s ago, 3h ago, in 5min */
export function ago(iso, now = Date.now()) {
  const seconds = Math.round((Date.parse(iso) - now) / 1000);
  const size = Math.abs(seconds);
  if (size < 2) return 'now';
  if (size < 60) return relative.format(seconds, 'second');
  if (size < 3600) return relative.format(Math.trunc(seconds / 60), 'minute');
  if (size < 86_400) return relative.format(Math.trunc(seconds / 3600), 'hour');
  return relative.format(Math.trunc(seconds / 86_400), 'day');
}

/** 23 Nov 2026, 14:00:00.123 UTC */
export function absolute(iso) {
  return `${clock(iso, { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 })}${zone() === 'utc' ? ' UTC' : ''}`;
}

/** 14:00:00.123, with the day when it is not today. */
export function moment(iso) {
  const time = { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 };
  return isToday(iso) ? clock(iso, time) : clock(iso, { day: 'numeric', month: 'short', ...time });
}

/** 23 Nov, 14:00: the start of an hour or a day. */
export function bucketLabel(iso, bucket) {
  // A day is a UTC day, whatever the reader's zone: bluetick counts so.
  if (bucket === 'day') return new Intl.DateTimeFormat(LOCALE, { weekday: 'short', day: 'numeric', month: 'short', timeZone: 'UTC' }).format(new Date(iso));
  return clock(iso, { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
}

/** 23 Nov 14:00, for ranges. */
export function edge(iso) {
  return clock(iso, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
}

function clock(iso, options) {
  return new Intl.DateTimeFormat(LOCALE, { ...options, hourCycle: 'h23', timeZone: zone() === 'utc' ? 'UTC' : undefined }).format(new Date(iso));
}

function isToday(iso) {
  const day = (time) => clock(time, { year: 'numeric', month: 'numeric', day: 'numeric' });
  return Math.abs(Date.parse(iso) - Date.now()) < DAY_MS && day(iso) === day(Date.now());
}

/** +49 1510000001 without the channel's prefix, which every address here has. */
export function address(value) {
  return value ? value.replace(/^whatsapp:/, '') : NOTHING;
}

/** The reader's choice: `local` or `utc`. */
export function zone() {
  try {
    return localStorage.getItem('bt-zone') === 'utc' ? 'utc' : 'local';
  } catch {
    return 'local';
  }
}

/** Changes it everywhere at once. */
export function setZone(value) {
  try {
    localStorage.setItem('bt-zone', value);
  } catch {
    // Storage can be forbidden; then times stay local.
  }
  document.dispatchEvent(new Event('bt-zone'));
}

/** 812 B, 3.2 kB, 26 MB */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return NOTHING;
  const [unit, name] = [[1e9, 'GB'], [1e6, 'MB'], [1e3, 'kB']].find(([least]) => bytes >= least) ?? [1, 'B'];
  return `${decimal.format(bytes / unit)} ${name}`;
}

/** `1 message`, `2 messages` */
export function plural(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}
