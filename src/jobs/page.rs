//! A page of Twilio's list, asked for again when no answer comes: one lost page must not cost all those before it.

use std::time::Duration;

use crate::twilio::{Client, ClientError, ListQuery, Listing};

/// Listing changes nothing, so that a page may be asked for so often.
const TRIES: usize = 3;
/// When Twilio has too many requests and does not say for how long.
const BUSY: Duration = Duration::from_secs(1);

/// The first page; `pace` is awaited before every further try, with how long Twilio wants to be left alone.
pub(super) async fn first(
    client: &Client,
    query: &ListQuery,
    pace: impl AsyncFn(Duration),
) -> Result<Listing, ClientError> {
    again(async || client.list(query).await, pace).await
}

/// The page behind a `next_page_uri`.
pub(super) async fn next(client: &Client, uri: &str, pace: impl AsyncFn(Duration)) -> Result<Listing, ClientError> {
    again(async || client.next_page(uri).await, pace).await
}

async fn again(
    get: impl AsyncFn() -> Result<Listing, ClientError>,
    pace: impl AsyncFn(Duration),
) -> Result<Listing, ClientError> {
    for _ in 1..TRIES {
        match get().await {
            Err(ClientError::Unavailable(_)) => pace(Duration::ZERO).await,
            Err(ClientError::Busy { retry_after }) => pace(retry_after.unwrap_or(BUSY)).await,
            listing => return listing,
        }
    }
    get().await
}
