//! Cron lines. Of one that is read the next date is found soon and lies ahead, again and again.
#![no_main]

use bluetick::clock::Time;
use bluetick::timetable::Timetable;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &str| {
    let Ok(Some(timetable)) = Timetable::read(line) else { return };
    assert_eq!(timetable.line(), line.trim());
    let mut now = Time(1_800_000_000_000);
    for _ in 0..3 {
        let Some(next) = timetable.next(now) else { return };
        assert!(next > now);
        assert!(timetable.is_due(now, next) && !timetable.is_due(now, Time(next.0 - 1)));
        now = next;
    }
});
