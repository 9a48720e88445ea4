//! `bluetick signature`: whether Twilio signed this, judged as the webhook judges it, without any network.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::{Answer, Trouble};
use crate::twilio::AuthToken;
use crate::twilio::signature::{body_sha256, candidates, verify_form, verify_get, verify_json};
use crate::twilio::wire::parse_form;

/// More than Twilio ever posts.
const MAX_BODY_BYTES: u64 = 1 << 20;

/// What was received.
#[derive(Clone, Debug, Args)]
pub struct SignatureArgs {
    /// The account's auth token.
    #[arg(long, value_name = "TOKEN", env = "BLUETICK__TWILIO__AUTH_TOKEN", hide_env_values = true)]
    pub token: String,
    /// The address Twilio called, letter for letter, with its query.
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
}

/// Valid, or invalid with what to look at.
pub(super) fn run(args: &SignatureArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let tokens = [AuthToken::from(args.token.as_str())];
    let (url, signature) = (args.url.as_str(), args.signature.trim());
    let (matched, hint) = match (&args.form, &args.json) {
        (Some(file), _) => {
            let body = read(file)?;
            let params = parse_form(body.strip_suffix(b"\n").unwrap_or(&body));
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
    writeln!(out, "  {hint}\n  is it the token of this account, and the address as Twilio was given it?")?;
    Ok(Answer::No)
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

    fn judge(name: &str, body: &[u8], is_json: bool, url: &str, signature: &str) -> (Answer, String) {
        let file = std::env::temp_dir().join(format!("bluetick-signature-{}-{name}", std::process::id()));
        std::fs::write(&file, body).expect("a temporary file");
        let (form, json) = if is_json { (None, Some(file.clone())) } else { (Some(file.clone()), None) };
        let args = SignatureArgs { token: TOKEN.into(), url: url.into(), form, json, signature: signature.into() };
        let mut out = Vec::new();
        let answer = run(&args, &mut out).expect("an answer");
        std::fs::remove_file(file).expect("the file is ours");
        (answer, String::from_utf8(out).expect("text"))
    }

    #[test]
    fn a_form_is_judged_also_with_the_newline_of_an_editor() {
        let body = b"MessageStatus=sent&To=whatsapp%3A%2B4915100000001";
        let signature = sign_form(&TOKEN.into(), URL, &parse_form(body).expect("a form"));
        for body in [&body[..], &[&body[..], b"\n"].concat()] {
            assert_eq!(judge("form", body, false, URL, &signature), (Answer::Yes, "valid\n".into()));
        }
        let (answer, said) = judge("form-wrong", b"MessageStatus=read", false, URL, &signature);
        assert!(answer == Answer::No && said.contains("the parameters are MessageStatus"), "{said}");
        assert!(said.contains(":443/webhooks") && !said.contains(TOKEN), "{said}");
    }

    #[test]
    fn a_json_post_is_judged_by_the_hash_in_its_address() {
        let url = format!("{URL}?bodySHA256={}", body_sha256(b"{}"));
        let signature = sign_url(&TOKEN.into(), &url);
        assert_eq!(judge("json", b"{}", true, &url, &signature).0, Answer::Yes);
        assert_eq!(judge("json-wrong", b"[]", true, &url, &signature).0, Answer::No);
    }
}
