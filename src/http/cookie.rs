//! The cookie that holds a session.
//!
//! Invariant: no other site and no script can read it, it goes over no line in clear, and no neighbour in the same domain can set
//! it: that is what `__Host-`, `Secure`, `HttpOnly` and `SameSite=Strict` say. Browsers count this machine itself as secure.

use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue};

use crate::keyring::SessionToken;

const NAME: &str = "__Host-bt";
const FLAGS: &str = "Path=/; Secure; HttpOnly; SameSite=Strict";

/// What a browser brings, if it is made like one of ours.
pub(super) fn read(headers: &HeaderMap) -> Option<SessionToken> {
    let pairs = headers.get_all(COOKIE).filter_map(|all| all.to_str().ok()).flat_map(|all| all.split(';'));
    let ours = pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(name, _)| *name == NAME);
    ours.and_then(|(_, value)| SessionToken::read(value))
}

/// Gives a browser a session. It forgets it when it is closed; we do long before.
pub(super) fn give(token: &SessionToken) -> HeaderValue {
    let mut value = HeaderValue::from_str(&format!("{NAME}={}; {FLAGS}", token.expose()))
        .expect("a token is letters, digits, dashes and underscores");
    value.set_sensitive(true);
    value
}

/// Takes it away.
pub(super) fn take() -> HeaderValue {
    HeaderValue::from_str(&format!("{NAME}=; {FLAGS}; Max-Age=0")).expect("plain ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_found_among_others_and_nothing_else_is_taken_for_it() {
        let token = SessionToken::new([9; 32]);
        let with = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, HeaderValue::from_str(text).expect("a header"));
            read(&headers).map(|read| read.id())
        };
        let ours = format!("{NAME}={}", token.expose());
        assert_eq!(with(&format!("a=b; {ours}; c")), Some(token.id()));
        for wrong in
            [&format!("x{ours}"), &ours.to_lowercase().replace("__host-bt", "bt"), "__Host-bt=", "__Host-bt=x", ""]
        {
            assert_eq!(with(wrong), None, "{wrong}");
        }
    }
}
