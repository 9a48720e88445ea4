//! Queries, cursors, filters and times of the API. What is understood lies within its bounds; whatever is refused, the
//! answer stays short.
//!
//! An input is a query, and three words of another one.
#![no_main]

use std::time::Duration;

use bluetick::clock::Time;
use bluetick::http::{Problem, reading};
use bluetick::message::{MessageId, Status};
use bluetick_fuzz::lines;
use libfuzzer_sys::fuzz_target;

const NOW: Time = Time(1_800_000_000_000);
const LONGEST: Duration = Duration::from_secs(30);

fuzz_target!(|text: &str| {
    let [query, from, to, bucket] = lines(text);
    if let Some((filter, cursor, limit)) = read(reading::listing(query, NOW)) {
        assert!((1..=200).contains(&limit));
        assert!(filter.statuses.iter().all(|word| Status::is_known(word)));
        let given = [&filter.to, &filter.from, &filter.tag, &filter.reference];
        assert!(given.into_iter().flatten().all(|value| !value.is_empty()));
        assert_eq!(cursor.map(|id| id.to_string().parse::<MessageId>()), cursor.map(Ok));
    }
    for word in [query, from, to, bucket] {
        if let Some(at) = read(reading::moment(word, NOW)) {
            assert_eq!(read(reading::moment(&at.to_string(), NOW)), Some(at));
        }
        assert!(read(reading::span(word, LONGEST)).is_none_or(|span| span <= LONGEST));
        read(reading::inbound_cursor(word));
        if let Some((first, behind)) = Time::month(word) {
            let days = behind.since(first).as_secs() / 86_400;
            assert!((28..=31).contains(&days) && first.to_string().starts_with(word), "{word}");
        }
    }
    let some = |word: &'static str| Some(word);
    for bucket in [None, some("hour"), some("day")] {
        if let Some((first, behind, count)) = read(reading::range(Some(from), Some(to), bucket, NOW)) {
            assert!((1..=2_200).contains(&count) && first < behind);
        }
    }
    let given = |word| Some(word).filter(|word: &&str| !word.is_empty());
    read(reading::range(given(from), given(to), given(bucket), NOW));
});

fn read<T>(read: Result<T, Problem>) -> Option<T> {
    read.map_err(|problem| assert!(problem.body(None).len() <= 32 * 1024, "{} bytes", problem.body(None).len())).ok()
}
