//! The way to a running bluetick: its local socket, or its address with a key.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use super::exit::{Code, Trouble};
use crate::archive::Shelf;
use crate::config::Config;
use crate::http::SOCKET;

/// Where `bluetick demo` keeps its data, so that operator commands find it.
pub const DEMO_DIR: &str = "data/demo";
/// For connecting; a bluetick that is there answers at once.
const CONNECT: Duration = Duration::from_secs(5);
/// For one answer: the longest `--wait`, and some for the way.
const ANSWER: Duration = Duration::from_secs(45);
/// More than the largest page we ask for.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// How to find the bluetick to speak to.
#[derive(Clone, Debug, Default, Args)]
pub struct Reach {
    /// The folder of the data file, where the local socket is.
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    pub data: Option<PathBuf>,
    /// The configuration that names that folder.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "data"])]
    pub config: Option<PathBuf>,
    /// The address of a bluetick elsewhere.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Its API key.
    #[arg(long, value_name = "KEY", env = "BLUETICK_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

impl Reach {
    /// The folder of the data file on this machine.
    pub(super) fn dir(&self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = &self.data {
            return Ok(dir.clone());
        }
        let dir = Config::load(self.config.as_deref())?.store.dir;
        let is_demo = self.config.is_none() && !dir.join(SOCKET).exists() && Path::new(DEMO_DIR).join(SOCKET).exists();
        Ok(if is_demo { DEMO_DIR.into() } else { dir })
    }

    /// The configuration, where one is named or stands in its usual place and --data does not say otherwise.
    pub(super) fn config(&self) -> anyhow::Result<Option<Config>> {
        match (&self.data, &self.config) {
            (Some(_), None) => Ok(None),
            (_, config) => Ok(Some(Config::load(config.as_deref())?)),
        }
    }

    /// The segments of the archive on this machine.
    pub(super) fn shelf(&self) -> anyhow::Result<Shelf> {
        let options = self.config()?.map_or_else(Default::default, |config| config.archive);
        Ok(Shelf::new(options.folder(&self.dir()?)))
    }

    /// Gets ready to speak; nothing is sent yet.
    pub(super) fn connect(&self) -> anyhow::Result<Connection> {
        match &self.url {
            Some(url) => Connection::to_url(url, self.api_key.clone()),
            None => Connection::to_socket(&self.dir()?.join(SOCKET)),
        }
    }
}

/// A bluetick to speak to.
#[derive(Debug)]
pub(super) struct Connection {
    client: reqwest::Client,
    base: String,
    key: Option<String>,
    /// What to say if nobody is there.
    absent: String,
}

impl Connection {
    /// Through the local socket.
    pub(super) fn to_socket(path: &Path) -> anyhow::Result<Self> {
        let client = builder().tls_certs_only([]).no_proxy().unix_socket(path).build()?;
        let absent = format!(
            "no bluetick answers at {}: start one with `bluetick serve`, or name the right one with --data, --config or --url",
            path.display()
        );
        Ok(Self { client, base: "http://localhost".to_owned(), key: None, absent })
    }

    /// Through the local socket of whoever holds the data file: a running bluetick, or a command that has it open for a moment.
    pub(super) fn to_holder(dir: &Path) -> anyhow::Result<Self> {
        let absent = format!(
            "the data file in {} is in use, and no bluetick answers there: another command has it open; try again when it is done",
            dir.display()
        );
        Ok(Self { absent, ..Self::to_socket(&dir.join(SOCKET))? })
    }

    fn to_url(url: &str, key: Option<String>) -> anyhow::Result<Self> {
        let is_tls = match url.split_once("://") {
            Some(("https", _)) => true,
            Some(("http", _)) => false,
            _ => return Err(Trouble::Usage(format!("--url {url} must begin with https:// or http://")).into()),
        };
        let builder = if is_tls { builder().https_only(true) } else { builder().tls_certs_only([]) };
        let absent = format!("no bluetick answers at {url}");
        Ok(Self { client: builder.build()?, base: url.trim_end_matches('/').to_owned(), key, absent })
    }

