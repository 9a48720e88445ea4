//! From a combination that fits to a sentence: how what was signed differs from what was expected.
//!
//! Invariant: the cause is read off the two, never off the way in which the combination was found.

use super::address::{below_host, single_slashes};
use super::escape::plain;
use super::flaw::{Flaw, cut};
use super::key::{Key, Origin, Shape};
use super::search::Match;
use super::{Diagnosis, Setup, Standing};
use crate::twilio::signature::{body_sha256, candidates, default_port, query_value, split, split_port};
use crate::twilio::webhook::{Request, is_form};

/// A URL longer than this is shown in part.
const MAX_SHOWN: usize = 300;

/// What one combination means.
struct Explanation {
    flaws: Vec<Flaw>,
    called: String,
    public_url: Option<String>,
    token: Option<String>,
    is_real: bool,
    signed: String,
}

/// Says what the simplest combinations mean; where they mean different things, all of it, and none as certain.
pub(super) fn judge(request: &Request<'_>, setup: &Setup<'_>, matches: &[Match<'_>]) -> Diagnosis {
    let mut explanations = Vec::<Explanation>::new();
    for explanation in matches.iter().flat_map(|found| explain(request, setup, found)) {
        if !explanations.iter().any(|known| codes(known) == codes(&explanation) && known.called == explanation.called) {
            explanations.push(explanation);
        }
    }
    let sentences: Vec<_> = explanations.iter().map(|explanation| sentence(explanation, request, setup)).collect();
    let is_one = explanations.len() == 1;
    let first = explanations.swap_remove(0);
    Diagnosis {
        code: if is_one { code(&first) } else { "ambiguous" },
        sentence: capital(&match is_one {
            true => sentences.concat(),
            false => format!("it is one of these, and nothing says which: {}", sentences.join("; or: ")),
        }),
        is_certain: is_one && first.is_real && !first.flaws.contains(&Flaw::OnlyUrl),
        token: first.token,
        called: Some(first.called),
        public_url: first.public_url.filter(|_| is_one),
        signed: Some(first.signed),
        hmacs: 0,
        is_complete: true,
    }
}

fn explain(request: &Request<'_>, setup: &Setup<'_>, found: &Match<'_>) -> Vec<Explanation> {
    let called = format!("{}{}", found.origin, found.target);
    let mut explanations = Vec::new();
    for read in &found.reading.flaws {
        for (token, of_token) in tokens(found.key, setup) {
            let mut flaws = url_flaws(&called, request, setup);
            if matches!(read, Some(Flaw::PostBecameGet | Flaw::GetBecamePost)) {
                flaws.retain(|flaw| !matches!(flaw, Flaw::QueryAdded | Flaw::QueryDropped | Flaw::QueryEscaping));
            }
            flaws.extend(read.clone());
            flaws.extend(body_flaw(request, &called).filter(|_| read.is_none()));
            flaws.extend(of_token);
            flaws.extend(found.spelling.flaws.iter().cloned());
            if flaws.is_empty() {
                flaws.extend(other_account(request, setup));
            }
            explanations.push(Explanation {
                public_url: public_url(&called, request, setup),
                called: called.clone(),
                token,
                is_real: found.key.is_real(),
                signed: format!("{called}{}", found.reading.text),
                flaws,
            });
        }
    }
    explanations
}

/// The names of the token, for each different thing that may be wrong with it.
fn tokens(key: &Key, setup: &Setup<'_>) -> Vec<(Option<String>, Vec<Flaw>)> {
    let mut told = Vec::<(Option<String>, Vec<Flaw>)>::new();
    for origin in &key.origins {
        let (name, flaws) = match origin {
            Origin::Token(index, shape) => {
                let known = &setup.tokens[*index];
                (Some(known.name.clone()), token_flaws(&known.name, known.standing, *shape))
            }
            Origin::AccountSid => (None, vec![Flaw::SignedWithSid]),
            Origin::Nothing => (None, vec![Flaw::SignedWithNothing]),
        };
        let words = |flaws: &[Flaw]| flaws.iter().map(Flaw::code).collect::<Vec<_>>();
        match told.iter_mut().find(|(_, known)| words(known) == words(&flaws)) {
            Some((Some(names), _)) => *names = format!("{names} and {}", name.unwrap_or_default()),
            _ => told.push((name, flaws)),
        }
    }
    told
}

fn token_flaws(name: &str, standing: Standing, shape: Shape) -> Vec<Flaw> {
    let name = || name.to_owned();
    let shaped = match shape {
        Shape::AsItIs => None,
        Shape::WithoutSpaces => Some(Flaw::TokenSpaces(name())),
        Shape::WithoutQuotes => Some(Flaw::TokenQuotes(name())),
        Shape::LowerCase => Some(Flaw::TokenCase(name())),
        Shape::Within => Some(Flaw::TokenWithin(name())),
        Shape::WithLineEnd => Some(Flaw::SignerLineEnd(name())),
    };
    let stands = match standing {
        Standing::Accepted | Standing::Retiring => None,
        Standing::Staged => Some(Flaw::TokenStaged(name())),
        Standing::Retired => Some(Flaw::TokenRetired(name())),
        Standing::OtherAccount => Some(Flaw::TokenOfOther(name())),
        Standing::ApiKey => Some(Flaw::TokenOfApiKey(name())),
    };
    shaped.into_iter().chain(stands).collect()
}

/// What the webhook expects to have been called: without a fragment, and with path and query alone of the request line.
fn expected(request: &Request<'_>, setup: &Setup<'_>) -> String {
    format!("{}{}", setup.public_url.trim_end_matches('/'), below_host(request.target))
}

fn is_plain(target: &str) -> bool {
    target.starts_with('/') && !target.contains('#')
}

fn url_flaws(called: &str, request: &Request<'_>, setup: &Setup<'_>) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let expected = expected(request, setup);
    let (whole, fragment) = called.split_once('#').map_or((called, None), |(whole, rest)| (whole, Some(rest)));
    let has_password = whole.split('/').nth(2).is_some_and(|authority| authority.contains('@'));
    let parts = split(whole).unwrap_or(("", "", whole));
    if !candidates(&expected).contains(&format!("{}://{}{}", parts.0, parts.1, parts.2)) {
        let wanted = split(&expected).unwrap_or(("", expected.split('/').next().unwrap_or_default(), request.target));
        origin_flaws(&mut flaws, (parts.0, parts.1), (wanted.0, wanted.1));
        match setup.public_url.contains(['#', '?']) {
            true => flaws.push(Flaw::PublicUrl),
            false => target_flaws(&mut flaws, parts.2, wanted.2),
        }
    }
    flaws.extend(fragment.map(|_| Flaw::Fragment));
    flaws.extend(has_password.then_some(Flaw::UserInfo));
    flaws.extend((!is_plain(request.target)).then_some(Flaw::RequestLine));
    flaws
}

