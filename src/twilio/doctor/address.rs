//! Which URL Twilio may have called: the configured one, and what proxies and people make of a URL.
//!
//! Invariant: headers only add to what is tried; the configured URL is tried first.

use std::collections::BTreeMap;

use super::escape::{decode, encode, plain, recase};
use super::reading::hash_pair;
use super::search::Guess;
use super::{HINTS, Setup};
use crate::twilio::signature::{default_port, split, split_port};
use crate::twilio::webhook::{Request, is_form};

/// Where services listen behind a proxy, and tunnels before them.
const INNER_PORTS: [&str; 7] = ["8080", "8443", "3000", "5000", "8000", "4443", "4040"];
/// Segments, pairs or hosts of one kind that are tried; more are in no URL that was meant.
const MAX_OF_A_KIND: usize = 8;
/// Pairs of a query that are tried in every order: 24 orders.
const MAX_SHUFFLED: usize = 4;
/// What weighs more is not tried with anything else.
const MAX_WEIGHT: usize = 4;

/// What the headers say about the way the request took. Anybody can write them.
#[derive(Debug, Default)]
pub(super) struct Hints {
    hosts: Vec<String>,
    ports: Vec<String>,
    prefixes: Vec<String>,
    targets: Vec<String>,
}

impl Hints {
    /// Reads those of [`HINTS`] that say something about the URL; which scheme they name does not matter, both are tried.
    pub(super) fn read(headers: &[(&str, &str)]) -> Self {
        let mut hints = Self::default();
        for (name, value) in headers {
            let name = name.to_ascii_lowercase();
            if !HINTS.contains(&name.as_str()) {
                continue;
            }
            for value in value.split(',').map(str::trim).filter(|value| !value.is_empty()).take(MAX_OF_A_KIND) {
                hints.note(&name, value);
            }
        }
        hints.hosts.truncate(MAX_OF_A_KIND);
        hints
    }

    fn note(&mut self, name: &str, value: &str) {
        match name {
            "host" | "x-forwarded-host" => self.hosts.push(value.to_owned()),
            "x-forwarded-port" => self.ports.push(value.to_owned()),
            "x-forwarded-prefix" => self.prefixes.push(format!("/{}", value.trim_matches('/'))),
            "x-original-url" | "x-rewrite-url" => match split(value).filter(|_| !value.starts_with('/')) {
                Some((_, host, target)) => {
                    self.hosts.push(host.to_owned());
                    self.targets.push(target.to_owned());
                }
                None => self.targets.push(value.to_owned()),
            },
            "forwarded" => {
                let pairs = value.split(';').filter_map(|pair| pair.trim().split_once('='));
                let hosts = pairs.filter(|(key, _)| key.eq_ignore_ascii_case("host"));
                self.hosts.extend(hosts.map(|(_, host)| host.trim_matches('"').to_owned()));
            }
            _ => {}
        }
    }
}

/// Guesses, each once, with the least that it weighs.
#[derive(Default)]
struct Guesses(BTreeMap<String, usize>);

impl Guesses {
    fn add(&mut self, text: impl Into<String>, weight: usize) {
        let least = self.0.entry(text.into()).or_insert(weight);
        *least = weight.min(*least);
    }

    fn done(self) -> Vec<Guess> {
        let mut guesses: Vec<_> = self.0.into_iter().map(|(text, weight)| Guess { text, weight }).collect();
        guesses.retain(|guess| guess.weight <= MAX_WEIGHT);
        guesses.sort_by_key(|guess| guess.weight);
        guesses
    }
}

/// A public URL in its parts, also one that a person wrote carelessly.
struct Public<'a> {
    scheme: &'a str,
    /// With user and password.
    authority: &'a str,
    host: &'a str,
    port: Option<&'a str>,
    /// Without a slash at its end.
    prefix: &'a str,
    fragment: Option<&'a str>,
}

