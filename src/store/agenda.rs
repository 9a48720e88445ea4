//! What is due: the agenda, lane by lane.

use super::StoreError;
use super::codec::decode;
use super::read::Snapshot;
use super::tables;
use crate::clock::Time;
use crate::message::{Message, MessageId, Priority, Step};
use crate::pause::{Paused, Scope};

impl Snapshot {
    /// For every sender that has messages to send: when the first of them may go. What is paused may go with the next
    /// probe, or is left out.
    pub fn sendable(&self) -> Result<Vec<(u32, Time)>, StoreError> {
        let pauses = self.active_pauses()?;
        let mut sendable = Vec::new();
        for (sender, name) in self.senders()? {
            let holds = |scope: &Scope| match scope {
                Scope::All | Scope::Account => true,
                Scope::Sender(paused) => *paused == name,
                Scope::Template(_) => false,
            };
            let mut opens_at = pauses.iter().filter(|paused| holds(&paused.scope)).map(Paused::opens_at);
            let opens_at = opens_at.try_fold(Time(0), |latest, at| Some(latest.max(at?)));
            let due = self.first_due(Step::Send, sender, &Priority::ALL)?;
            sendable.extend(due.zip(opens_at).map(|(due, opens_at)| (sender, due.max(opens_at))));
        }
        Ok(sendable)
    }

    /// When the first step of this kind is due for a sender, in these lanes.
    fn first_due(&self, step: Step, sender: u32, lanes: &[Priority]) -> Result<Option<Time>, StoreError> {
        let agenda = self.transaction().open_table(tables::AGENDA)?;
        let mut oldest = None;
        for lane in lanes {
            let at = |due, id| tables::agenda(step, sender, *lane, due, MessageId(id));
            let mut lane = agenda.range(at(Time(0), [0; 16])..=at(Time(i64::MAX), [255; 16]))?;
            let due = lane.next().transpose()?.map(|row| tables::agenda_due(row.0.value()));
            oldest = [oldest, due].into_iter().flatten().min();
        }
        Ok(oldest)
    }

    /// When the first question of these lanes is due.
    pub fn first_question(&self, lanes: &[Priority]) -> Result<Option<Time>, StoreError> {
        let mut first = None;
        for (sender, _) in self.senders()? {
            first = [first, self.first_due(Step::Reconcile, sender, lanes)?].into_iter().flatten().min();
        }
        Ok(first)
    }

    /// The messages of a sender about which Twilio is to be asked by `until`: lane by lane, the longest due of each
    /// first. See [`Message::lane`].
    pub fn questions(
        &self,
        sender: u32,
        lanes: &[Priority],
        until: Time,
        at_most: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let agenda = self.transaction().open_table(tables::AGENDA)?;
        let messages = self.transaction().open_table(tables::MESSAGES)?;
        let mut found = Vec::new();
        for lane in lanes {
            let first = tables::agenda(Step::Reconcile, sender, *lane, Time(0), MessageId([0; 16]));
            let last = tables::agenda(Step::Reconcile, sender, *lane, until, MessageId([255; 16]));
            for row in agenda.range(first..=last)?.take(at_most.saturating_sub(found.len())) {
                let id = tables::agenda_id(row?.0.value());
                found.extend(messages.get(id.0)?.map(|bytes| decode(bytes.value())).transpose()?);
            }
        }
        Ok(found)
    }

    /// When the message that has waited longest was due.
    pub fn oldest_due(&self) -> Result<Option<Time>, StoreError> {
        Ok(self.sendable()?.into_iter().map(|(_, due)| due).min())
    }
}