    /// Asks for something; `None` if there is no such thing.
    pub(super) async fn get(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Option<Value>> {
        self.ask(self.request(Method::GET, path, query).timeout(ANSWER)).await
    }

    /// Asks for something that takes as long as it takes.
    pub(super) async fn wait_for(&self, path: &str) -> anyhow::Result<Option<Value>> {
        self.ask(self.request(Method::GET, path, &[])).await
    }

    async fn ask(&self, request: RequestBuilder) -> anyhow::Result<Option<Value>> {
        let response = self.send(request).await?;
        if response.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.json(response).await.map(Some)
    }

    /// Asks for something that is always there.
    pub(super) async fn show(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Value> {
        let response = self.send(self.request(Method::GET, path, query).timeout(ANSWER)).await?;
        self.json(response).await
    }

    /// Hands something over, once: it is never sent again by itself.
    pub(super) async fn post(
        &self,
        path: &str,
        query: &[(&str, String)],
        key: &str,
        body: &Value,
    ) -> anyhow::Result<Value> {
        let request = self.request(Method::POST, path, query).timeout(ANSWER).header("Idempotency-Key", key).json(body);
        self.json(self.send(request).await?).await
    }

    /// Copies what is answered, however long it is; a problem becomes the error it describes.
    pub(super) async fn copy(&self, target: &str, out: &mut (dyn std::io::Write + '_)) -> anyhow::Result<()> {
        let mut response = self.send(self.request(Method::GET, target, &[])).await?;
        if !response.status().is_success() {
            return Err(self.json(response).await.err().unwrap_or_else(|| anyhow::anyhow!("bluetick does not answer")));
        }
        let broken = |error| Trouble::Unavailable(format!("bluetick's answer broke off: {error}"));
        while let Some(piece) = response.chunk().await.map_err(broken)? {
            out.write_all(&piece)?;
        }
        Ok(())
    }

    /// Asks for a change that takes as long as it takes.
    pub(super) async fn change_for_as_long(&self, method: Method, path: &str) -> anyhow::Result<Value> {
        let response = self.send(self.request(method, path, &[])).await?;
        self.json(response).await
    }

    /// Asks for a change that may be asked for twice; nothing, if bluetick has nothing to say about it.
    pub(super) async fn change(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let request = self.request(method, path, &[]).timeout(ANSWER);
        let request = if let Some(body) = body { request.json(body) } else { request };
        let response = self.send(request).await?;
        match response.status() {
            reqwest::StatusCode::NO_CONTENT => Ok(Value::Null),
            _ => self.json(response).await,
        }
    }

    /// Opens a stream of server-sent events.
    pub(super) async fn stream(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Response> {
        let request = self.request(Method::GET, path, query).header("Accept", "text/event-stream");
        let response = self.send(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.json(response).await.err().unwrap_or_else(|| anyhow::anyhow!("bluetick does not stream")))
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, String)]) -> RequestBuilder {
        let mut target = form_urlencoded::Serializer::new(String::new());
        target.extend_pairs(query);
        let target = target.finish();
        let mark = if target.is_empty() { "" } else { "?" };
        let request = self.client.request(method, format!("{}{path}{mark}{target}", self.base));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        request.send().await.map_err(|error| match error.is_timeout() && !error.is_connect() {
            true => Trouble::Unavailable("bluetick does not answer in time".to_owned()).into(),
            false => self.gone(&error).into(),
        })
    }

    fn gone(&self, error: &dyn std::error::Error) -> Trouble {
        let cause = std::iter::successors(Some(error), |error| error.source()).last();
        Trouble::Unavailable(format!("{} ({})", self.absent, cause.unwrap_or(error)))
    }

    /// The answer, whole; a problem becomes the error it describes.
    async fn json(&self, mut response: Response) -> anyhow::Result<Value> {
        let status = response.status();
        let mut body = Vec::new();
        let broken =
            |error: &dyn std::fmt::Display| Trouble::Unavailable(format!("bluetick's answer broke off: {error}"));
        while let Some(piece) = response.chunk().await.map_err(|error| broken(&error))? {
            body.extend_from_slice(&piece);
            if body.len() > MAX_ANSWER_BYTES {
                return Err(Trouble::Unavailable("the answer is too long: that is no bluetick".to_owned()).into());
            }
        }
        let answer: Option<Value> = serde_json::from_slice(&body).ok();
        match answer {
            Some(answer) if status.is_success() => Ok(answer),
            _ if status.is_success() => {
                Err(Trouble::Unavailable("the answer is no JSON: that is no bluetick".into()).into())
            }
            answer => Err(refusal(status.as_u16(), answer.as_ref()).into()),
        }
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("bluetick/", env!("CARGO_PKG_VERSION")))
}

/// A problem in words; every field that is wrong is named.
fn refusal(status: u16, problem: Option<&Value>) -> Trouble {
    let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
    let fields = |problem: &Value| {
        let errors = problem["errors"].as_array()?;
        let lines =
            errors.iter().filter_map(|error| Some(format!("{} {}", text(error, "field")?, text(error, "detail")?)));
        let lines: Vec<_> = lines.collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    };
    let words = problem
        .and_then(|problem| fields(problem).or_else(|| text(problem, "detail")).or_else(|| text(problem, "title")));
    let words = words.unwrap_or_else(|| format!("HTTP {status}"));
    match status {
        401 => Trouble::Refused(format!("{words}: is --api-key the right one?")),
        500.. => match problem.and_then(|problem| problem["code"].as_str()) {
            Some("not_configured" | "twilio_unavailable") => Trouble::Refused(words),
            Some("storage_failed" | "storage_full" | "archive_unreadable" | "backup_failed") => {
                Trouble::Failed(Code::Disk, words)
            }
            Some("vault_locked") => Trouble::Failed(Code::Configuration, words),
            Some("internal") => Trouble::Failed(Code::Software, words),
            _ => Trouble::Unavailable(words),
        },
        _ => Trouble::Refused(words),
    }
}

/// A name as one part of a path, whatever is in it.
pub(super) fn part(name: &str) -> String {
    // A plus that was written is escaped, so those that are left were spaces.
    form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Runs one conversation to its end.
pub(super) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_names_every_field_that_is_wrong() {
        let problem = json!({"detail": "to: …", "errors": [
            {"field": "to", "detail": "is no address"}, {"field": "body", "detail": "is empty"},
        ]});
        assert_eq!(refusal(422, Some(&problem)), Trouble::Refused("to is no address; body is empty".into()));
        assert_eq!(refusal(503, Some(&json!({"title": "Busy"}))), Trouble::Unavailable("Busy".into()));
        assert_eq!(refusal(404, None), Trouble::Refused("HTTP 404".into()));
        assert_eq!(refusal(500, None), Trouble::Unavailable("HTTP 500".into()));
    }

    #[test]
    fn what_bluetick_could_not_do_has_the_exit_code_of_its_reason() {
        let code = |status, code: &str| {
            let trouble = refusal(status, Some(&json!({"title": "No", "code": code})));
            Code::of(&anyhow::Error::from(trouble))
        };
        assert_eq!(code(503, "busy"), Code::Unavailable);
        assert_eq!((code(503, "not_configured"), code(502, "twilio_unavailable")), (Code::No, Code::No));
        assert_eq!((code(507, "storage_full"), code(503, "storage_failed")), (Code::Disk, Code::Disk));
        assert_eq!((code(503, "vault_locked"), code(500, "internal")), (Code::Configuration, Code::Software));
    }

    #[test]
    fn a_name_is_one_part_of_a_path() {
        assert_eq!(part("sender:whatsapp:+1 555/x?"), "sender%3Awhatsapp%3A%2B1%20555%2Fx%3F");
    }

    #[test]
    fn where_nobody_listens_the_advice_says_what_to_start() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let connection = Connection::to_socket(Path::new("/nowhere/bluetick.sock")).expect("a client");
        let error = block_on(connection.show("/v1/status", &[])).expect_err("nobody is there");
        let words = error.to_string();
        assert!(words.contains("`bluetick serve`") && words.contains("No such file"), "{words}");
        assert!(matches!(error.downcast_ref(), Some(Trouble::Unavailable(_))));
    }

    #[test]
    fn an_address_without_a_scheme_is_a_wrong_command_line() {
        let reach = Reach { url: Some("wa.example.com".into()), ..Reach::default() };
        let error = reach.connect().expect_err("no scheme");
        assert!(matches!(error.downcast_ref(), Some(Trouble::Usage(_))), "{error}");
    }
}