impl<'a> Public<'a> {
    fn of(url: &'a str) -> Self {
        let (whole, fragment) = url.split_once('#').map_or((url, None), |(whole, fragment)| (whole, Some(fragment)));
        let (scheme, rest) = whole.split_once("://").unwrap_or(("", whole));
        let (authority, prefix) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let bare = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = host_and_port(bare);
        let prefix = prefix.split('?').next().unwrap_or_default().trim_end_matches('/');
        Self { scheme, authority, host, port, prefix, fragment }
    }
}

fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    match split_port(authority) {
        Some(host) => (host, authority.get(host.len() + 1..)),
        None => (authority, None),
    }
}

/// User and password in a URL, with the @ behind them.
pub(super) fn password(url: &str) -> Option<&str> {
    let authority = Public::of(url).authority;
    authority.rfind('@').map(|at| &authority[..=at])
}

/// Everything that may stand in front of the path.
pub(super) fn origins(setup: &Setup<'_>, hints: &Hints) -> Vec<Guess> {
    let public = Public::of(setup.public_url);
    let mut schemes = Guesses::default();
    schemes.add(public.scheme, 0);
    ["https", "http"].into_iter().for_each(|scheme| schemes.add(scheme, 1));
    let mut hosts = Guesses::default();
    add_host(&mut hosts, public.host, 0);
    let mut ports = Guesses::default();
    ports.add("", 0);
    public.port.into_iter().for_each(|port| ports.add(port, 0));
    for hint in &hints.hosts {
        let (host, port) = host_and_port(hint);
        add_host(&mut hosts, host, 1);
        port.into_iter().for_each(|port| ports.add(port, 1));
    }
    hints.ports.iter().for_each(|port| ports.add(port, 1));
    ["80", "443"].into_iter().chain(INNER_PORTS).for_each(|port| ports.add(port, 2));
    let (hosts, ports) = (hosts.done(), ports.done());
    let mut origins = Guesses::default();
    for scheme in schemes.done().iter().filter(|scheme| !scheme.text.is_empty()) {
        for host in &hosts {
            for port in &ports {
                // A port that says nothing is written or not, by whoever signs.
                let is_default = default_port(&scheme.text).is_some_and(|default| default.to_string() == port.text);
                let weight = scheme.weight + host.weight + if is_default { 0 } else { port.weight };
                let colon = if port.text.is_empty() { "" } else { ":" };
                origins.add(format!("{}://{}{colon}{}", scheme.text, host.text, port.text), weight);
            }
        }
        if public.authority.contains('@') {
            origins.add(format!("{}://{}", scheme.text, public.authority), scheme.weight + 1);
        }
    }
    origins.done()
}

fn add_host(hosts: &mut Guesses, host: &str, weight: usize) {
    if host.is_empty() {
        return;
    }
    hosts.add(host, weight);
    hosts.add(host.to_ascii_lowercase(), weight + 1);
    hosts.add(host.trim_end_matches('.'), weight + 1);
    match host.strip_prefix("www.") {
        Some(bare) => hosts.add(bare, weight + 1),
        None => hosts.add(format!("www.{host}"), weight + 1),
    }
}

/// Every path with every query.
pub(super) fn targets(request: &Request<'_>, setup: &Setup<'_>, hints: &Hints) -> Vec<Guess> {
    let public = Public::of(setup.public_url);
    let (received, fragment) = match request.target.split_once('#') {
        Some((target, fragment)) => (target, Some(fragment)),
        None => (request.target, None),
    };
    let received = below_host(received);
    let (path, query) = parts(received);
    let paths = paths(&public, path, hints);
    let queries = queries(query, request);
    let mut targets = Guesses::default();
    for path in &paths {
        for query in queries.iter().filter(|query| path.weight + query.weight <= MAX_WEIGHT) {
            targets.add(format!("{}{}", path.text, query.text), path.weight + query.weight);
        }
    }
    let ours = setup.paths.iter().map(|path| path.split('#').next().unwrap_or_default());
    for whole in hints.targets.iter().map(String::as_str).chain(ours) {
        targets.add(format!("{}{whole}", public.prefix), 1);
        targets.add(whole, 1 + usize::from(!public.prefix.is_empty()));
    }
    let known = setup.paths.iter().filter_map(|path| path.split_once('#')).map(|(_, fragment)| fragment);
    for fragment in fragment.into_iter().chain(public.fragment).chain(known).take(MAX_OF_A_KIND) {
        targets.add(format!("{}{received}#{fragment}", public.prefix), 2);
    }
    targets.done()
}

