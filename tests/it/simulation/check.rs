//! What must be true when everything has come to rest, whatever happened before: held against Twilio's own ledger.

use std::collections::BTreeMap;

use bluetick::clock::Time;
use bluetick::emulator::Method;
use bluetick::message::{AttemptId, Handing, Hold, Message, MessageId, Sid, Status, Word};
use bluetick::metrics::Count;
use bluetick::store::{Filter, Snapshot, verify};
use bluetick::twilio::ListQuery;
use bluetick::twilio::wire::MessageResource;
use futures_util::FutureExt;
use serde::Deserialize;
use serde_json::json;

use super::world::{URL, World};

/// How far the two sides may disagree about the end of a window: a request is on its way for so long.
const WINDOW_EDGE_MS: i64 = 90_000;
const DAY_MS: i64 = 24 * 3_600_000;

#[derive(Debug, Deserialize)]
struct Ledger {
    creates: Vec<Create>,
}

#[derive(Debug, Deserialize)]
struct Create {
    #[serde(deserialize_with = "moment")]
    at: i64,
    outcome: String,
    sid: Option<String>,
    code: Option<u32>,
    to: String,
    from: Option<String>,
    messaging_service_sid: Option<String>,
    content_sid: Option<String>,
    status_callback: Option<String>,
    statuses: Vec<Stage>,
}

#[derive(Debug, Deserialize)]
struct Stage {
    status: String,
    #[serde(deserialize_with = "moment")]
    at: i64,
}

/// Milliseconds from RFC 3339.
fn moment<'de, D: serde::Deserializer<'de>>(text: D) -> Result<i64, D::Error> {
    let text = String::deserialize(text)?;
    text.parse::<jiff::Timestamp>().map(|at| at.as_millisecond()).map_err(serde::de::Error::custom)
}

impl Create {
    fn is_accepted(&self) -> bool {
        self.outcome == "accepted"
    }

    /// The attempt whose own path it named.
    fn attempt(&self) -> Option<AttemptId> {
        let path = self.status_callback.as_ref()?.strip_prefix(&format!("{URL}/webhooks/twilio/status/"))?;
        path.split('#').next()?.parse().ok()
    }

    fn furthest(&self) -> Option<Word> {
        self.statuses.iter().map(|stage| Word::parse(&stage.status)).max_by_key(|word| word.rank())
    }

    fn has_failed_by(&self, at: i64) -> bool {
        self.statuses.iter().any(|stage| Word::parse(&stage.status).is_failure() && stage.at <= at)
    }
}

/// Adds to what is broken whatever the ledger and the store disagree about.
pub(super) fn check(world: &mut World) {
    let Some(house) = &world.house else { return world.broken.push("bluetick never came back".into()) };
    let ledger = world.twilio.control(Method::Get, "/emulator/ledger?limit=10000", &json!({}));
    let ledger: Ledger = serde_json::from_value(ledger).expect("the ledger is what it says it is");
    let snapshot = house.store.read().expect("the disk works");
    let page = snapshot.messages(&Filter::default(), None, 1_000).expect("the disk works");
    let messages: BTreeMap<_, _> = page.rows.into_iter().map(|message| (message.id, message)).collect();
    let inbound = inbound(world);
    let mut broken = Vec::new();
    for wish in &world.wishes {
        match wish.answered.map(|id| messages.get(&id)) {
            Some(Some(message)) if message.draft == wish.accept.draft => {}
            other => broken.push(format!("I1: a wish came to {other:?}")),
        }
    }
    // What nobody can know: Twilio hid a message for longer than `settle_ms`, or two that nobody can tell apart lost their
    // answers; and no callback of it came either.
    let is_hidden = |create: &Create| {
        let sid = create.sid.as_ref().and_then(|sid| sid.parse().ok());
        let was_told = world.told.iter().any(|(told, _)| Some(*told) == sid);
        !was_told && (world.is_lagging && is_absent(create, &messages) || is_ambiguous(create, &messages))
    };
    let has_hidden = ledger.creates.iter().any(|create| create.is_accepted() && is_hidden(create));
    let seen: Vec<_> = ledger.creates.iter().filter(|create| create.is_accepted() && !is_hidden(create)).collect();
    for message in messages.values() {
        check_sends(message, &seen, world.is_lagging, &mut broken);
        check_rest(message, &mut broken);
    }
    for create in &seen {
        check_bound(create, &messages, &mut broken);
        check_window(create, &inbound, world.listens_since, &mut broken);
    }
    for letter in &inbound {
        if !letter.sid().is_some_and(|sid| snapshot.has_inbound(sid).unwrap_or(false)) {
            broken.push(format!("an inbound message is lost: {}", letter.sid));
        }
    }
    check_numbers(&snapshot, &seen, &messages, inbound.len(), has_hidden, &mut broken);
    world.broken.append(&mut broken);
}

