//! The numbers of the API: everything, one sender, or why messages failed, as JSON or CSV.
//!
//! Invariant: a figure is a sum of cells, and a percentile comes out of merged counts; nothing is ever averaged.

mod csv;
mod figures;
mod range;
mod view;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::app::App;
use super::csv::download;
use super::error::{Problem, ProblemBody};
use super::query::Query;

pub(super) use figures::Figures;
pub(super) use range::{Range, Stretch};
pub(super) use view::{CellView, DurationsView, ErrorsView, MetricsView, SenderMetricsView};

/// What a question about numbers may say.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MetricsQuery {
    /// From when on: RFC 3339, or `24h`, `7d` for that long ago. Rounded down to a whole bucket.
    #[param(example = "24h")]
    from: Option<String>,
    /// Until when: the same; now, where it is absent. Rounded up to a whole bucket.
    to: Option<String>,
    /// Only this sender.
    #[param(example = "whatsapp:+15550001111")]
    sender: Option<String>,
    /// `hour` or `day`; where it is absent, hours up to 35 days.
    #[param(example = "hour")]
    bucket: Option<String>,
    /// `csv` for a table instead of JSON; `Accept: text/csv` asks for the same.
    format: Option<String>,
}

impl MetricsQuery {
    fn stretch(&self) -> Stretch<'_> {
        Stretch { from: self.from.as_deref(), to: self.to.as_deref(), bucket: self.bucket.as_deref() }
    }

    fn wants_csv(&self, request: &HttpRequest) -> Result<bool, Problem> {
        let accepted = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        match self.format.as_deref() {
            Some("csv") => Ok(true),
            Some("json") => Ok(false),
            Some(_) => Err(Problem::query("format", "is neither json nor csv")),
            None => Ok(accepted.is_some_and(|accepted| accepted.contains("text/csv"))),
        }
    }
}

/// Numbers of all senders, or of one.
#[utoipa::path(
    get, path = "/v1/metrics", operation_id = "get_metrics", tag = "metrics", params(MetricsQuery),
    responses(
        (status = 200, description = "The numbers", content(
            (MetricsView = "application/json"),
            (String = "text/csv", example = "at,accepted,open\r\n"),
        )),
        (status = 400, description = "A parameter cannot be understood", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such sender", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn all(
    app: web::Data<App>,
    query: Query<MetricsQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let figures = read(&app, &query, query.sender.as_deref())?;
    if query.wants_csv(&request)? {
        return Ok(download("bluetick-metrics.csv").body(csv::series(&figures)));
    }
    Ok(HttpResponse::Ok().json(MetricsView::of(&figures)))
}

/// Numbers of one sender.
#[utoipa::path(
    get, path = "/v1/metrics/senders/{sender}", operation_id = "get_sender_metrics", tag = "metrics",
    params(("sender" = String, Path, example = "whatsapp:+15550001111"), MetricsQuery),
    responses(
        (status = 200, description = "The numbers", content(
            (SenderMetricsView = "application/json"),
            (String = "text/csv", example = "at,accepted,open\r\n"),
        )),
        (status = 400, description = "A parameter cannot be understood", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such sender", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn sender(
    app: web::Data<App>,
    sender: web::Path<String>,
    query: Query<MetricsQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    if query.sender.is_some() {
        return Err(Problem::query("sender", "stands in the path already: leave it out here"));
    }
    let figures = read(&app, &query, Some(sender.as_str()))?;
    if query.wants_csv(&request)? {
        return Ok(download("bluetick-sender.csv").body(csv::series(&figures)));
    }
    let metrics = MetricsView::of(&figures);
    // `Figures::read` names the one sender that was asked for, also when it sent nothing in that time.
    let name = figures.only.unwrap_or_else(|| sender.into_inner());
    let rate_per_s = app.rate(&name);
    Ok(HttpResponse::Ok().json(SenderMetricsView { sender: name, rate_per_s, metrics }))
}

/// Why messages failed, the most frequent reason first.
#[utoipa::path(
    get, path = "/v1/metrics/errors", operation_id = "get_error_metrics", tag = "metrics", params(MetricsQuery),
    responses(
        (status = 200, description = "Error codes, explained and counted", content(
            (ErrorsView = "application/json"),
            (String = "text/csv", example = "code,count,title\r\n"),
        )),
        (status = 400, description = "A parameter cannot be understood", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such sender", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn errors(
    app: web::Data<App>,
    query: Query<MetricsQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let figures = read(&app, &query, query.sender.as_deref())?;
    let data = view::errors(&figures.totals);
    if query.wants_csv(&request)? {
        return Ok(download("bluetick-errors.csv").body(csv::errors(&data)));
    }
    Ok(HttpResponse::Ok().json(ErrorsView { data }))
}

fn read(app: &App, query: &MetricsQuery, sender: Option<&str>) -> Result<Figures, Problem> {
    let range = Range::read(&query.stretch(), app.clock.now())?;
    Figures::read(&app.store.read()?, range, sender)?.ok_or_else(|| Problem::not_found("sender"))
}

#[cfg(test)]
mod tests;
