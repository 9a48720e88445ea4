//! bluetick: WhatsApp delivery you can prove. One binary, one data file, no other service.
//!
//! # The map
//!
//! Imports point down only; rooms on one floor never import each other. `tests/it/architecture.rs` reads every `use`
//! and fails with one sentence per wrong arrow.
//!
//! ```text
//! roof       main  cli/  serve/  config/      argv, wiring, signals; config only gathers every room's own Options
//! floor 6    http/   jobs/   emulator/        where the outside meets the inside
//! floor 5    backup  custody                  what takes two rooms below
//! floor 4    store/  twilio/                  each speaks to one outside thing: the data file, Twilio
//! floor 3    archive/                         sealed files, and old messages in them; the store finds them there
//! floor 2    contact  pause  metrics/         pure: people, what is held up, what one record adds to the numbers,
//!            event  alert                     what is told, what is wrong
//! floor 1    message/  timetable              pure: no clock, no disk, no socket, no async
//!            keyring/  audit
//! ground     clock  telemetry  sabotage
//! ```
//!
//! | room | one line | crates at home there |
//! | --- | --- | --- |
//! | [`message`] | status fold, receipt join, attempt, draft, address, window gate, retry, journal, failure catalogue (a data file), policy | – |
//! | [`timetable`] | when something is due by a cron line | croner |
//! | [`keyring`] | every secret there is, and who may do what: the life of a secret, the vault, API keys and their scopes, access tokens, people and their sessions | argon2, ring |
//! | [`audit`] | a row of the log of what people and programs did, and its hash | – |
//! | [`contact`] | the names of a person, when they last wrote, what they do not want | – |
//! | [`pause`] | what is held up instead of burning the queue, why, and how it ends | – |
//! | [`metrics`] | `share(&record)`, the cell and its sums, percentiles out of integer buckets | – |
//! | [`event`] | what the team's app and the pages are told | – |
//! | [`alert`] | what is wrong right now, and what to do about it | – |
//! | [`archive`] | sealed files: whole or not there, proven by a checksum; the shelf of segments that old messages are in | zstd |
//! | [`store`] | tables, `commit(batch, now)`, the writer thread as its shell and a keeper of the folder beside it (sentinel, room on the disk), snapshot reads, codec, verify; a message is found wherever it is | redb, bincode |
//! | [`backup`] | the whole store in a sealed file, the segments of the archive beside it, and a data file made from them | – |
//! | [`custody`] | the master key, the vault it opens, and the one way to change a secret | – |
//! | [`twilio`] | client, wire format, signature, webhook, the doctor who says why a signature is wrong, outcome, transport | hmac, sha1, reqwest |
//! | [`jobs`] | one loop, one file per job: send, archive, retention, reconcile (with `evidence`, which of Twilio's messages are ours, `listen`, what people wrote, and `adopt`, what was sent while a restored store knew nothing); `chores` does what is periodic, one thing after the other, and `alarm` wakes it | tokio-cron-scheduler |
//! | [`http`] | every route on one page; TLS, whose address it is, how often; webhooks, messages, metrics, events, log-ins, pages, charts, one error table | actix-web, rust-embed, charts-rs |
//! | [`emulator`] | a small, strict, forgetful Twilio that misbehaves by script; the only fake in the house | actix-web |
//!
//! # The ideas that carry the house
//!
//! - **The agenda.** A message has at most one next step at one date, decided by pure code and stored in the record
//!   ([`message::Next`]); the index only projects it. A retry is a later `Send`; held means no row.
//! - **The receipt is a join-semilattice** ([`message::Receipt`]), one per attempt: callbacks in any order, any number of
//!   times, give the same record.
//! - **One entry for change.** All that happens to a message goes through [`message::Message::apply`], total and pure.
//!   Replaying a journal gives the stored message.
//! - **Group commit.** One writer thread takes what is waiting, commits it, then answers everyone. Record, indexes,
//!   numbers, journal and events are one transaction.
//! - **Unknown is a result** ([`twilio::Outcome`]): what is neither proven taken, nor refused, nor untouched is never
//!   blindly sent again. It is looked for at Twilio; only proven absence allows one more attempt.
//! - **What follows is a fact.** After every fact, [`message::Message::follow_up`] decides what is done next: retry, hold,
//!   fall back, give up, ask. The decision goes into the journal, so replaying it asks no policy.
//!
//! # Walks
//!
//! *A status callback.* `http::webhooks` → [`twilio::Webhook::open`] (verify and parse in one step, with the configured
//! public URL, never the Host header) → [`store::Write::Report`] → the writer: load, apply, save → commit → 204.
//!
//! *A send.* `http::messages::create` → [`message::Draft::check`] → [`store::Write::Accept`] (new, or existing by its
//! Idempotency-Key) → 202. The commit wakes [`jobs::send`]: claim what is due, in one commit with the attempt intents →
//! [`twilio::Client::create`] → [`twilio::Outcome`] → `settle` → [`store::Write::Settle`]. Claiming is the last look:
//! pauses, opt-outs, the window, the pair rate; what cannot go is held, ended or due later when that commit is done.
//!
//! *A lost callback, a lost answer.* The step is `Reconcile`; its date comes; [`jobs::reconcile::plan`] gathers what is due,
//! `ask` fetches by SID, by list, or looks for an attempt whose answer was lost ([`jobs::evidence`]) →
//! [`store::Write::Ask`] → report, absence, or the next date. [`jobs::listen`] lists what people wrote, likewise.
//!
//! *A restore.* [`backup::restore`] makes a data file from a backup → [`store::Write::Doubt`] pauses everything and counts what
//! waited as handed over with its answer lost → it is looked for like any lost answer → `jobs::adopt` takes in what else
//! was sent since → [`store::Write::CaughtUp`] ends the pause.
//!
//! *An archive run.* [`jobs::archive`] reads what is at rest, oldest first, by its id: ids sort by time, so no agenda is needed
//! → a segment: written, flushed, named, read back → [`store::Write::Shelve`] puts stubs in the messages' place, if nothing
//! has changed since → everything still finds them. A late `read` loads the message out of its segment, and it is here again;
//! the segment is marked, and the next run writes it anew without that line.
//!
//! *An erasure.* `http::erasure` → [`store::Write::Erase`], a part a commit, until the person is gone: their share stays in the
//! sums as what no record stands behind ([`store::verify`] adds it), and a trace of each message stays, so that a late callback is
//! let go → [`jobs::retention`] scrubs events and writes marked segments anew → [`store::Write::Rewrite`], at night: the file
//! without its free pages.
//!
//! *A secret.* What stands in the configuration is met at the start ([`custody::Custody::open`]): a new value is let in
//! beside the one in use and takes its place once Twilio lets it in ([`jobs::trial`]), one that was rotated away stays away. A change goes through [`custody::Custody::change`]: pure code decides ([`keyring::Ring`]),
//! [`store::Act::KeepSecrets`] writes it with its row of the audit log if nobody was quicker, and the [`keyring::Keyring`] holds it
//! before anyone is answered; webhooks and the client look there each time.
//!
//! *A message sent elsewhere.* A signed callback with a SID nobody has: one attempt, `origin` external, tracked, never
//! retried. If an attempt of ours later claims that SID, the record is absorbed and its id leads to ours.
//!
//! *A log-in.* `http::sessions` → one argon2 hash, of whoever was named or of nobody → the code of the phone →
//! [`store::Act::OpenSession`]: the commit looks once more whether all of it still holds, and takes the code → a cookie. Every
//! request of a page → `http::auth`: the session, the person, their scopes, from the store → the table in `http::rights`.
//!
//! *An inbound message.* The same door; stored once per SID, it opens the contact's window; answered with empty TwiML.

pub mod alert;
pub mod archive;
pub mod audit;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod contact;
pub mod custody;
pub mod emulator;
pub mod event;
pub mod http;
pub mod jobs;
pub mod keyring;
pub mod message;
pub mod metrics;
pub mod pause;
pub mod sabotage;
pub mod serve;
pub mod store;
pub mod telemetry;
pub mod timetable;
pub mod twilio;