fn origin_flaws(flaws: &mut Vec<Flaw>, called: (&str, &str), wanted: (&str, &str)) {
    if called.0 != wanted.0 {
        flaws.push(Flaw::Scheme);
    }
    let (host, port) = host_and_port(called.0, called.1);
    let (wanted_host, wanted_port) = host_and_port(wanted.0, wanted.1);
    let bare = |host: &str| host.trim_start_matches("www.").to_ascii_lowercase();
    if host != wanted_host {
        flaws.push(match () {
            () if host.eq_ignore_ascii_case(wanted_host) => Flaw::HostCase,
            () if bare(host) == bare(wanted_host) => Flaw::Www,
            () => Flaw::Host,
        });
    }
    if port != wanted_port && port.is_some() {
        flaws.push(Flaw::Port);
    }
}

/// Without a port that says no more than the scheme.
fn host_and_port<'a>(scheme: &str, authority: &'a str) -> (&'a str, Option<&'a str>) {
    let Some(host) = split_port(authority) else { return (authority, None) };
    let port = &authority[host.len() + 1..];
    (host, (default_port(scheme).map(|default| default.to_string()).as_deref() != Some(port)).then_some(port))
}

fn target_flaws(flaws: &mut Vec<Flaw>, called: &str, wanted: &str) {
    let parts = |target: &str| {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        (path.to_owned(), query.map(str::to_owned))
    };
    let ((path, query), (wanted_path, wanted_query)) = (parts(called), parts(wanted));
    path_flaws(flaws, &path, &wanted_path);
    flaws.extend(query_flaw(query.as_deref(), wanted_query.as_deref()));
}

fn path_flaws(flaws: &mut Vec<Flaw>, called: &str, wanted: &str) {
    let bare = |path: &str| single_slashes(path).trim_matches('/').to_owned();
    let (called_bare, wanted_bare) = (bare(called), bare(wanted));
    let read = |path: &str| path.split('/').map(plain).collect::<Vec<_>>();
    let (called_read, wanted_read) = (read(&called_bare), read(&wanted_bare));
    let shared = |one: &[String], other: &[String]| {
        one.iter().rev().zip(other.iter().rev()).take_while(|(one, other)| one == other).count()
    };
    let as_written = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
    let in_common = shared(&called_read, &wanted_read);
    if in_common > shared(&as_written(&called_bare), &as_written(&wanted_bare)) {
        flaws.push(Flaw::PathEscaping);
    }
    if called_read != wanted_read {
        let is_one_inside = called_bare.is_empty() || wanted_bare.is_empty();
        flaws.push(if in_common > 0 || is_one_inside { Flaw::Prefix } else { Flaw::OtherPath });
    }
    if called.ends_with('/') != wanted.ends_with('/') {
        flaws.push(Flaw::TrailingSlash);
    }
    if single_slashes(called) == called && single_slashes(wanted) != wanted
        || single_slashes(called) != called && single_slashes(wanted) == wanted
    {
        flaws.push(Flaw::DoubleSlash);
    }
}

