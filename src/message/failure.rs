//! The failure catalogue: what an error code of Twilio means, whose job it is, and what can be done about it.
//!
//! The words and the verdicts are data, in `failures.tsv` beside this file, because Twilio adds codes and moves causes
//! between them (<https://www.twilio.com/docs/api/errors>). Code may ask for a class, never for a number.
//!
//! Invariant: every code has an explanation. One that is not in the catalogue is kept, shown, and never retried.
//! Not here: when to retry, and how often.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::de::IntoDeserializer;
use serde::de::value::{self, StrDeserializer};
use serde::{Deserialize, Serialize};

const CATALOGUE: &str = include_str!("failures.tsv");
const COLUMNS: &str = "code\ttitle\tclass\tpause\tmay_duplicate\topt_out\tmeaning\twhose_job\taction";

/// What can be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It may pass by itself: a few later attempts are worth it.
    Transient,
    /// Too fast: slow down, then send again.
    Rate,
    /// Too early: a cap or a block that ends after hours, or with the day.
    Wait,
    /// The window is closed: the same words can go as an approved template.
    Template,
    /// This message will never go as it is.
    Permanent,
    /// The person does not want it; [`OptOut`] says how much of it.
    OptedOut,
    /// A person has to repair an account, a sender, a template or a server first.
    Operator,
    /// Nothing failed: a note.
    None,
}

impl Class {
    /// The word for it in JSON and in `failures.tsv`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Rate => "rate",
            Self::Wait => "wait",
            Self::Template => "template",
            Self::Permanent => "permanent",
            Self::OptedOut => "opted_out",
            Self::Operator => "operator",
            Self::None => "none",
        }
    }
}

/// What else would fail the same way, and so should wait until someone has acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pause {
    /// Everything this account sends.
    Account,
    /// Everything from this sender.
    Sender,
    /// Everything that uses this template.
    Template,
    /// Nothing: it concerns this message, this recipient, or no send at all.
    None,
}

/// How much of what we send a person no longer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptOut {
    /// No marketing; utility and authentication templates may still go.
    Marketing,
    /// No messages at all.
    All,
}

impl OptOut {
    /// The word for it in JSON and in `failures.tsv`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Marketing => "marketing",
            Self::All => "all",
        }
    }
}

/// Who can end the failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// The application that wrote the message.
    App,
    /// Whoever runs this server and holds the Twilio account.
    Operator,
    /// Twilio, Meta or a carrier.
    Twilio,
    /// The person the message is for.
    Recipient,
    /// Nobody: time alone, or nothing at all.
    Nobody,
}

/// One error code, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Twilio's number for it.
    pub code: u32,
    /// What happened, as a headline.
    pub title: Cow<'static, str>,
    /// What can be done.
    pub class: Class,
    /// What should wait with it.
    pub pause: Pause,
    /// Whether the message may have arrived all the same, so that sending it again may double it.
    pub may_duplicate: bool,
    /// What the person asked us to stop, if that is why it failed.
    pub opt_out: Option<OptOut>,
    /// What happened, in a sentence.
    pub meaning: Cow<'static, str>,
    /// Whose move it is.
    pub whose_job: Job,
    /// The next thing to do.
    pub action: Cow<'static, str>,
    /// Twilio's own page about the code.
    pub link: String,
    /// Whether the catalogue has this code.
    pub known: bool,
}

/// Explains a code, any code.
pub fn explain(code: u32) -> Failure {
    let rows = &*ROWS;
    match rows.binary_search_by_key(&code, |row| row.code) {
        Ok(at) => rows[at].clone(),
        Err(_) => unknown(code),
    }
}

/// The whole catalogue, by code.
pub fn all() -> impl Iterator<Item = Failure> {
    ROWS.iter().cloned()
}

/// Read once, and checked to be in order, so that it can be searched by halves.
static ROWS: LazyLock<Vec<Failure>> = LazyLock::new(|| {
    let mut lines = CATALOGUE.lines();
    assert_eq!(lines.next(), Some(COLUMNS), "failures.tsv starts with its column names");
    let rows: Vec<Failure> = lines
        .enumerate()
        .map(|(index, line)| {
            // The heading is row 1 to whoever opens the file.
            read(line).unwrap_or_else(|column| panic!("failures.tsv, row {}: no such {column}: {line}", index + 2))
        })
        .collect();
    assert!(rows.is_sorted_by(|a, b| a.code < b.code), "failures.tsv is sorted by code, and no code comes twice");
    rows
});

