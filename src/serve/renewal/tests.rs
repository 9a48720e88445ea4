//! What is said about a certificate, and when it is not any more.

use std::time::Duration;

use super::*;
use crate::http::certificate_tests::{Folder, pem};

const START: Time = Time(1_700_000_000_000);

fn job(folder: &Folder) -> Job {
    Job::new(folder.load(START).expect("whole"), Clock::manual(START), Board::default())
}

fn codes(job: &Job) -> Vec<&'static str> {
    assert!(job.board.all().iter().all(|alert| !alert.is_blocking));
    job.board.all().into_iter().map(|alert| alert.code).collect()
}

#[test]
fn layer_1_transport_a_broken_renewal_is_an_alert_until_it_is_repaired() {
    let (first, second) = (pem(2023, 2025), pem(2023, 2026));
    let folder = Folder::with(&first);
    let mut job = job(&folder);
    assert!(matches!(job.look(START), Ok(false)) && codes(&job).is_empty());
    folder.write("nonsense", &second.1);
    assert!(job.look(START).is_err());
    assert_eq!(codes(&job), [BROKEN]);
    assert!(job.told.as_ref().is_some_and(|told| told.contains("cert.pem")), "the log is told which file");
    assert!(!format!("{:?}", job.board.all()).contains("cert.pem"), "everybody is not");
    folder.write(&second.0, &second.1);
    assert!(matches!(job.look(START), Ok(true)) && codes(&job).is_empty());
}

#[test]
fn what_was_broken_and_is_as_before_is_no_alert_any_more() {
    let first = pem(2023, 2025);
    let folder = Folder::with(&first);
    let mut job = job(&folder);
    folder.write("", "");
    assert!(job.look(START).is_err());
    folder.write(&first.0, &first.1);
    assert!(matches!(job.look(START), Ok(false)) && codes(&job).is_empty());
}

#[test]
fn layer_1_transport_three_weeks_before_its_end_a_certificate_is_an_alert() {
    // It ends on the first day of 2024.
    let folder = Folder::with(&pem(2023, 2024));
    let mut job = job(&folder);
    let ends_at = job.certificate.ends_at().expect("it says so");
    let mut said = |days: u64| {
        let _ = job.look(ends_at.minus(Duration::from_secs(days * 24 * 3_600)));
        job.board.all().into_iter().map(|alert| (alert.code, alert.detail.contains("ends at 2024-01-01"))).next()
    };
    assert_eq!((said(22), said(20)), (None, Some((ENDS, true))));
    let _ = job.look(ends_at.plus(Duration::from_secs(1)));
    assert!(job.board.all()[0].detail.contains("ended at"));
    let renewed = pem(2023, 2025);
    folder.write(&renewed.0, &renewed.1);
    assert!(matches!(job.look(ends_at), Ok(true)) && codes(&job).is_empty());
}
