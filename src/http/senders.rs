//! Our senders, with the numbers of their last day.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::error::Problem;
use super::metrics::{CellView, Figures, Range};

/// The answer of `GET /v1/senders`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Senders)]
pub(super) struct SendersView {
    /// In the order in which they came to be known.
    data: Vec<SenderView>,
}

/// One of our senders.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sender)]
pub(super) struct SenderView {
    /// A number or a Messaging Service.
    #[schema(example = "whatsapp:+15550001111")]
    sender: String,
    /// Messages a second that bluetick hands over at most.
    #[schema(example = 20.0)]
    rate_per_s: f64,
    #[serde(flatten)]
    cell: CellView,
}

/// Every sender, with its numbers of the last 24 hours.
#[utoipa::path(
    get, path = "/v1/senders", operation_id = "list_senders", tag = "metrics",
    responses((status = 200, description = "Our senders", body = SendersView))
)]
pub(super) async fn list(app: web::Data<App>) -> Result<web::Json<SendersView>, Problem> {
    let snapshot = app.store.read()?;
    let range = Range::last_day(app.clock.now());
    let busy = Figures::read(&snapshot, range, None)?.map(|figures| figures.senders).unwrap_or_default();
    let data = snapshot.senders()?.into_iter().map(|(_, sender)| {
        let cell = busy.iter().find(|(name, _)| *name == sender).map(|(_, cell)| cell.clone()).unwrap_or_default();
        SenderView { rate_per_s: app.rate(&sender), sender, cell: CellView::of(&cell) }
    });
    Ok(web::Json(SendersView { data: data.collect() }))
}
