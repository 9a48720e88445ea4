//! The not yet accepted wish: what the team's app may ask for, checked once at the door.
//!
//! Invariant: a [`Draft`] is sendable as far as anyone can know without asking Twilio.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::policy::OnUnknown;
use crate::clock::Time;

/// Twilio's own bound on `Body`, in characters.
pub const MAX_BODY: usize = 1_600;
/// What a reference, a tag or a metadata key may be long, in bytes.
const MAX_NAME: usize = 128;
/// What one variable or metadata value may be long, in bytes.
const MAX_VALUE: usize = 1_024;
const MAX_TAGS: usize = 16;
const MAX_PAIRS: usize = 32;
/// Twilio takes ten media URLs; WhatsApp shows one a message.
const MAX_MEDIA: usize = 10;
const MAX_URL: usize = 2_048;
/// A message planned further ahead than this is a mistake in a date.
const FURTHEST_MS: i64 = 366 * 24 * 3_600_000;

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Free text: only inside the 24-hour window.
    Text(String),
    /// A file at a public URL, with an optional caption.
    Media {
        /// Where Twilio fetches it.
        urls: Vec<String>,
        /// The text beside it.
        caption: Option<String>,
    },
    /// An approved template.
    Template(Template),
    /// A message sent without us: its content was never ours.
    Elsewhere,
    /// What it said was forgotten, as old words are.
    Forgotten {
        /// The template that was used, if one was.
        template: Option<String>,
    },
}

/// An approved template, filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// `HX…`
    pub sid: String,
    /// Its variables.
    pub variables: BTreeMap<String, String>,
}

/// What a message is for, in WhatsApp's words: who wants no marketing may still want the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Offers and news.
    Marketing,
    /// About something the person did or has.
    #[default]
    Utility,
    /// One-time codes.
    Authentication,
}

impl Category {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Marketing => "marketing",
            Self::Utility => "utility",
            Self::Authentication => "authentication",
        }
    }
}

/// Whose turn comes first when a sender is busy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// One-time codes.
    High,
    /// The usual.
    #[default]
    Normal,
    /// Campaigns.
    Bulk,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Bulk];

    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }
}

/// A send that may be accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The person.
    pub to: Address,
    /// Our number or Messaging Service.
    pub from: Address,
    /// What is sent.
    pub content: Content,
    /// The app's own name for it.
    pub reference: Option<String>,
    /// The app's own labels.
    pub tags: Vec<String>,
    /// The app's own notes.
    pub metadata: BTreeMap<String, String>,
    /// Whose turn comes first.
    pub priority: Priority,
    /// Not before this.
    pub send_at: Option<Time>,
    /// Not after this.
    pub expires_at: Option<Time>,
    /// What it is for.
    pub category: Category,
    /// What goes instead when free text would not be let through.
    pub fallback: Option<Template>,
    /// Whether it may be sent again where the first may have arrived all the same.
    pub may_duplicate: bool,
    /// What to do when Twilio provably has no trace of an attempt; the configured policy where it is absent.
    pub on_unknown: Option<OnUnknown>,
}

impl Draft {
    /// Whether it still has words that could be forgotten.
    pub fn has_words(&self) -> bool {
        !matches!(self.content, Content::Elsewhere | Content::Forgotten { .. })
    }

    /// Forgets what it says: the texts, the files, and what the templates were filled in with.
    pub(super) fn forget_words(&mut self) {
        let template = match &self.content {
            Content::Elsewhere | Content::Forgotten { .. } => return,
            Content::Text(_) | Content::Media { .. } => None,
            Content::Template(template) => Some(template.sid.clone()),
        };
        self.content = Content::Forgotten { template };
        self.fallback.iter_mut().for_each(|fallback| fallback.variables.clear());
    }
}