fn query_flaw(called: Option<&str>, wanted: Option<&str>) -> Option<Flaw> {
    let (called, wanted) = match (called, wanted) {
        _ if called == wanted => return None,
        (None, _) => return Some(Flaw::QueryAdded),
        (_, None) => return Some(Flaw::QueryDropped),
        (Some(called), Some(wanted)) => (called, wanted),
    };
    let read = |query: &str| {
        let query = query.replace("&amp;", "&");
        query.split('&').map(|pair| plain(pair.strip_suffix('=').unwrap_or(pair))).collect::<Vec<_>>()
    };
    let (called, wanted) = (read(called), read(wanted));
    let has_all = |some: &[String], all: &[String]| some.iter().all(|pair| all.contains(pair));
    Some(match () {
        () if called == wanted => Flaw::QueryEscaping,
        () if called.len() < wanted.len() && has_all(&called, &wanted) => Flaw::QueryAdded,
        () if called.len() > wanted.len() && has_all(&wanted, &called) => Flaw::QueryDropped,
        () if has_all(&called, &wanted) => Flaw::QueryOrder,
        () => Flaw::QueryEscaping,
    })
}

/// A body that is no form is held by its hash in the URL, or by nothing.
fn body_flaw(request: &Request<'_>, called: &str) -> Option<Flaw> {
    if request.method == "GET" || request.body.is_empty() || request.content_type.is_some_and(is_form) {
        return None;
    }
    match query_value(split(called)?.2, "bodySHA256") {
        Some(hash) => (hash != body_sha256(request.body)).then_some(Flaw::BodyChanged),
        None => Some(Flaw::BodyNotHashed),
    }
}

fn other_account(request: &Request<'_>, setup: &Setup<'_>) -> Option<Flaw> {
    super::evidence::account(request).filter(|account| *account != setup.account_sid).map(Flaw::OtherAccount)
}

/// What public_url must be so that the webhook expects just this URL; `None` if no public_url can do that.
fn public_url(called: &str, request: &Request<'_>, setup: &Setup<'_>) -> Option<String> {
    if !is_plain(request.target) {
        return None;
    }
    let front = called.strip_suffix(request.target)?.trim_end_matches('/');
    let is_url = front.contains("://") && !front.contains(['?', '#', '@']);
    let would_be = candidates(&format!("{front}{}", request.target));
    let is_new = front != setup.public_url.trim_end_matches('/');
    (is_url && is_new && would_be.iter().any(|url| url == called)).then(|| front.to_owned())
}

fn codes(explanation: &Explanation) -> Vec<&'static str> {
    explanation.flaws.iter().map(Flaw::code).collect()
}

fn code(explanation: &Explanation) -> &'static str {
    match explanation.flaws.as_slice() {
        [] => "right",
        [flaw] => flaw.code(),
        flaws if flaws.iter().all(Flaw::is_of_public_url) => "public_url",
        _ => "several",
    }
}

fn sentence(explanation: &Explanation, request: &Request<'_>, setup: &Setup<'_>) -> String {
    let Explanation { flaws, called, public_url, token, .. } = explanation;
    if flaws.is_empty() {
        let token = token.as_deref().unwrap_or("a known token");
        return format!("this signature is right: {token} signs {} with these parameters", shown(called));
    }
    let differences: Vec<_> = flaws.iter().filter_map(Flaw::differs).collect();
    let mut clauses = Vec::new();
    if !differences.is_empty() {
        let (is_about_url, expected) = (differences.join(" and "), expected(request, setup));
        let advice = advice(flaws, called, public_url.as_deref());
        let verb = if differences.len() == 1 { "differs" } else { "differ" };
        clauses.push(format!(
            "Twilio called {}, you configured {}, and {is_about_url} {verb}: {advice}",
            shown(called),
            shown(&expected)
        ));
    }
    clauses.extend(flaws.iter().filter(|flaw| flaw.differs().is_none()).map(Flaw::says));
    clauses.join("; and ")
}

fn advice(flaws: &[Flaw], called: &str, public_url: Option<&str>) -> String {
    if let Some(public_url) = public_url {
        return format!("set public_url to {}", shown(public_url));
    }
    let mut advice = match flaws.iter().find(|flaw| flaw.differs().is_some() && !flaw.is_of_public_url()) {
        Some(Flaw::OtherPath) => "give Twilio the URL of this webhook, or let the proxy pass the path on as it comes",
        Some(Flaw::TrailingSlash | Flaw::DoubleSlash) => {
            "give Twilio the URL with the slashes that arrive here, or let the proxy pass them on as they come"
        }
        _ => "let everything in front of bluetick pass path and query on as they come",
    }
    .to_owned();
    if let Some((scheme, authority, _)) = split(called).filter(|_| flaws.iter().any(Flaw::is_of_origin)) {
        advice.push_str(&format!(", and let public_url begin with {scheme}://{authority}"));
    }
    advice
}

impl Flaw {
    fn is_of_origin(&self) -> bool {
        matches!(self, Self::Scheme | Self::Host | Self::Www | Self::HostCase | Self::Port)
    }
}

fn shown(url: &str) -> String {
    cut(url, MAX_SHOWN)
}

fn capital(sentence: &str) -> String {
    // The names of keys stay as they are written.
    let first = sentence.split(' ').next().unwrap_or_default();
    if first.contains('_') || first.contains('-') {
        return sentence.to_owned();
    }
    let mut letters = sentence.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