/// Path and query of a request line, also of one that holds a whole URL.
pub(super) fn below_host(target: &str) -> &str {
    match split(target) {
        Some((_, _, below)) if !target.starts_with('/') => below,
        _ => target,
    }
}

fn parts(target: &str) -> (&str, Option<&str>) {
    target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)))
}

fn paths(public: &Public<'_>, path: &str, hints: &Hints) -> Vec<Guess> {
    let mut whole = Guesses::default();
    whole.add(format!("{}{path}", public.prefix), 0);
    for front in fronts(public.prefix).into_iter().chain(hints.prefixes.iter().map(String::as_str)) {
        whole.add(format!("{front}{path}"), 1);
        whole.add(format!("{}{front}{path}", public.prefix), 1);
        whole.add(format!("{front}{}{path}", public.prefix), 2);
    }
    // Whoever gave Twilio a URL that ends with a slash, and added a path to it.
    whole.add(format!("{}/{path}", public.prefix), 1);
    for (dropped, (at, _)) in path.match_indices('/').enumerate().skip(1).take(MAX_OF_A_KIND) {
        let weight = if dropped == 1 { 1 } else { 2 };
        whole.add(format!("{}{}", public.prefix, &path[at..]), weight);
        whole.add(&path[at..], weight + usize::from(!public.prefix.is_empty()));
    }
    for (at, _) in path.match_indices('/').take(MAX_OF_A_KIND) {
        whole.add(format!("{}{}/{}", public.prefix, &path[..at], &path[at..]), 2);
    }
    if path.contains("//") {
        whole.add(format!("{}{}", public.prefix, single_slashes(path)), 1);
    }
    let mut paths = Guesses::default();
    for Guess { text, weight } in whole.done() {
        for (escaped, more) in escapings(&text) {
            let other = match escaped.strip_suffix('/') {
                Some(bare) => bare.to_owned(),
                None => format!("{escaped}/"),
            };
            paths.add(other, weight + more + 1);
            paths.add(escaped, weight + more);
        }
    }
    paths.done()
}

/// Nothing, and what a path begins with: `/a/b/c` has `/a`, `/a/b` and itself.
fn fronts(path: &str) -> Vec<&str> {
    let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
    std::iter::once("").chain(ends.map(|end| &path[..end])).take(MAX_OF_A_KIND).collect()
}

/// The path with every run of slashes made one.
pub(super) fn single_slashes(path: &str) -> String {
    let mut single = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter != '/' || !single.ends_with('/') {
            single.push(letter);
        }
    }
    single
}

/// The same path or query, escaped as others would.
fn escapings(text: &str) -> Vec<(String, usize)> {
    let mut escaped = vec![
        (text.to_owned(), 0),
        (text.replace("%20", "+"), 1),
        (text.replace('+', "%20"), 1),
        (recase(text, char::to_ascii_uppercase), 1),
        (recase(text, char::to_ascii_lowercase), 1),
        (text.replace('%', "%25"), 1),
        (encode(&plain(text), "/=&?"), 1),
        (encode(&plain(text), "/=&?").replace("%20", "+"), 1),
        (encode(&plain(text), "/=&?:@!$'()*,;"), 1),
        (text.replace("&amp;", "&"), 1),
    ];
    escaped.extend(decode(text).map(|decoded| (decoded, 1)));
    escaped
}