/// One row, or the column that makes no sense.
fn read(line: &'static str) -> Result<Failure, &'static str> {
    let columns: Vec<&'static str> = line.split('\t').collect();
    let &[code, title, class, pause, may_duplicate, opt_out, meaning, whose_job, action] = columns.as_slice() else {
        return Err("number of columns");
    };
    let code = code.parse().map_err(|_| "code")?;
    Ok(Failure {
        code,
        title: Cow::Borrowed(title),
        class: word(class).ok_or("class")?,
        pause: word(pause).ok_or("pause")?,
        may_duplicate: match may_duplicate {
            "yes" => true,
            "no" => false,
            _ => return Err("may_duplicate"),
        },
        opt_out: match opt_out {
            "-" => None,
            scope => Some(word(scope).ok_or("opt_out")?),
        },
        meaning: Cow::Borrowed(meaning),
        whose_job: word(whose_job).ok_or("whose_job")?,
        action: Cow::Borrowed(action),
        link: link(code),
        known: true,
    })
}

/// The value that JSON writes as `text`: the catalogue uses the same words.
fn word<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    let text: StrDeserializer<'a, value::Error> = text.into_deserializer();
    T::deserialize(text).ok()
}

/// Permanent, because a code nobody has judged must not be sent again by a machine; the operator's, because only a
/// person can judge it.
fn unknown(code: u32) -> Failure {
    Failure {
        code,
        title: Cow::Owned(format!("Twilio error {code} is not in this catalogue")),
        class: Class::Permanent,
        pause: Pause::None,
        may_duplicate: false,
        opt_out: None,
        meaning: Cow::Borrowed("Twilio gave an error code that this version has no explanation for."),
        whose_job: Job::Operator,
        action: Cow::Borrowed("Read Twilio's page about it. The message is not sent again unless you say so."),
        link: link(code),
        known: false,
    }
}

