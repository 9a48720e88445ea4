//! Every secret there is, and who may do what: pure code over records that others keep.
//!
//! Invariant: a secret is never printed, and never compared but in constant time. All chance and the time are arguments.
//! Not here: where records are kept (`store`), who asks (`http`), what Twilio says of its tokens (`twilio`).

mod api_key;
mod scope;
mod secret;

pub use api_key::{ApiKey, KeyId, MAX_NAME, MAX_NETWORKS, Presented, Shut, Wish};
pub use scope::{NoScope, Scope, Scopes};
pub use secret::Secret;
