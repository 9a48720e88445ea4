//! Forms as Twilio posts them. What is read is no more than was sent, is the same when it is written and read again,
//! and what becomes of it in the data file can be read back.
#![no_main]

use bluetick::clock::Time;
use bluetick::http;
use bluetick::store::{Inbound, decode, encode};
use bluetick::twilio::wire::{
    BadForm, CreateMessage, InboundMessage, MAX_FORM_BYTES, MAX_MEDIA, MAX_PARAMETERS, StatusCallback, encode_form,
    parse_form,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let form = parse_form(bytes);
    assert_eq!(form == Err(BadForm::TooLong), bytes.len() > MAX_FORM_BYTES);
    let Ok(params) = form else { return };
    assert!(params.len() <= MAX_PARAMETERS);
    assert!(params.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= bytes.len());
    let written = encode_form(&params);
    if written.len() <= MAX_FORM_BYTES {
        assert_eq!(parse_form(written.as_bytes()).as_ref(), Ok(&params));
    }

    let create = CreateMessage::from_form(&params);
    assert_eq!(CreateMessage::from_form(&create.to_form()), create);

    if let Ok(callback) = StatusCallback::from_params(&params) {
        assert_eq!(StatusCallback::from_params(&callback.to_params()).as_ref(), Ok(&callback));
        let report = http::report(callback.clone(), None, [0; 10]);
        assert_eq!((report.sid, report.code), (callback.sid, callback.error_code));
        assert!(!report.from.is_empty() && !report.to.is_empty());
    }
    if let Ok(message) = InboundMessage::from_params(&params) {
        assert!(message.media.len() <= MAX_MEDIA);
        // A count that is no number is kept among the unknown ones, beside the one that is written.
        if message.extra.iter().all(|(name, _)| name != "NumMedia") {
            assert_eq!(InboundMessage::from_params(&message.to_params()).as_ref(), Ok(&message));
        }
        let record = http::record(message, Time(0));
        assert_eq!(decode::<Inbound>(&encode(&record)), Ok(record));
    }
});