/// Whether we believe that Twilio has no trace of it.
fn is_absent(create: &Create, messages: &BTreeMap<MessageId, Message>) -> bool {
    let id = create.attempt();
    let attempt = id.and_then(|id| messages.get(&id.message)?.attempt(id.number));
    attempt.is_some_and(|attempt| matches!(attempt.handing, Handing::Absent { .. }))
}

/// Whether it is held for a person, because another message to the same one lost its answer too.
fn is_ambiguous(create: &Create, messages: &BTreeMap<MessageId, Message>) -> bool {
    let Some(message) = create.attempt().and_then(|id| messages.get(&id.message)) else { return false };
    let is_lost =
        |message: &Message| message.attempts.iter().any(|attempt| attempt.is_lost() && attempt.sid().is_none());
    let is_rival = |other: &&Message| other.id != message.id && other.contact == message.contact && is_lost(other);
    message.hold == Some(Hold::Unknown) && is_lost(message) && messages.values().any(|other| is_rival(&other))
}

/// What people wrote, as Twilio has it.
fn inbound(world: &World) -> Vec<MessageResource> {
    let query = ListQuery { page_size: Some(200), ..ListQuery::default() };
    let mut listing = world.client.list(&query).now_or_never().expect("nothing waits").expect("all is calm");
    let mut all = Vec::new();
    loop {
        all.extend(listing.page.messages.into_iter().filter(MessageResource::is_inbound));
        let Some(next) = listing.page.next_page_uri else { return all };
        listing = world.client.next_page(&next).now_or_never().expect("nothing waits").expect("all is calm");
    }
}

/// I2: another create only after the last one failed, or once after proven absence, and then it is flagged.
fn check_sends(message: &Message, seen: &[&Create], is_lagging: bool, broken: &mut Vec<String>) {
    let mut creates: Vec<_> = (seen.iter())
        .filter_map(|create| Some((create.attempt().filter(|attempt| attempt.message == message.id)?.number, create)))
        .collect();
    creates.sort_by_key(|(number, _)| *number);
    let mut doubles = 0;
    for pair in creates.windows(2) {
        let [(first, earlier), (second, later)] = pair else { continue };
        if first == second {
            broken.push(format!("I2: attempt {first} of {} was created twice", message.id));
        }
        doubles += u8::from(!earlier.has_failed_by(later.at));
    }
    if doubles > 0 && !message.is_duplicate() {
        broken.push(format!("I2: {} went out twice, unflagged: {}", message.id, story(message)));
    }
    if doubles > 1 || (doubles > 0 && !is_lagging) {
        broken.push(format!("I2: {} went out {doubles} times too often: {}", message.id, story(message)));
    }
    if message.is_duplicate() && creates.len() < 2 {
        broken.push(format!("{} is flagged, and went out once: {}", message.id, story(message)));
    }
}

/// I3 and I4: every create is bound to one attempt, and its receipt says what the ledger says.
fn check_bound(create: &Create, messages: &BTreeMap<MessageId, Message>, broken: &mut Vec<String>) {
    let sid = create.sid.as_ref().and_then(|sid| sid.parse::<Sid>().ok());
    let (Some(sid), Some(id)) = (sid, create.attempt()) else {
        return broken.push(format!("I3: a create without a SID or a path: {create:?}"));
    };
    let attempt = messages.get(&id.message).and_then(|message| message.attempt(id.number));
    let Some(attempt) = attempt.filter(|attempt| attempt.nonce == id.nonce) else {
        return broken.push(format!("I3: {sid} belongs to no attempt of {}", id.message));
    };
    let owners = messages.values().filter(|message| message.attempt_with(sid).is_some()).count();
    if owners != 1 || !attempt.receipt.sids.contains(&sid) {
        let owners: Vec<_> =
            messages.values().filter(|message| message.attempt_with(sid).is_some()).map(story).collect();
        broken.push(format!("I3: {sid} is bound to {} messages: {}", owners.len(), owners.join("\n")));
    }
    let (told, truth) = (attempt.receipt.word(), create.furthest());
    if told != truth {
        let message = &messages[&id.message];
        broken.push(format!("I4: {sid} is {truth:?} in truth and {told:?} to us: {}", story(message)));
    }
    if create.code.is_some_and(|code| attempt.receipt.word().is_some() && !attempt.receipt.codes.contains(&code)) {
        broken.push(format!("I4: {sid} failed with {:?}, and we know {:?}", create.code, attempt.receipt.codes));
    }
}

