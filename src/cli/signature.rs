//! `bluetick signature`: whether Twilio signed this, judged as the webhook judges it, and why not; without any network.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use subtle::ConstantTimeEq;

use super::exit::{Answer, Trouble};
use crate::config::Config;
use crate::twilio::AuthToken;
use crate::twilio::doctor::{self, Diagnosis, Known, Setup, Standing};
use crate::twilio::signature::{body_sha256, candidates, verify_form, verify_get, verify_json};
use crate::twilio::webhook::Request;
use crate::twilio::wire::parse_form;

/// A running bluetick may know tokens that no file holds.
const MAYBE_ROTATED: &str = "judged by the tokens of the configuration: if one was rotated since (bluetick secrets status), give the one that \
                             Twilio's console shows by --token";
/// More than Twilio ever posts.
const MAX_BODY_BYTES: u64 = 1 << 20;
/// What Twilio may have been given, beside what was called.
const WEBHOOKS: [&str; 2] = ["/webhooks/twilio/status", "/webhooks/twilio/inbound"];

/// What was received.
#[derive(Clone, Debug, Default, Args)]
pub struct SignatureArgs {
    /// The account's auth token; may be repeated. Else those of the configuration, which knows none that was rotated since.
    #[arg(long, value_name = "TOKEN", env = "BLUETICK__TWILIO__AUTH_TOKEN", hide_env_values = true)]
    pub token: Vec<Secret>,
    /// The address Twilio called, letter for letter, with its query. To explain: also the path alone, as it came in.
    #[arg(long)]
    pub url: String,
    /// The body of a form post, as it came; - is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub form: Option<PathBuf>,
    /// The body of a JSON post, as it came; - is standard input.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The X-Twilio-Signature header.
    #[arg(long)]
    pub signature: String,
    /// Say why it is not right: try what people and proxies get wrong, and name what fits.
    #[arg(long)]
    pub explain: bool,
    /// The same as JSON, for programs.
    #[arg(long)]
    pub explain_json: bool,
    /// Another header of the request, as a hint of what to try; may be repeated.
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    pub header: Vec<(String, String)>,
    /// Where bluetick believes that Twilio reaches it; else public_url of the configuration.
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// The configuration; else $BLUETICK_CONFIG, ./config.toml, /etc/bluetick/config.toml.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// A token on the command line: taken as it is, and never printed.
#[derive(Clone, Debug)]
pub struct Secret(AuthToken);

impl From<&str> for Secret {
    fn from(token: &str) -> Self {
        Self(token.into())
    }
}

/// Valid, or invalid with what to look at.
pub(super) fn run(args: &SignatureArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    if args.explain || args.explain_json {
        return explain(args, out);
    }
    let tokens = known(args, config(args)?.as_ref())?;
    let is_of_file = is_of_file(&tokens);
    let tokens: Vec<_> = tokens.into_iter().filter_map(accepted).collect();
    let (url, signature) = (args.url.as_str(), args.signature.trim());
    let (matched, hint) = match (&args.form, &args.json) {
        (Some(file), _) => {
            let body = form(file)?;
            let params = parse_form(&body);
            let params = params.map_err(|error| Trouble::Usage(format!("{} is no form: {error}", file.display())))?;
            let names: Vec<_> = params.iter().map(|(name, _)| name.as_str()).collect();
            (verify_form(&tokens, url, &params, signature), format!("the parameters are {}", names.join(", ")))
        }
        (None, Some(file)) => {
            let body = read(file)?;
            let hint = format!("the query must hold bodySHA256={}", body_sha256(&body));
            (verify_json(&tokens, url, &body, signature), hint)
        }
        (None, None) => (verify_get(&tokens, url, signature), "there is no body".to_owned()),
    };
    if matched.is_some() {
        writeln!(out, "valid")?;
        return Ok(Answer::Yes);
    }
    writeln!(out, "invalid")?;
    for url in candidates(url) {
        writeln!(out, "  tried {url}")?;
    }
    writeln!(
        out,
        "  {hint}\n  is it the token of this account, and the address as Twilio was given it? --explain says why"
    )?;
    if is_of_file {
        writeln!(out, "  {MAYBE_ROTATED}")?;
    }
    Ok(Answer::No)
}

/// Asks the doctor, who only explains.
fn explain(args: &SignatureArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let config = config(args)?;
    let tokens = known(args, config.as_ref())?;
    let configured = config.as_ref().and_then(|config| config.public_url.clone());
    let place = Place::of(&args.url, args.public_url.clone().or(configured))?;
    let (method, content_type, body) = match (&args.form, &args.json) {
        (Some(file), _) => ("POST", Some("application/x-www-form-urlencoded"), form(file)?),
        (None, Some(file)) => ("POST", Some("application/json"), read(file)?),
        (None, None) => ("GET", None, Vec::new()),
    };
    let mut headers: Vec<_> = args.header.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.extend(place.host.as_deref().map(|host| ("host", host)));
    let request =
        Request { method, target: &place.target, content_type, body: &body, signature: Some(&args.signature) };
    let account_sid = account(config.as_ref(), &body);
    let setup = Setup { public_url: &place.public_url, account_sid: &account_sid, paths: &WEBHOOKS, tokens: &tokens };
    let said = doctor::explain(&request, &headers, &setup);
    if args.explain_json {
        writeln!(out, "{}", as_json(&said))?
    } else {
        show(&said, out)?;
        if !said.is_right() && is_of_file(&tokens) {
            writeln!(out, "  {MAYBE_ROTATED}")?;
        }
    }
    Ok(Answer::from_bool(said.is_right()))
}

fn show(said: &Diagnosis, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{}", if said.is_right() { "valid" } else { "invalid" })?;
    let sure = if said.is_certain { "certain" } else { "a guess" };
    writeln!(out, "  {}\n  {} ({sure}, {} HMACs tried)", said.sentence, said.code, said.hmacs)?;
    match &said.signed {
        Some(signed) => writeln!(out, "  what was signed: {}", visible(signed)),
        None => Ok(()),
    }
}

/// A stranger's text must not steer the terminal: what is no letter is shown as an escape.
fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, letter| {
        match letter.is_control() {
            true => shown.extend(letter.escape_default()),
            false => shown.push(letter),
        }
        shown
    })
}

