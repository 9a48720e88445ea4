//! One person: the names they go by, how they were reached, and until when free text is let through.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::error::{Problem, ProblemBody};
use super::metrics::DurationsView;
use super::opt_outs::{self, OptOutView};
use super::sight::Sight;
use crate::clock::Time;
use crate::metrics::Count;
use crate::store::{Person, Snapshot, StoreError};

/// What is known of one person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContactMetrics)]
pub(super) struct ContactView {
    /// The name that was known first.
    #[schema(example = "whatsapp:+4915100000001")]
    address: Option<String>,
    /// All names, that one too.
    aliases: Vec<String>,
    /// Messages to them.
    accepted: i64,
    /// Of these: handed to WhatsApp.
    sent: i64,
    /// Of these: on the device.
    delivered: i64,
    /// Of these: opened.
    read: i64,
    /// Of accepted: failed.
    failed: i64,
    /// Messages from them.
    inbound: i64,
    /// Sent to delivered.
    delivery_ms: DurationsView,
    /// How their newest message fares.
    #[schema(example = "read")]
    last_status: Option<String>,
    /// When it was accepted.
    last_message_at: Option<String>,
    /// When they last wrote to any of our senders.
    last_inbound_at: Option<String>,
    /// Which of our senders they wrote to.
    windows: Vec<WindowView>,
    /// What they do not want, the widest first.
    opt_outs: Vec<OptOutView>,
}

/// The 24 hours after a person wrote, in which free text is let through.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Window)]
pub(super) struct WindowView {
    /// The sender they wrote to.
    #[schema(example = "whatsapp:+15550001111")]
    sender: Option<String>,
    /// Whether free text is let through now.
    open: bool,
    /// Until when; in the past if it is closed.
    closes_at: Option<String>,
}

/// One person, by any of their names: who they are, until when free text is let through, and what they do not want.
#[utoipa::path(
    get, path = "/v1/contacts/{address}", tag = "contacts",
    params(("address" = String, Path, example = "+4915100000001")),
    responses(
        (status = 200, description = "What is known of them", body = ContactView),
        (status = 404, description = "Nobody goes by that name", body = ProblemBody),
    )
)]
pub(super) async fn show(
    app: web::Data<App>,
    address: web::Path<String>,
    sight: Sight,
) -> Result<web::Json<ContactView>, Problem> {
    metrics(app, address, sight).await
}

/// Numbers of one person, by any of their names.
#[utoipa::path(
    get, path = "/v1/contacts/{address}/metrics", operation_id = "get_contact_metrics", tag = "metrics",
    params(("address" = String, Path, example = "+4915100000001")),
    responses(
        (status = 200, description = "What is known of them", body = ContactView),
        (status = 404, description = "Nobody goes by that name", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn metrics(
    app: web::Data<App>,
    address: web::Path<String>,
    sight: Sight,
) -> Result<web::Json<ContactView>, Problem> {
    let snapshot = app.store.read()?;
    let person = snapshot.person(&address)?.ok_or_else(|| Problem::not_found("contact"))?;
    Ok(web::Json(ContactView::of(&snapshot, person, sight, app.clock.now())?))
}

impl ContactView {
    fn of(
        snapshot: &Snapshot,
        Person { contact, cell, newest, .. }: Person,
        sight: Sight,
        now: Time,
    ) -> Result<Self, StoreError> {
        let senders = snapshot.senders()?;
        let windows = contact.windows.iter().map(|(sender, _)| {
            let closes_at = contact.window_closes_at(*sender);
            WindowView {
                sender: senders.iter().find(|(number, _)| number == sender).map(|(_, name)| name.clone()),
                open: closes_at.is_some_and(|closes_at| now < closes_at),
                closes_at: closes_at.map(|closes_at| closes_at.to_string()),
            }
        });
        Ok(Self {
            address: contact.aliases.first().map(|name| sight.address(name)),
            accepted: cell.get(Count::Accepted),
            sent: cell.get(Count::Sent),
            delivered: cell.get(Count::Delivered),
            read: cell.get(Count::Read),
            failed: cell.get(Count::Failed),
            inbound: cell.get(Count::Inbound),
            delivery_ms: DurationsView::of(&cell.delivery),
            last_status: newest.as_ref().map(|(_, status)| status.to_string()),
            last_message_at: newest.map(|(id, _)| id.at().to_string()),
            last_inbound_at: contact.last_inbound_at().map(|at| at.to_string()),
            windows: windows.collect(),
            opt_outs: opt_outs::views(&contact, sight),
            aliases: contact.aliases.iter().map(|name| sight.address(name)).collect(),
        })
    }
}
