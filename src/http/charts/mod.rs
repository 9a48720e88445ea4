//! Charts of the numbers, as SVG for the pages.
//!
//! Invariant: a chart and the JSON of the same query are drawn from the same figures; the pages lay the values of one
//! over the lines of the other.

mod plot;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::app::App;
use super::error::{Problem, ProblemBody};
use super::metrics::{Figures, Range, Stretch};
use super::query::Query;
use crate::metrics::{Cell, Count};
use plot::{Line, Plot, Unit};

/// As wide as a chart is where nobody says.
const DEFAULT_WIDTH: u16 = 720;
/// Narrower than a phone, and wider than any column of the pages.
const WIDTHS: std::ops::RangeInclusive<u16> = 320..=1_600;

/// What a chart is of, and how wide.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ChartQuery {
    /// From when on: RFC 3339, or `24h`, `7d` for that long ago.
    #[param(example = "24h")]
    from: Option<String>,
    /// Until when; now, where it is absent.
    to: Option<String>,
    /// Only this sender.
    sender: Option<String>,
    /// `hour` or `day`; where it is absent, hours up to 35 days.
    bucket: Option<String>,
    /// Width in pixels.
    #[param(minimum = 320, maximum = 1600, default = 720)]
    w: Option<u16>,
}

/// A chart. The plot box stands 48 pixels from the left, 12 from the right, 8 from the top and 24 from the bottom of
/// width × 220; colours are place holders for a stylesheet: series `#010101` to `#040404`, grid `#0a0a0a`, text `#0b0b0b`.
#[utoipa::path(
    get, path = "/admin/api/charts/{name}.svg", operation_id = "get_chart", tag = "admin",
    params(("name" = String, Path, description = "`throughput` or `delivery`", example = "throughput"), ChartQuery),
    responses(
        (status = 200, description = "The drawing", body = String, content_type = "image/svg+xml"),
        (status = 400, description = "A parameter cannot be understood", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such chart or sender", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    app: web::Data<App>,
    name: web::Path<String>,
    query: Query<ChartQuery>,
) -> Result<HttpResponse, Problem> {
    let draw = match name.as_str() {
        "throughput" => throughput,
        "delivery" => delivery,
        _ => return Err(Problem::not_found("chart: there are throughput and delivery")),
    };
    let width = query.w.unwrap_or(DEFAULT_WIDTH);
    if !WIDTHS.contains(&width) {
        return Err(Problem::query("w", format!("is not between {} and {}", WIDTHS.start(), WIDTHS.end())));
    }
    let stretch = Stretch { from: query.from.as_deref(), to: query.to.as_deref(), bucket: query.bucket.as_deref() };
    let range = Range::read(&stretch, app.clock.now())?;
    let figures = Figures::read(&app.store.read()?, range, query.sender.as_deref())?
        .ok_or_else(|| Problem::not_found("sender"))?;
    Ok(HttpResponse::Ok().content_type("image/svg+xml").body(draw(&figures).svg(width)?))
}

/// How many messages came how far.
fn throughput(figures: &Figures) -> Plot {
    let counts = [Count::Accepted, Count::Delivered, Count::Read, Count::Failed];
    let names = ["accepted", "delivered", "read", "failed"];
    let value = |cell: &Cell, count| Some(cell.get(count).max(0) as f64);
    plot("Messages", Unit::Count, figures, names.into_iter().zip(counts), value)
}

/// How long delivery took. Buckets in which nothing was delivered are gaps, not zeros.
fn delivery(figures: &Figures) -> Plot {
    let shares = [("p50", 0.50), ("p95", 0.95), ("p99", 0.99)];
    let value = |cell: &Cell, share| cell.delivery.percentile_ms(share).map(|ms| ms as f64);
    plot("Delivery time", Unit::Milliseconds, figures, shares, value)
}

fn plot<T: Copy>(
    title: &str,
    unit: Unit,
    figures: &Figures,
    lines: impl IntoIterator<Item = (&'static str, T)>,
    value: impl Fn(&Cell, T) -> Option<f64>,
) -> Plot {
    let range = &figures.range;
    let line = |(name, what)| Line { name, values: figures.buckets.iter().map(|cell| value(cell, what)).collect() };
    let lines: Vec<_> = lines.into_iter().map(line).collect();
    let names: Vec<_> = lines.iter().map(|line| line.name).collect();
    Plot {
        title: format!("{title} per {}", range.bucket()),
        description: format!("{} from {} to {}", names.join(", "), range.from(), range.to()),
        times: range.begins().collect(),
        ends: range.to(),
        unit,
        lines,
    }
}

#[cfg(test)]
mod tests;
