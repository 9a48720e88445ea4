//! Every secret there is, and who may do what: pure code over records that others keep.
//!
//! Invariant: a secret is never printed, and never compared but in constant time. All chance and the time are arguments.
//! Not here: where records are kept (`store`), who asks (`http`), what Twilio says of its tokens (`twilio`).

mod api_key;
mod live;
mod options;
pub mod password;
mod ring;
mod scope;
mod secret;
mod session;
pub mod token;
mod totp;
mod user;
mod vault;

pub use api_key::{ApiKey, KeyId, Lack, MAX_NAME, MAX_NETWORKS, Presented, SecretTrace, Shut, TooOften, Wish};
pub use live::{Held, Keyring};
pub use options::Options;
pub use password::Hash;
pub use ring::{Entry, Kind, Met, Ring, State, Unturned, trace};
pub use scope::{NoScope, Scope, Scopes};
pub use secret::Secret;
pub use session::{Session, SessionId, SessionToken, SetupCode};
pub use totp::{Phone, Totp};
pub use user::{BadName, MAX_USER_NAME, Role, User};
pub use vault::{KeyName, NoKey, Sealed, Vault, VaultKey, Wrapped};