/// A send as it was asked for, before anything is known about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The person, as written.
    pub to: String,
    /// Our sender, as written; the configured one where it is absent.
    pub from: Option<String>,
    /// Free text or caption.
    pub body: Option<String>,
    /// Public URLs of files.
    pub media_url: Vec<String>,
    /// A template's SID.
    pub content_sid: Option<String>,
    /// A template's variables.
    pub variables: BTreeMap<String, String>,
    /// The app's own name for it.
    pub reference: Option<String>,
    /// The app's own labels.
    pub tags: Vec<String>,
    /// The app's own notes.
    pub metadata: BTreeMap<String, String>,
    /// Whose turn comes first.
    pub priority: Priority,
    /// Not before this.
    pub send_at: Option<Time>,
    /// Not after this.
    pub expires_at: Option<Time>,
    /// What it is for; marketing if it is absent and the message is a bulk one, else utility.
    pub category: Option<Category>,
    /// What goes instead when free text would not be let through.
    pub fallback: Option<Template>,
    /// Whether it may be sent again where the first may have arrived all the same.
    pub may_duplicate: bool,
    /// What to do when Twilio provably has no trace of an attempt.
    pub on_unknown: Option<OnUnknown>,
}

/// One thing wrong with a wish, in words that say what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The field, as the API names it.
    pub field: &'static str,
    /// What is wrong and what to write instead.
    pub detail: String,
}

impl Draft {
    /// A draft with nothing but what it must have.
    pub fn new(to: Address, from: Address, content: Content) -> Self {
        Self {
            to,
            from,
            content,
            reference: None,
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            priority: Priority::Normal,
            send_at: None,
            expires_at: None,
            category: Category::Utility,
            fallback: None,
            may_duplicate: false,
            on_unknown: None,
        }
    }

    /// Checks a wish; every flaw is named, not only the first.
    pub fn check(wish: Wish, default_from: Option<&Address>, now: Time) -> Result<Self, Vec<Flaw>> {
        let mut flaws = Flaws::default();
        let to = flaws.take("to", recipient(&wish.to));
        let from = flaws.take("from", sender(wish.from.as_deref(), default_from));
        flaws.check_names(&wish);
        flaws.check_times(&wish, now);
        let default_category = if wish.priority == Priority::Bulk { Category::Marketing } else { Category::Utility };
        let Wish { body, media_url, content_sid, variables, fallback, .. } = wish;
        let content = flaws.content(body, media_url, content_sid, variables);
        flaws.check_fallback(fallback.as_ref(), content.as_ref());
        match (to, from, content) {
            (Some(to), Some(from), Some(content)) if flaws.0.is_empty() => Ok(Self {
                to,
                from,
                content,
                reference: wish.reference,
                tags: wish.tags,
                metadata: wish.metadata,
                priority: wish.priority,
                send_at: wish.send_at,
                expires_at: wish.expires_at,
                category: wish.category.unwrap_or(default_category),
                fallback,
                may_duplicate: wish.may_duplicate,
                on_unknown: wish.on_unknown,
            }),
            _ => Err(flaws.0),
        }
    }
}

fn recipient(text: &str) -> Result<Address, String> {
    let address = Address::parse(text).map_err(|error| error.to_string())?;
    if address.is_person() { Ok(address) } else { Err("is a Messaging Service: a message goes to a person".into()) }
}

fn sender(text: Option<&str>, default: Option<&Address>) -> Result<Address, String> {
    match (text, default) {
        (Some(text), _) => Address::parse(text).map_err(|error| error.to_string()),
        (None, Some(address)) => Ok(address.clone()),
        (None, None) => Err("is missing: name a sender here, or set twilio.from in the configuration".into()),
    }
}

#[derive(Default)]
struct Flaws(Vec<Flaw>);

impl Flaws {
    fn add(&mut self, field: &'static str, detail: impl Into<String>) {
        self.0.push(Flaw { field, detail: detail.into() });
    }

    fn take<T>(&mut self, field: &'static str, result: Result<T, String>) -> Option<T> {
        result.map_err(|detail| self.add(field, detail)).ok()
    }