fn as_json(said: &Diagnosis) -> serde_json::Value {
    json!({
        "valid": said.is_right(), "code": said.code, "sentence": said.sentence, "certain": said.is_certain,
        "token": said.token, "called": said.called, "public_url": said.public_url, "signed": said.signed,
        "hmacs": said.hmacs, "complete": said.is_complete,
    })
}

/// The configuration, unless everything that it would say is on the command line, or there is none and nothing asks for it.
fn config(args: &SignatureArgs) -> anyhow::Result<Option<Config>> {
    let is_told = !args.token.is_empty() && (args.public_url.is_some() || !(args.explain || args.explain_json));
    match Config::load(args.config.as_deref()) {
        Ok(config) => Ok(Some(config)),
        Err(_) if is_told && args.config.is_none() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The tokens to judge by: those on the command line, else those of the configuration; and its API key, which signs nothing.
fn known(args: &SignatureArgs, config: Option<&Config>) -> anyhow::Result<Vec<Known>> {
    let known = |name: String, token: &AuthToken, standing| Known { name, token: token.clone(), standing };
    let mut tokens: Vec<_> = (args.token.iter().enumerate())
        .map(|(index, token)| known(format!("--token {}", index + 1), &token.0, Standing::Accepted))
        .collect();
    if let [only] = tokens.as_mut_slice() {
        only.name = "--token".to_owned();
    }
    if let Some(twilio) = config.map(|config| &config.twilio) {
        // The configured token alone, which the environment may have brought, is judged as the webhook judges: with the next.
        if let ([only], Some(live)) = (args.token.as_slice(), &twilio.auth_token)
            && bool::from(only.0.expose().as_bytes().ct_eq(live.expose().as_bytes()))
        {
            tokens.clear();
        }
        if tokens.is_empty() {
            let set = [("auth_token", &twilio.auth_token), ("auth_token_next", &twilio.auth_token_next)];
            let set = set.into_iter().filter_map(|(name, token)| Some((name, token.as_ref()?)));
            tokens.extend(set.map(|(name, token)| known(name.to_owned(), token, Standing::Accepted)));
        }
        let secret = twilio.api_key_secret.iter();
        tokens.extend(secret.map(|secret| known("the API key's secret".to_owned(), secret, Standing::ApiKey)));
    }
    if !tokens.iter().any(|known| known.standing == Standing::Accepted) {
        let absent = "no token to judge by: give --token, or set [twilio] auth_token (BLUETICK__TWILIO__AUTH_TOKEN)";
        return Err(Trouble::Usage(absent.to_owned()).into());
    }
    Ok(tokens)
}

/// Whether what is judged by stands in the configuration.
fn is_of_file(tokens: &[Known]) -> bool {
    tokens.iter().any(|known| known.name.starts_with("auth_token"))
}

fn accepted(known: Known) -> Option<AuthToken> {
    (known.standing == Standing::Accepted).then_some(known.token)
}

/// The configured account; without one, any that the request names is as good.
fn account(config: Option<&Config>, body: &[u8]) -> String {
    let configured = config.map(|config| config.twilio.account_sid.clone()).filter(|sid| !sid.is_empty());
    let named = || parse_form(body).ok()?.into_iter().find(|(name, _)| name == "AccountSid").map(|(_, sid)| sid);
    configured.or_else(named).unwrap_or_default()
}

/// What --url says, in the two parts that the webhook knows: what is configured, and what stood on the request line.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    public_url: String,
    target: String,
    /// Another host than the configured one: a hint.
    host: Option<String>,
}

impl Place {
    fn of(url: &str, public_url: Option<String>) -> Result<Self, Trouble> {
        let (origin, path) = match url.find("://").map(|at| at + "://".len()) {
            Some(start) => url.split_at(url[start..].find(['/', '?']).map_or(url.len(), |at| start + at)),
            None if url.starts_with('/') => ("", url),
            None => return Err(Trouble::Usage(format!("--url {url} must begin with https://, http:// or /"))),
        };
        let Some(public_url) = public_url.or_else(|| (!origin.is_empty()).then(|| origin.to_owned())) else {
            return Err(Trouble::Usage("a path alone needs --public-url, or public_url in the configuration".into()));
        };
        let prefix = public_url.split_once("://").map_or("", |(_, rest)| &rest[rest.find('/').unwrap_or(rest.len())..]);
        let prefix = prefix.trim_end_matches('/');
        // A whole address has the path in front, which public_url has too; a path alone is what came in.
        let below = path.strip_prefix(prefix).filter(|below| !origin.is_empty() && below.starts_with(['/', '?']));
        let host = origin.split_once("://").map(|(_, host)| host.to_owned());
        Ok(Self { target: below.unwrap_or(path).to_owned(), public_url, host })
    }
}

fn header(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(':').ok_or("a header is NAME: VALUE, like 'X-Forwarded-Proto: http'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// The body of a form, without the line end that an editor puts behind it.
fn form(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut body = read(file)?;
    if body.last() == Some(&b'\n') {
        body.pop();
    }
    Ok(body)
}

fn unreadable(file: &Path, error: &std::io::Error) -> Trouble {
    Trouble::NoInput(format!("cannot read {}: {error}", file.display()))
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    let source: Box<dyn Read> = match file.as_os_str() == "-" {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(std::fs::File::open(file).map_err(|error| unreadable(file, &error))?),
    };
    source.take(MAX_BODY_BYTES + 1).read_to_end(&mut body).map_err(|error| unreadable(file, &error))?;
    if body.len() as u64 > MAX_BODY_BYTES {
        return Err(Trouble::Usage(format!("{} is bigger than 1 MiB: Twilio never posts that", file.display())).into());
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::signature::{sign_form, sign_url};

    const TOKEN: &str = "00000000000000000000000000000001";
    const URL: &str = "https://wa.example.com/webhooks/twilio/status";

    fn judge(body: &[u8], is_json: bool, args: SignatureArgs) -> (Answer, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("body");
        std::fs::write(&file, body).expect("a temporary file");
        let (form, json) = if is_json { (None, Some(file)) } else { (Some(file), None) };
        let mut out = Vec::new();
        let answer = run(&SignatureArgs { form, json, ..args }, &mut out).expect("an answer");
        (answer, String::from_utf8(out).expect("text"))
    }

    fn args(url: &str, signature: &str) -> SignatureArgs {
        let token = vec![TOKEN.into()];
        SignatureArgs { token, url: url.into(), signature: signature.into(), ..SignatureArgs::default() }
    }

    fn signed() -> (&'static [u8], String) {
        let body = b"MessageStatus=sent&AccountSid=AC00000000000000000000000000000001";
        (body, sign_form(&TOKEN.into(), URL, &parse_form(body).expect("a form")))
    }

    #[test]
    fn a_form_is_judged_also_with_the_newline_of_an_editor() {
        let body = b"MessageStatus=sent&To=whatsapp%3A%2B4915100000001";
        let signature = sign_form(&TOKEN.into(), URL, &parse_form(body).expect("a form"));
        for body in [&body[..], &[&body[..], b"\n"].concat()] {
            assert_eq!(judge(body, false, args(URL, &signature)), (Answer::Yes, "valid\n".into()));
        }
        let (answer, said) = judge(b"MessageStatus=read", false, args(URL, &signature));
        assert!(answer == Answer::No && said.contains("the parameters are MessageStatus"), "{said}");
        assert!(said.contains(":443/webhooks") && !said.contains(TOKEN), "{said}");
    }

    #[test]
    fn a_json_post_is_judged_by_the_hash_in_its_address() {
        let url = format!("{URL}?bodySHA256={}", body_sha256(b"{}"));
        let signature = sign_url(&TOKEN.into(), &url);
        assert_eq!(judge(b"{}", true, args(&url, &signature)).0, Answer::Yes);
        assert_eq!(judge(b"[]", true, args(&url, &signature)).0, Answer::No);
    }

    #[test]
    fn a_wrong_signature_is_explained_and_a_right_one_is_not_blamed() {
        let (body, signature) = signed();
        let ask = |url: &str, public_url: &str| {
            let public_url = Some(public_url.to_owned());
            judge(body, false, SignatureArgs { explain: true, public_url, ..args(url, &signature) })
        };
        let (answer, said) = ask(URL, "http://wa.example.com");
        assert_eq!(answer, Answer::No);
        assert!(said.starts_with("invalid\n") && said.contains("set public_url to https://wa.example.com"), "{said}");
        assert!(
            said.contains("scheme (certain") && said.contains(&format!("what was signed: {URL}AccountSid")),
            "{said}"
        );
        assert!(!said.contains(TOKEN), "{said}");
        let (answer, said) = ask("/webhooks/twilio/status", "https://wa.example.com/");
        assert!(answer == Answer::Yes && said.starts_with("valid\n"), "{said}");
    }

    #[test]
    fn what_a_stranger_wrote_is_shown_and_not_obeyed() {
        assert_eq!(visible("Bödy\u{1b}[2J\n"), "Bödy\\u{1b}[2J\\n");
    }

    #[test]
    fn what_is_explained_to_programs_is_json() {
        let (body, signature) = signed();
        let explain = SignatureArgs {
            explain_json: true,
            public_url: Some("https://inner".into()),
            header: vec![header("Host: wa.example.com").expect("a header")],
            token: vec!["ffffffffffffffffffffffffffffffff".into(), TOKEN.into()],
            ..args("/webhooks/twilio/status", &signature)
        };
        let (answer, said) = judge(body, false, explain);
        let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!((answer, &said["code"], &said["token"]), (Answer::No, &json!("host"), &json!("--token 2")));
        assert_eq!((&said["public_url"], &said["certain"]), (&json!("https://wa.example.com"), &json!(true)));
    }

    #[test]
    fn the_configured_token_is_judged_with_what_else_is_configured() {
        let mut config = Config::default();
        config.twilio.auth_token = Some(TOKEN.into());
        config.twilio.auth_token_next = Some("next".into());
        config.twilio.api_key_secret = Some("key".into());
        let names = |tokens: &[&str], config: Option<&Config>| {
            let args =
                SignatureArgs { token: tokens.iter().map(|token| Secret::from(*token)).collect(), ..args(URL, "") };
            known(&args, config).map(|tokens| tokens.into_iter().map(|known| known.name).collect::<Vec<_>>()).ok()
        };
        let configured = ["auth_token", "auth_token_next", "the API key's secret"].map(str::to_owned).to_vec();
        assert_eq!(names(&[], Some(&config)).as_ref(), Some(&configured));
        assert_eq!(names(&[TOKEN], Some(&config)), Some(configured));
        let given = ["--token 1", "--token 2", "the API key's secret"].map(str::to_owned).to_vec();
        assert_eq!(names(&["another", TOKEN], Some(&config)), Some(given));
        assert_eq!((names(&[TOKEN], None), names(&[], None)), (Some(vec!["--token".to_owned()]), None));
    }

    #[test]
    fn whoever_is_judged_by_a_file_is_told_that_a_running_bluetick_may_know_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.toml");
        let account = "account_sid = \"AC00000000000000000000000000000001\"";
        std::fs::write(&path, format!("[twilio]\n{account}\nauth_token = \"{TOKEN}\"\n")).expect("written");
        let by_file = |explain| SignatureArgs {
            config: Some(path.clone()),
            token: Vec::new(),
            public_url: Some("https://wa.example.com".into()),
            explain,
            ..args(URL, "wrong")
        };
        for explain in [false, true] {
            let (answer, said) = judge(b"a=b", false, by_file(explain));
            assert!(answer == Answer::No && said.contains("was rotated since"), "{said}");
            let by_hand = SignatureArgs { token: vec!["another".into()], ..by_file(explain) };
            assert!(!judge(b"a=b", false, by_hand).1.contains("was rotated since"));
        }
    }

    #[test]
    fn an_address_is_what_is_configured_and_what_came_in() {
        let place = |url: &str, public_url: Option<&str>| Place::of(url, public_url.map(str::to_owned));
        let parts = |url: &str, public_url: Option<&str>| {
            let place = place(url, public_url).expect("a place");
            (place.public_url, place.target)
        };
        let pair = |public_url: &str, target: &str| (public_url.to_owned(), target.to_owned());
        assert_eq!(parts("https://h/x?y=1", None), pair("https://h", "/x?y=1"));
        assert_eq!(parts("https://h/blue/x", Some("http://h/blue/")), pair("http://h/blue/", "/x"));
        assert_eq!(parts("https://h/bluer/x", Some("http://h/blue")), pair("http://h/blue", "/bluer/x"));
        assert_eq!(parts("/blue/x", Some("http://h/blue")), pair("http://h/blue", "/blue/x"));
        assert!(place("/x", None).is_err() && place("h/x", None).is_err());
        assert!(header("X-Forwarded-Proto http").is_err());
    }
}