fn queries(query: Option<&str>, request: &Request<'_>) -> Vec<Guess> {
    let mut queries = Guesses::default();
    queries.add("", usize::from(query.is_some()));
    // A JSON post carries the hash of its body, if nobody took it away.
    if request.method != "GET" && !request.body.is_empty() && !request.content_type.is_some_and(is_form) {
        let joint = query.map_or(String::new(), |query| format!("{query}&"));
        queries.add(format!("?{joint}{}", hash_pair(request.body)), 1);
    }
    let Some(query) = query else {
        queries.add("?", 2);
        return queries.done();
    };
    let pairs: Vec<_> = query.split('&').collect();
    for (order, weight) in orders(&pairs) {
        let strict = order.iter().map(|pair| strict(pair)).collect::<Vec<_>>().join("&");
        queries.add(format!("?{strict}"), weight + 1);
        queries.add(format!("?{}", strict.replace("%20", "+")), weight + 1);
        for (escaped, more) in escapings(&order.join("&")) {
            queries.add(format!("?{escaped}"), weight + more);
        }
    }
    for (index, _) in pairs.iter().enumerate().take(MAX_OF_A_KIND) {
        queries.add(format!("?{}", [&pairs[..index], &pairs[index + 1..]].concat().join("&")), 1);
        queries.add(format!("?{}", pairs[..index].join("&")), 2);
    }
    let without = pairs.iter().map(|pair| pair.strip_suffix('=').unwrap_or(pair)).collect::<Vec<_>>();
    let with = pairs.iter().map(|pair| if pair.contains('=') { (*pair).to_owned() } else { format!("{pair}=") });
    queries.add(format!("?{}", without.join("&")), 1);
    queries.add(format!("?{}", with.collect::<Vec<_>>().join("&")), 1);
    queries.done()
}

/// A pair with everything escaped that can be.
fn strict(pair: &str) -> String {
    let pieces: Vec<_> = pair.splitn(2, '=').map(|piece| encode(&plain(piece), "")).collect();
    pieces.join("=")
}

/// As they came, sorted and backwards; a few of them in every order.
fn orders<'a>(pairs: &[&'a str]) -> Vec<(Vec<&'a str>, usize)> {
    let sorted = |mut pairs: Vec<&'a str>| {
        pairs.sort_unstable();
        pairs
    };
    let mut orders = vec![(pairs.to_vec(), 0), (sorted(pairs.to_vec()), 1), (pairs.iter().rev().copied().collect(), 1)];
    if pairs.len() <= MAX_SHUFFLED {
        orders.extend(shuffled(pairs).into_iter().map(|order| (order, 1)));
    }
    orders
}

fn shuffled<'a>(pairs: &[&'a str]) -> Vec<Vec<&'a str>> {
    let Some((first, rest)) = pairs.split_first() else { return vec![Vec::new()] };
    let place = |order: Vec<&'a str>| (0..=order.len()).map(move |at| [&order[..at], &[*first], &order[at..]].concat());
    shuffled(rest).into_iter().flat_map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_give_hosts_ports_and_prefixes_to_try() {
        let hints = Hints::read(&[
            ("Host", "inner:8080"),
            ("Forwarded", "for=10.0.0.1;proto=https;host=\"a.example\", for=10.0.0.2; Host=b.example"),
            ("X-Forwarded-Prefix", "blue/"),
            ("X-Original-URL", "https://c.example/x?y=1"),
            ("X-Forwarded-Port", "8443"),
            ("Cookie", "d.example"),
        ]);
        assert_eq!(hints.hosts, ["inner:8080", "a.example", "b.example", "c.example"]);
        assert_eq!((&hints.ports[..], &hints.prefixes[..]), (&["8443".to_owned()][..], &["/blue".to_owned()][..]));
        assert_eq!(hints.targets, ["/x?y=1"]);
    }

    #[test]
    fn a_few_pairs_are_tried_in_every_order_and_many_are_not() {
        assert_eq!(shuffled(&["a", "b", "c"]).len(), 6);
        assert_eq!(orders(&["e", "d", "c", "b", "a"]).len(), 3);
        assert_eq!(fronts("/a/b"), ["", "/a", "/a/b"]);
        assert_eq!(single_slashes("//a///b/"), "/a/b/");
    }
}
