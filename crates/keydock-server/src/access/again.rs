//! Asking again whether something is permitted, when the body of a request was long in coming.

use std::time::{Duration, Instant};

use axum::{extract::FromRequestParts, http::request::Parts};
use futures_util::future::BoxFuture;

use crate::{App, Error, Result, web::Arrival};

/// What was permitted this long ago is permitted still.
const SOON: Duration = Duration::from_millis(100);

/// How to make the proof of a request once more.
#[derive(Clone, Copy)]
pub(crate) struct Again(for<'a> fn(&'a mut Parts, &'a App) -> BoxFuture<'a, Result<()>>);

impl Again {
    /// Has the proof `P` made again after a body that was long in coming.
    pub(crate) fn note<P>(parts: &mut Parts)
    where
        P: FromRequestParts<App, Rejection = Error> + Send + 'static,
    {
        // Requests without a body have nothing to wait for.
        if !parts.method.is_safe() {
            parts.extensions.insert(Self(make::<P>));
        }
    }
}

fn make<'a, P>(parts: &'a mut Parts, app: &'a App) -> BoxFuture<'a, Result<()>>
where
    P: FromRequestParts<App, Rejection = Error> + Send,
{
    Box::pin(async { P::from_request_parts(parts, app).await.map(drop) })
}

/// Refuses a request whose proof cannot be made any more now that its body is there: the key may
/// have been replaced since, or the caller may not be a member any more (VER-05).
pub(crate) async fn still_permitted(parts: &mut Parts, app: &App, since: Instant) -> Result<()> {
    if since.elapsed() < SOON {
        return Ok(());
    }
    let Some(Again(make)) = parts.extensions.get().copied() else { return Ok(()) };
    if let Some(arrival) = parts.extensions.get_mut::<Arrival>() {
        arrival.at = Instant::now();
        arrival.is_again = true;
    }
    make(parts, app).await
}