    fn content(
        &mut self,
        body: Option<String>,
        urls: Vec<String>,
        template: Option<String>,
        variables: BTreeMap<String, String>,
    ) -> Option<Content> {
        let before = self.0.len();
        if body.as_ref().is_some_and(|body| body.chars().count() > MAX_BODY) {
            self.add("body", format!("is longer than {MAX_BODY} characters, which Twilio refuses: split it"));
        }
        self.check_media(&urls);
        self.check_template(["content_sid", "variables"], template.as_deref(), &variables);
        let content = match (body, urls.is_empty(), template) {
            (None, true, Some(sid)) => Content::Template(Template { sid, variables }),
            (_, _, Some(_)) => {
                self.add("content_sid", "goes alone: leave body and media_url out, the template has its own");
                return None;
            }
            (caption, false, None) => Content::Media { urls, caption },
            (Some(body), true, None) if !body.trim().is_empty() => Content::Text(body),
            _ => {
                self.add("body", "is empty: give a body, a media_url, or a content_sid");
                return None;
            }
        };
        (self.0.len() == before).then_some(content)
    }

    fn check_media(&mut self, urls: &[String]) {
        if urls.len() > MAX_MEDIA {
            self.add("media_url", format!("has more than {MAX_MEDIA} entries; WhatsApp shows one a message"));
        }
        let is_fine = |url: &String| {
            url.len() <= MAX_URL
                && (url.starts_with("https://") || url.starts_with("http://"))
                && url.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !urls.iter().all(is_fine) {
            self.add("media_url", format!("is no URL Twilio can fetch: https://…, at most {MAX_URL} characters"));
        }
    }

    fn check_fallback(&mut self, fallback: Option<&Template>, content: Option<&Content>) {
        let Some(Template { sid, variables }) = fallback else { return };
        self.check_template(["fallback.content_sid", "fallback.variables"], Some(sid), variables);
        if matches!(content, Some(Content::Template(_))) {
            self.add("fallback", "is for free text and files: a template needs none, it may be sent at any time");
        }
    }

    /// The fields go by the names under which they were asked for: the SID's first, then the variables'.
    fn check_template(&mut self, fields: [&'static str; 2], sid: Option<&str>, variables: &BTreeMap<String, String>) {
        let is_template = |sid: &str| {
            sid.strip_prefix("HX").is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        if sid.is_some_and(|sid| !is_template(sid)) {
            self.add(fields[0], "is no template SID: HX and 32 hex digits, as the Twilio Console shows it");
        }
        if sid.is_none() && !variables.is_empty() {
            self.add(fields[1], "belong to a template: add its content_sid");
        }
        self.check_pairs(fields[1], variables);
    }

    fn check_names(&mut self, wish: &Wish) {
        if wish.reference.as_ref().is_some_and(|name| name.is_empty() || name.len() > MAX_NAME) {
            self.add("reference", format!("must have 1 to {MAX_NAME} bytes"));
        }
        if wish.tags.len() > MAX_TAGS || wish.tags.iter().any(|tag| tag.is_empty() || tag.len() > MAX_NAME) {
            self.add("tags", format!("are at most {MAX_TAGS}, each of 1 to {MAX_NAME} bytes"));
        }
        self.check_pairs("metadata", &wish.metadata);
    }

    fn check_pairs(&mut self, field: &'static str, pairs: &BTreeMap<String, String>) {
        let fits = |(key, value): (&String, &String)| (1..=MAX_NAME).contains(&key.len()) && value.len() <= MAX_VALUE;
        if pairs.len() > MAX_PAIRS || !pairs.iter().all(fits) {
            let limits = format!("at most {MAX_PAIRS} keys of 1 to {MAX_NAME} bytes with values up to {MAX_VALUE}");
            self.add(field, format!("hold {limits}"));
        }
    }

    fn check_times(&mut self, wish: &Wish, now: Time) {
        if wish.send_at.is_some_and(|at| at.0 > now.0 + FURTHEST_MS) {
            self.add("send_at", "is more than a year ahead: check the date");
        }
        if wish.expires_at.is_some_and(|at| at <= now) {
            self.add("expires_at", "has passed already");
        }
        if let (Some(send_at), Some(expires_at)) = (wish.send_at, wish.expires_at)
            && expires_at <= send_at
        {
            self.add("expires_at", "is not after send_at: the message could never be sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish() -> Wish {
        Wish { to: "+4915100000001".into(), body: Some("hello".into()), ..Wish::default() }
    }

    fn flaws(wish: Wish) -> Vec<&'static str> {
        let from = Address::Phone("+15550001111".into());
        Draft::check(wish, Some(&from), Time(1_000)).err().unwrap_or_default().iter().map(|flaw| flaw.field).collect()
    }

    #[test]
    fn a_plain_text_is_a_draft() {
        let from = Address::Phone("+15550001111".into());
        let draft = Draft::check(wish(), Some(&from), Time(0)).expect("a good wish");
        assert_eq!((draft.content, draft.from), (Content::Text("hello".into()), from));
    }

    #[test]
    fn every_flaw_is_named_at_once() {
        let wish = Wish { to: "nobody".into(), body: None, expires_at: Some(Time(5)), ..Wish::default() };
        assert_eq!(flaws(wish), ["to", "expires_at", "body"]);
    }

    #[test]
    fn a_template_goes_alone_and_variables_need_one() {
        let sid = Some("HX0123456789abcdef0123456789abcdef".to_owned());
        assert_eq!(flaws(Wish { content_sid: sid.clone(), ..wish() }), ["content_sid"]);
        assert!(flaws(Wish { content_sid: sid, body: None, ..wish() }).is_empty());
        let variables = BTreeMap::from([("1".to_owned(), "x".to_owned())]);
        assert_eq!(flaws(Wish { variables, ..wish() }), ["variables"]);
    }

    #[test]
    fn a_fallback_is_a_template_beside_free_text() {
        let fallback = |sid: &str| Some(Template { sid: sid.to_owned(), variables: BTreeMap::new() });
        let sid = "HX0123456789abcdef0123456789abcdef";
        assert!(flaws(Wish { fallback: fallback(sid), ..wish() }).is_empty());
        assert_eq!(flaws(Wish { fallback: fallback("HX1"), ..wish() }), ["fallback.content_sid"]);
        let template = Wish { fallback: fallback(sid), content_sid: Some(sid.to_owned()), body: None, ..wish() };
        assert_eq!(flaws(template), ["fallback"]);
    }

    #[test]
    fn bulk_is_marketing_unless_it_says_otherwise() {
        let category = |wish: Wish| {
            let from = Address::Phone("+15550001111".into());
            Draft::check(wish, Some(&from), Time(0)).expect("a good wish").category
        };
        assert_eq!(category(wish()), Category::Utility);
        assert_eq!(category(Wish { priority: Priority::Bulk, ..wish() }), Category::Marketing);
        let newsletter = Wish { priority: Priority::Bulk, category: Some(Category::Utility), ..wish() };
        assert_eq!(category(newsletter), Category::Utility);
    }

    #[test]
    fn what_twilio_would_refuse_is_refused_here() {
        assert_eq!(flaws(Wish { body: Some("x".repeat(1_601)), ..wish() }), ["body"]);
        assert_eq!(flaws(Wish { to: "MG0123456789abcdef0123456789abcdef".into(), ..wish() }), ["to"]);
        assert_eq!(flaws(Wish { media_url: vec!["ftp://x".into()], ..wish() }), ["media_url"]);
        assert_eq!(flaws(Wish { tags: vec![String::new()], ..wish() }), ["tags"]);
    }

    #[test]
    fn without_a_sender_the_advice_names_the_configuration() {
        let flaws = Draft::check(wish(), None, Time(0)).expect_err("no sender");
        assert!(flaws[0].detail.contains("twilio.from"));
    }
}