/// Free text never goes where we know that the window is closed.
fn check_window(create: &Create, inbound: &[MessageResource], listens_since: Option<Time>, broken: &mut Vec<String>) {
    let at = create.at;
    let knew = listens_since.is_some_and(|since| since.0 + WINDOW_EDGE_MS < at);
    if create.content_sid.is_some() || !knew || create.messaging_service_sid.is_some() {
        return;
    }
    let wrote = |letter: &&MessageResource| letter.from.as_ref() == Some(&create.to) && letter.to == create.from;
    let times = inbound.iter().filter(wrote).filter_map(|letter| letter.sent_ms().or(letter.created_ms()));
    let last = times.filter(|wrote| *wrote <= at).max();
    if last.is_none_or(|last| at - last > DAY_MS + WINDOW_EDGE_MS) {
        broken.push(format!("free text went to {} though the window was closed ({last:?})", create.to));
    }
}

/// I2 the other way round: nothing is forgotten half-way.
fn check_rest(message: &Message, broken: &mut Vec<String>) {
    let is_under_way = matches!(message.status(), Status::Pending | Status::InFlight | Status::Unknown);
    if is_under_way {
        broken.push(format!("{} never came to an end: {}", message.id, story(message)));
    }
    if message.replay() != *message && message.journal.dropped == 0 {
        broken.push(format!("the journal of {} does not give its record: {}", message.id, story(message)));
    }
}

/// I6: the numbers are a fold of the records, and what arrived is what arrived.
fn check_numbers(
    snapshot: &Snapshot,
    seen: &[&Create],
    messages: &BTreeMap<MessageId, Message>,
    inbound: usize,
    has_hidden: bool,
    broken: &mut Vec<String>,
) {
    match verify(snapshot, |_, _| ()) {
        Ok(findings) if findings.count == 0 => {}
        other => broken.push(format!("I6: verify says {other:?}")),
    }
    let mut counts = [0i64; 4];
    for (sender, _) in snapshot.senders().expect("the disk works") {
        let cell = snapshot.ever(sender).expect("the disk works");
        for (sum, count) in counts.iter_mut().zip([Count::Accepted, Count::Delivered, Count::Read, Count::Inbound]) {
            *sum += cell.get(count);
        }
    }
    let mut furthest: BTreeMap<_, Word> = BTreeMap::new();
    for create in seen {
        let (Some(id), Some(word)) = (create.attempt(), create.furthest()) else { continue };
        let best = furthest.entry(id.message).or_insert_with(|| word.clone());
        if word.rank() > best.rank() {
            *best = word;
        }
    }
    let arrived = furthest.values().filter(|word| word.is_arrival()).count();
    let read = furthest.values().filter(|word| **word == Word::Read).count();
    let wanted = [messages.len(), arrived, read, inbound].map(|number| number as i64);
    // A message that Twilio hid may since have been taken for another that nobody can tell from it.
    if has_hidden {
        (counts[1], counts[2]) = (wanted[1], wanted[2]);
    }
    if counts != wanted {
        let has_arrived = |message: &&Message| message.has_arrived();
        let known = |message: &&Message| !furthest.get(&message.id).is_some_and(Word::is_arrival);
        let odd: Vec<_> = messages.values().filter(has_arrived).filter(known).map(story).collect();
        broken.push(format!(
            "I6: accepted, delivered, read, inbound are {counts:?}, and the ledger says {wanted:?}; {}",
            odd.join("\n")
        ));
    }
}

/// A message's journal, for whoever must find out what went wrong.
fn story(message: &Message) -> String {
    let rows = message.journal.rows.iter();
    let rows = rows.map(|row| format!("\n    {} {}x {} {:?}", row.at, row.count, row.source.as_str(), row.fact));
    format!("{} {}", message.status(), rows.collect::<String>())
}
