//! A store as it looks after a while of use, made by its own verbs in big commits before anything is measured.

use std::time::Duration;

use bluetick::clock::Time;
use bluetick::message::{Address, AttemptId, Content, Draft, Fact, Message, Sid, Source, Word};
use bluetick::store::{Accept, Claim, Inbound, Report, Settle, Store, StoreError, Turn, Write, Written};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The callbacks of one message, in the order in which Twilio makes them.
pub(crate) const WORDS: [Word; 4] = [Word::Queued, Word::Sent, Word::Delivered, Word::Read];
/// Messages of one commit: as many as one claim opens.
const CHUNK: usize = 1_024;
/// Which start of bluetick the seeded attempts belong to.
const BOOT: u64 = 1;
const HOUR_MS: i64 = 3_600_000;
/// Before any message that is seeded: time never runs backwards in a store.
const LONG_AGO: Duration = Duration::from_secs(100 * 24 * 3_600);

/// How many there are of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) contacts: usize,
    pub(crate) senders: usize,
}

/// A message that Twilio has taken, and of which nothing else is known yet.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) attempt: AttemptId,
    pub(crate) sid: Sid,
    pub(crate) from: String,
    pub(crate) to: String,
}

/// A store that is being filled.
pub(crate) struct Seeder {
    pub(crate) store: Store,
    size: Size,
    senders: Vec<u32>,
    dice: StdRng,
    count: usize,
}

impl Seeder {
    /// Gives every sender its number, and lets every contact have written once, before everything else.
    pub(crate) fn new(mut store: Store, size: Size, now: Time) -> Result<Self, StoreError> {
        let names = (0..size.senders).map(sender).collect();
        let introduced = store.commit(vec![Write::Introduce(names)], Time(0))?;
        let Some(Written::Introduced(senders)) = introduced.into_iter().next() else { unreachable!("one answer each") };
        let mut seeder = Self { store, size, senders, dice: StdRng::seed_from_u64(7), count: 0 };
        let contacts: Vec<_> = (0..size.contacts).collect();
        for chunk in contacts.chunks(16 * CHUNK) {
            let letters = chunk.iter().map(|number| Write::Receive(Box::new(seeder.letter(*number)))).collect();
            seeder.store.commit(letters, now.minus(LONG_AGO))?;
        }
        Ok(seeder)
    }

    /// `count` messages of the `hours` before `now`, each read by its recipient.
    pub(crate) fn read(&mut self, count: usize, hours: usize, now: Time) -> Result<(), StoreError> {
        for hour in 0..hours {
            let at = Time((i64::from(now.hour()) - hours as i64 + hour as i64) * HOUR_MS);
            let (first, end) = (count * hour / hours, count * (hour + 1) / hours);
            self.chunks(end - first, at, &WORDS)?;
        }
        Ok(())
    }

    /// `count` messages that were handed over at `now` and wait for their callbacks.
    pub(crate) fn sent(&mut self, count: usize, now: Time) -> Result<Vec<Sent>, StoreError> {
        self.chunks(count, now, &[])
    }

    fn chunks(&mut self, count: usize, now: Time, words: &[Word]) -> Result<Vec<Sent>, StoreError> {
        let mut all = Vec::with_capacity(count);
        // A millisecond each, as they would have come: ids of one millisecond are in no order, and thousands of messages of
        // the same one would lie all over their table.
        let mut at = now.minus(Duration::from_millis((count / CHUNK) as u64));
        while all.len() < count {
            let chunk = CHUNK.min(count - all.len());
            all.extend(self.chunk(chunk, at, words)?);
            at = at.plus(Duration::from_millis(1));
        }
        Ok(all)
    }

    /// Accepts, claims, and settles with Twilio's answer; then lets callbacks come.
    fn chunk(&mut self, count: usize, now: Time, words: &[Word]) -> Result<Vec<Sent>, StoreError> {
        let accepts = (0..count).map(|_| Write::Accept(Box::new(self.accept()))).collect();
        self.store.commit(accepts, now)?;
        let turns = self.senders.iter().map(|sender| Turn { sender: *sender, at_most: count }).collect();
        let seed = self.random();
        let claim = Claim { turns, slots: count, boot: BOOT, seed };
        let claimed = self.store.commit(vec![Write::Claim(claim)], now)?;
        let Some(Written::Claimed(mut claimed)) = claimed.into_iter().next() else { unreachable!("one answer each") };
        // In the order of their ids: as they would have been accepted one after another.
        claimed.messages.sort_by_key(|message| message.id);
        let sent: Vec<_> = claimed.messages.iter().map(|message| self.taken(message)).collect();
        let settles = sent.iter().map(|sent| settle(sent, now));
        let reports = words.iter().flat_map(|word| sent.iter().map(|sent| Write::Report(Box::new(report(sent, word)))));
        let writes = settles.chain(reports).collect();
        self.store.commit(writes, now)?;
        Ok(sent)
    }

    fn accept(&mut self) -> Accept {
        // A stride without a common factor: neighbours in time are strangers in the table of contacts.
        let contact = self.count.wrapping_mul(48_271) % self.size.contacts;
        let from = sender(self.count % self.size.senders);
        self.count += 1;
        let address = |text: &str| Address::parse(text).expect("the seeder writes valid addresses");
        let content = Content::Text("Your parcel 4711 arrives today between 14:00 and 16:00.".into());
        let draft = Draft {
            reference: Some(format!("order-{}", self.count)),
            tags: vec!["parcel".into()],
            ..Draft::new(address(&self::contact(contact)), address(&from), content)
        };
        Accept { draft, random: self.random(), key: None }
    }

    fn taken(&mut self, message: &Message) -> Sent {
        let attempt = message.attempts.last().expect("a claimed message has an attempt").id(message.id);
        let mut sid = self.random::<17>();
        sid[0] = b'S';
        Sent { attempt, sid: Sid(sid), from: message.draft.from.to_string(), to: message.draft.to.to_string() }
    }

    fn letter(&mut self, number: usize) -> Inbound {
        let mut sid = self.random::<17>();
        sid[0] = b'S';
        Inbound {
            sid: Sid(sid),
            at: Time(0),
            source: Source::Callback,
            from: contact(number),
            to: sender(number % self.size.senders),
            contact: 0,
            sender: 0,
            also: Vec::new(),
            body: "Hello, when does my parcel come?".into(),
            profile_name: None,
            media: Vec::new(),
            extra: Default::default(),
        }
    }

    fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.dice.fill_bytes(&mut bytes);
        bytes
    }
}

/// The report that the callback with `word` is read as.
pub(crate) fn report(sent: &Sent, word: &Word) -> Report {
    Report {
        attempt: Some(sent.attempt),
        sid: sent.sid,
        word: word.clone(),
        code: None,
        source: Source::Callback,
        from: sent.from.clone(),
        to: sent.to.clone(),
        also: None,
        random: [0; 10],
    }
}

fn settle(sent: &Sent, now: Time) -> Write {
    let ask_at = now.plus(Duration::from_secs(900));
    let fact = Fact::Sent { attempt: sent.attempt.number, sid: sent.sid, word: Word::Accepted, ask_at };
    Write::Settle(Settle { attempt: sent.attempt, fact, source: Source::Job })
}

fn sender(number: usize) -> String {
    format!("whatsapp:+1555000{number:04}")
}

fn contact(number: usize) -> String {
    format!("whatsapp:+4915100{number:06}")
}