fn link(code: u32) -> String {
    format!("https://www.twilio.com/docs/api/errors/{code}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_row_of_the_catalogue_reads_in_order_and_once() {
        let codes: Vec<u32> = all().map(|failure| failure.code).collect();
        assert_eq!(codes.len(), CATALOGUE.lines().count() - 1);
        assert!(codes.len() >= 273);
        assert!(codes.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_row_that_makes_no_sense_names_its_column() {
        assert_eq!(read("1\tTitle"), Err("number of columns"));
        assert_eq!(read("x\tT\twait\tnone\tno\t-\tM\tapp\tA"), Err("code"));
        assert_eq!(read("1\tT\tsoon\tnone\tno\t-\tM\tapp\tA"), Err("class"));
        assert_eq!(read("1\tT\twait\tall\tno\t-\tM\tapp\tA"), Err("pause"));
        assert_eq!(read("1\tT\twait\tnone\tmaybe\t-\tM\tapp\tA"), Err("may_duplicate"));
        assert_eq!(read("1\tT\twait\tnone\tno\tsome\tM\tapp\tA"), Err("opt_out"));
        assert_eq!(read("1\tT\twait\tnone\tno\t-\tM\tyou\tA"), Err("whose_job"));
    }

    #[test]
    fn every_code_is_found_by_its_number() {
        assert!(all().all(|failure| failure.known && explain(failure.code) == failure));
    }

    #[test]
    fn an_unknown_code_is_explained_and_never_retried() {
        for code in [0, 1, 63_999, u32::MAX] {
            let failure = explain(code);
            assert_eq!((failure.code, failure.known), (code, false));
            assert_eq!(
                (failure.class, failure.pause, failure.whose_job),
                (Class::Permanent, Pause::None, Job::Operator)
            );
            assert!(failure.title.contains(&code.to_string()) && failure.link.ends_with(&format!("/{code}")));
            assert!(!failure.meaning.is_empty() && !failure.action.is_empty());
        }
    }

    #[test]
    fn the_codes_that_decide_most_have_their_classes() {
        for (code, class, pause) in [
            (429, Class::Rate, Pause::None),
            (10_001, Class::Operator, Pause::Account),
            (11_200, Class::Operator, Pause::None),
            (14_107, Class::Rate, Pause::None),
            (20_003, Class::Operator, Pause::Account),
            (20_005, Class::Operator, Pause::Account),
            (20_429, Class::Rate, Pause::None),
            (20_500, Class::Transient, Pause::None),
            (21_211, Class::Permanent, Pause::None),
            (21_608, Class::Operator, Pause::None),
            (21_611, Class::Rate, Pause::None),
            (30_001, Class::Rate, Pause::None),
            (30_002, Class::Operator, Pause::Account),
            (30_003, Class::Transient, Pause::None),
            (30_009, Class::None, Pause::None),
            (30_022, Class::Rate, Pause::None),
            (30_450, Class::Wait, Pause::None),
            (63_003, Class::Permanent, Pause::None),
            (63_007, Class::Operator, Pause::Sender),
            (63_016, Class::Template, Pause::None),
            (63_017, Class::Rate, Pause::None),
            (63_018, Class::Rate, Pause::None),
            (63_020, Class::Operator, Pause::Sender),
            (63_027, Class::Operator, Pause::Template),
            (63_032, Class::Permanent, Pause::None),
            (63_038, Class::Wait, Pause::None),
            (63_040, Class::Operator, Pause::Template),
            (63_041, Class::Operator, Pause::Template),
            (63_042, Class::Operator, Pause::Template),
            (63_049, Class::Permanent, Pause::None),
            (63_051, Class::Operator, Pause::Sender),
            (63_112, Class::Operator, Pause::Sender),
        ] {
            let failure = explain(code);
            assert_eq!((failure.class, failure.pause), (class, pause), "{code}");
        }
    }

    #[test]
    fn only_a_failure_a_person_must_repair_pauses_anything() {
        for failure in all() {
            assert!(failure.pause == Pause::None || failure.class == Class::Operator, "{}", failure.code);
            assert!(failure.class != Class::Operator || failure.whose_job == Job::Operator, "{}", failure.code);
        }
    }

    #[test]
    fn trouble_with_our_own_webhooks_pauses_no_sending() {
        let webhooks = all().filter(|failure| (11_000..15_000).contains(&failure.code));
        assert!(webhooks.into_iter().all(|failure| failure.pause == Pause::None));
    }

    #[test]
    fn opting_out_says_of_what() {
        let opted_out: Vec<_> = all().filter(|failure| failure.class == Class::OptedOut).collect();
        let scopes: Vec<_> = opted_out.iter().map(|failure| (failure.code, failure.opt_out)).collect();
        let all_of_it = Some(OptOut::All);
        let expected =
            [(21_610, all_of_it), (30_630, all_of_it), (63_014, all_of_it), (63_033, Some(OptOut::Marketing))];
        assert_eq!(scopes, expected);
        assert!(all().all(|failure| failure.opt_out.is_some() == (failure.class == Class::OptedOut)));
    }

    #[test]
    fn a_duplicate_is_possible_only_where_the_carrier_left_it_open() {
        let open: Vec<_> = all().filter(|failure| failure.may_duplicate).map(|failure| failure.code).collect();
        assert_eq!(open, [30_008, 30_410]);
    }

    #[test]
    fn every_explanation_is_short_whole_and_its_own() {
        let (mut titles, mut advice) = (HashSet::new(), HashSet::new());
        for Failure { code, title, meaning, action, .. } in all() {
            assert!((1..=60).contains(&title.chars().count()) && !title.ends_with('.'), "{code}: {title}");
            for text in [&*title, &*meaning, &*action] {
                assert!(text.trim() == text && !text.contains("  "), "{code}: {text}");
            }
            assert!(meaning.ends_with('.') && action.ends_with('.'), "{code}: sentences end in a full stop");
            assert!(titles.insert(title), "{code}: this title is already another code's");
            assert!(advice.insert((meaning, action)), "{code}: this advice is already another code's");
        }
    }

    #[test]
    fn a_class_has_one_word_everywhere() {
        for failure in all() {
            assert_eq!(word(failure.class.as_str()), Some(failure.class));
        }
    }
}
