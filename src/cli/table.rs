//! Tables, numbers and times as people read them.

use serde_json::Value;

use crate::clock::Time;

/// Rows under headings; numbers stand to the right.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Vec<String>>);

impl Table {
    /// A table with these headings.
    pub(super) fn new(headings: &[&str]) -> Self {
        Self(vec![headings.iter().map(|heading| (*heading).to_owned()).collect()])
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.push(cells.into_iter().collect());
    }

    /// The table as text, a newline after each row.
    pub(super) fn show(&self) -> String {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.0.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let is_right: Vec<_> = (0..columns).map(|column| self.is_numeric(column)).collect();
        let mut text = String::new();
        for row in &self.0 {
            let cells = row.iter().enumerate().map(|(column, cell)| match is_right[column] {
                true => format!("{cell:>width$}", width = widths[column]),
                false => format!("{cell:<width$}", width = widths[column]),
            });
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    fn is_numeric(&self, column: usize) -> bool {
        // A colon makes it a time of day.
        let is_number = |cell: &String| {
            cell == "–" || (cell.starts_with(|letter: char| letter.is_ascii_digit()) && !cell.contains(':'))
        };
        self.0.len() > 1 && self.0.iter().skip(1).filter_map(|row| row.get(column)).all(is_number)
    }
}

/// A value as text; a dash where there is none.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        // What strangers wrote must not steer the terminal.
        Value::String(text) => {
            text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
        }
        other => other.to_string(),
    }
}

/// A share of one, in percent.
pub(super) fn percent(value: &Value) -> String {
    value.as_f64().map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// Bytes in the unit that fits.
pub(super) fn size(value: &Value) -> String {
    let Some(bytes) = value.as_f64() else { return "–".to_owned() };
    match bytes {
        ..1e3 => format!("{bytes:.0} B"),
        ..1e6 => format!("{:.1} kB", bytes / 1e3),
        ..1e9 => format!("{:.1} MB", bytes / 1e6),
        _ => format!("{:.1} GB", bytes / 1e9),
    }
}

/// Milliseconds in the unit that fits.
pub(super) fn span(value: &Value) -> String {
    let Some(ms) = value.as_f64() else { return "–".to_owned() };
    match ms {
        ..1_000.0 => format!("{ms:.0} ms"),
        ..60_000.0 => format!("{:.1} s", ms / 1_000.0),
        ..3_600_000.0 => format!("{:.1} min", ms / 60_000.0),
        ..86_400_000.0 => format!("{:.1} h", ms / 3_600_000.0),
        _ => format!("{:.1} d", ms / 86_400_000.0),
    }
}

/// For how long a time of the API has passed.
pub(super) fn since(value: &Value, now: Time) -> String {
    let told = distance(value, now);
    told.strip_suffix(" ago").map(str::to_owned).unwrap_or(told)
}

/// How long ago, or in how long, a time of the API lies.
pub(super) fn distance(value: &Value, now: Time) -> String {
    let time = value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let Some(at) = time.map(jiff::Timestamp::as_millisecond) else { return "–".to_owned() };
    let ms = now.0 - at;
    let length = span(&Value::from(ms.unsigned_abs()));
    if ms >= 0 { format!("{length} ago") } else { format!("in {length}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_stand_to_the_right_and_words_to_the_left() {
        let mut table = Table::new(&["sender", "sent"]);
        table.row(["whatsapp:+15550001111".to_owned(), "7".to_owned()]);
        table.row(["all".to_owned(), "1207".to_owned()]);
        insta::assert_snapshot!(table.show(), @"
        sender                 sent
        whatsapp:+15550001111     7
        all                    1207
        ");
    }

    #[test]
    fn spans_and_shares_are_short() {
        let spans: Vec<_> = [12.0, 1_500.0, 90_000.0, 7_200_000.0, 2.0e8].iter().map(|ms| span(&json!(ms))).collect();
        assert_eq!(spans, ["12 ms", "1.5 s", "1.5 min", "2.0 h", "2.3 d"]);
        assert_eq!(
            (percent(&json!(0.987)), percent(&Value::Null), span(&Value::Null)),
            ("98.7 %".into(), "–".into(), "–".into())
        );
    }

    #[test]
    fn times_are_told_from_now() {
        let at = json!("2023-11-14T22:13:20.000Z");
        assert_eq!(distance(&at, Time(1_700_000_005_000)), "5.0 s ago");
        assert_eq!(distance(&at, Time(1_699_999_998_000)), "in 2.0 s");
    }
}
