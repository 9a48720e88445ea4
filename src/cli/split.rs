//! What a retry came to, by error code, over all its pages.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::table::{Table, text};

/// Messages that are sent again and that are not, by error code.
#[derive(Debug, Default)]
pub(super) struct Split {
    matched: u64,
    by_code: BTreeMap<Option<u64>, Code>,
}

#[derive(Debug, Default)]
struct Code {
    title: String,
    class: Value,
    retried: u64,
    never: u64,
    reasons: BTreeMap<String, u64>,
}

impl Split {
    /// Adds what one answer of `POST /v1/retries` tells.
    pub(super) fn add(&mut self, answer: &Value) {
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        self.matched += number(&answer["matched"]);
        for told in answer["by_code"].as_array().into_iter().flatten() {
            let code = self.by_code.entry(told["code"].as_u64()).or_default();
            code.title = text(&told["title"]);
            code.class = told["class"].clone();
            code.retried += number(&told["retried"]);
            code.never += number(&told["never"]);
            for (reason, count) in told["reasons"].as_object().into_iter().flatten() {
                *code.reasons.entry(reason.clone()).or_default() += number(count);
            }
        }
    }

    /// How many the filter names.
    pub(super) fn matched(&self) -> u64 {
        self.matched
    }

    /// How many are sent again.
    pub(super) fn retried(&self) -> u64 {
        self.by_code.values().map(|code| code.retried).sum()
    }

    fn never(&self) -> u64 {
        self.by_code.values().map(|code| code.never).sum()
    }

    /// The most frequent first.
    fn sorted(&self) -> Vec<(Option<u64>, &Code)> {
        let mut codes: Vec<_> = self.by_code.iter().map(|(number, code)| (*number, code)).collect();
        codes.sort_by_key(|(_, code)| Reverse(code.retried + code.never));
        codes
    }

    /// The answer that one request for all of it would have had.
    pub(super) fn json(&self, is_dry_run: bool) -> Value {
        let codes = self.sorted().into_iter().map(|(number, code)| {
            json!({"code": number, "title": code.title, "class": code.class, "retried": code.retried,
                "never": code.never, "reasons": code.reasons})
        });
        json!({"dry_run": is_dry_run, "matched": self.matched, "retried": self.retried(), "never": self.never(),
            "more": false, "by_code": codes.collect::<Vec<_>>()})
    }

    /// A table and a sentence.
    pub(super) fn show(&self, is_dry_run: bool) -> String {
        let (head, sentence) = match is_dry_run {
            true => ("would be retried", ["would be retried", "would not"]),
            false => ("retried", ["retried", "not"]),
        };
        if self.matched == 0 {
            return "nothing of that kind has failed\n".to_owned();
        }
        let mut table = Table::new(&["code", "what", "class", head, "never", "why not"]);
        for (number, code) in self.sorted() {
            let mut reasons: Vec<_> = code.reasons.iter().filter(|(_, count)| **count > 0).collect();
            reasons.sort_by_key(|(_, count)| Reverse(**count));
            let reasons: Vec<_> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
            let number = number.map_or("–".to_owned(), |number| number.to_string());
            let [retried, never] = [code.retried, code.never].map(|count| count.to_string());
            let class = code.class.as_str().unwrap_or("–").to_owned();
            table.row([number, code.title.clone(), class, retried, never, reasons.join(", ")]);
        }
        let (retried, never) = (self.retried(), self.never());
        let empty = String::new;
        table.row(["all".to_owned(), empty(), empty(), retried.to_string(), never.to_string(), empty()]);
        let [yes, no] = sentence;
        format!("{}\n{} failed: {retried} {yes}, {never} {no}.\n", table.show(), self.matched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_add_up_and_the_most_frequent_code_stands_first() {
        let mut split = Split::default();
        let code = |code: Value, retried: u64, never: u64, reasons: Value| {
            json!({"code": code, "title": "A title", "class": null, "retried": retried, "never": never,
                "reasons": reasons})
        };
        let first = code(json!(1), 2, 1, json!({"permanent": 1}));
        split.add(&json!({"matched": 4, "by_code": [first, code(Value::Null, 1, 0, json!({}))]}));
        let second = code(json!(7), 0, 9, json!({"opted_out": 2, "permanent": 7}));
        split.add(&json!({"matched": 10, "by_code": [second, code(json!(1), 1, 0, json!({}))]}));
        insta::assert_snapshot!(split.show(false), @"
        code  what     class  retried  never  why not
        7     A title  –            0      9  7 permanent, 2 opted_out
        1     A title  –            3      1  1 permanent
        –     A title  –            1      0
        all                         4     10

        14 failed: 4 retried, 10 not.
        ");
        assert_eq!(split.json(false)["by_code"][1]["retried"], 3);
        assert_eq!(Split::default().show(true), "nothing of that kind has failed\n");
    }
}
