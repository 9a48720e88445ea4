//! Tables for spreadsheets (RFC 4180).
//!
//! Invariant: no cell begins like a formula, so that opening a table never runs anything.

use actix_web::http::header;
use actix_web::{HttpResponse, HttpResponseBuilder};

/// A table as a download: the answer, before its body.
pub(super) fn download(name: &str) -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")));
    answer
}

/// One line.
pub(super) fn line(values: impl IntoIterator<Item = String>) -> String {
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
