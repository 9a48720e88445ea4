//! Numbers as a table for spreadsheets (RFC 4180).
//!
//! Invariant: no cell begins like a formula, so that opening a table never runs anything.

use actix_web::HttpResponse;
use actix_web::http::header;

use super::figures::Figures;
use super::view::{CellView, FailureCount};
use crate::metrics::Cell;

/// The table as a download.
pub(super) fn answer(name: &str, table: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .body(table)
}

/// One line for each bucket.
pub(super) fn series(figures: &Figures) -> String {
    let heads = CellView::of(&Cell::default()).columns().into_iter().map(|(name, _)| name.to_owned());
    let mut table = line(std::iter::once("at".to_owned()).chain(heads));
    for (at, cell) in figures.series() {
        let values = CellView::of(cell).columns().into_iter().map(|(_, value)| value);
        table += &line(std::iter::once(at.to_string()).chain(values));
    }
    table
}

/// One line for each error code.
pub(super) fn errors(counts: &[FailureCount]) -> String {
    let mut table = line(["code", "count", "title", "class", "whose_job", "meaning", "action"].map(str::to_owned));
    for FailureCount { failure, count } in counts {
        let failure = failure.columns();
        let (code, rest) = failure.split_first().expect("a failure has a code");
        table += &line([code.clone(), count.to_string()].into_iter().chain(rest.iter().cloned()));
    }
    table
}

fn line(values: impl IntoIterator<Item = String>) -> String {
    let values: Vec<_> = values.into_iter().map(|value| field(&value)).collect();
    values.join(",") + "\r\n"
}

/// One field: never a formula to a spreadsheet, and quoted where it needs to be.
fn field(value: &str) -> String {
    let guard = if value.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if value.contains([',', '"', '\n', '\r']) {
        return format!("\"{guard}{}\"", value.replace('"', "\"\""));
    }
    format!("{guard}{value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_never_a_formula() {
        for wrong in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx"] {
            assert!(field(wrong).starts_with('\''), "{wrong}");
        }
        assert_eq!(field("=HYPERLINK(\"x\",\"y\")"), "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\"");
        assert_eq!(field("plain"), "plain");
    }
}
