//! Numbers as tables for spreadsheets.

use super::figures::Figures;
use super::view::{CellView, FailureCount};
use crate::http::csv::line;
use crate::metrics::Cell;

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
