//! Doing something once, however often it is asked for (`Idempotency-Key`).
//!
//! Who lost the one answer that shows a secret asks again with the same `Idempotency-Key` and the same
//! body, and gets the same answer for ten minutes. It is kept sealed under a key that is derived from
//! the client's `Idempotency-Key`, which the server does not keep: nobody who has the server and its
//! database can open it.

use std::{fmt, time::Duration};

use axum::{extract::FromRequestParts, http::request::Parts};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305,
    aead::{Aead as _, Payload},
};
use keydock_core::{
    id::{self, Id},
    secret::Pepper,
};
use keydock_storage::db::Tx;
use rand::RngExt;
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::Caller;
use crate::{
    App, Error, FieldError, Result,
    keys::{self, Sealed},
    web::Fields,
};

const HEADER: &str = "idempotency-key";

/// For how long an answer can be asked for again.
const KEPT: Duration = Duration::from_mins(10);

const NONCE: usize = 24;

/// What a client calls its request, so that it can send it again.
pub struct Once(Option<Asked>);

struct Asked {
    name: Zeroizing<String>,
    route: String,
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Once(..)" } else { "Once(None)" })
    }
}

impl FromRequestParts<App> for Once {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self> {
        let mut values = parts.headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(Self(None)) };
        let name = value.to_str().unwrap_or_default();
        let is_decent = (16..=255).contains(&name.len()) && values.next().is_none();
        if !is_decent {
            let detail = "Send one Idempotency-Key of 16 to 255 visible characters, such as a random \
                          UUID; new for each request, and the same when you send it again.";
            return Err(FieldError::invalid("Idempotency-Key", detail).into());
        }
        let route = format!("{} {}", parts.method, parts.uri.path());
        Ok(Self(Some(Asked { name: Zeroizing::new(name.to_owned()), route })))
    }
}

/// A request that is done once.
pub struct Doing<'a> {
    app: &'a App,
    caller: &'a Caller,
    /// One for each pepper, since the answer may have been sealed before the pepper was replaced.
    kept: Vec<Kept>,
}

/// Where the answer is kept, and how it is sealed.
struct Kept {
    id: String,
    request: String,
    seal: XChaCha20Poly1305,
}

impl Once {
    /// The request of this caller with this body.
    pub(crate) fn by<'a>(self, caller: &'a Caller, body: &Fields, app: &'a App) -> Doing<'a> {
        let mut kept = Vec::new();
        if let Some(Asked { name, route }) = self.0 {
            let who = format!("{}\n{}\n{route}\n", caller.org.number, caller.actor.identity());
            let text = Zeroizing::new(format!("{who}{}", name.as_str()));
            kept.extend(app.peppers().live().map(|pepper| Kept::with(pepper, &text, body)));
        }
        Doing { app, caller, kept }
    }
}

impl fmt::Debug for Doing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Doing(..)")
    }
}

impl Doing<'_> {
    /// Does it in one transaction, or finds the answer that it had. `work` makes or changes a key and
    /// gives the answer.
    pub(crate) async fn once<T: Serialize>(
        self,
        work: impl AsyncFnOnce(&mut Tx) -> Result<(Id<id::AnyKey>, T)>,
    ) -> Result<Value> {
        let Self { app, caller, kept } = self;
        let org = caller.org.number;
        app.write(async |tx| {
            let Some(newest) = kept.first() else {
                let (_, answer) = work(tx).await?;
                return serde_json::to_value(answer).map_err(Error::internal);
            };
            for kept in &kept {
                if let Some(before) = keys::find_sealed(tx, org, &kept.id).await? {
                    return kept.open(&before);
                }
            }
            let (key, answer) = work(tx).await?;
            let answer = serde_json::to_value(answer).map_err(Error::internal)?;
            let sealed = newest.seal(tx, &answer)?;
            let until = tx.now().after(KEPT);
            keys::keep_sealed(tx, org, key, &newest.id, &sealed, until).await?;
            Ok(answer)
        })
        .await
    }
}

impl Kept {
    fn with(pepper: &Pepper, text: &str, body: &Fields) -> Self {
        let named = |purpose: &str| pepper.digest_of(purpose, text.as_bytes());
        let seal = Zeroizing::new(named("seal of an answer"));
        Self {
            id: hex::encode(named("name of a request")),
            request: hex::encode(pepper.digest_of("body of a request", &body.bytes())),
            seal: XChaCha20Poly1305::new((&*seal).into()),
        }
    }

    fn seal(&self, tx: &mut Tx, answer: &Value) -> Result<Sealed> {
        let nonce: [u8; NONCE] = tx.with_rng(RngExt::random);
        let text = Zeroizing::new(answer.to_string());
        let payload = Payload { msg: text.as_bytes(), aad: self.request.as_bytes() };
        let sealed = self.seal.encrypt((&nonce).into(), payload);
        let sealed = sealed.map_err(|_| Error::internal("an answer could not be sealed"))?;
        Ok(Sealed {
            request: self.request.clone(),
            sealed: hex::encode([nonce.as_slice(), &sealed].concat()),
        })
    }

    fn open(&self, before: &Sealed) -> Result<Value> {
        if before.request != self.request {
            let detail = "This Idempotency-Key was used for a request with another body. Choose a new \
                          one for each request.";
            return Err(FieldError::new("Idempotency-Key", "already_used", detail).into());
        }
        let broken = || Error::internal("a sealed answer cannot be opened");
        let bytes = hex::decode(&before.sealed).map_err(Error::internal)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>().ok_or_else(broken)?;
        let payload = Payload { msg: sealed, aad: self.request.as_bytes() };
        let text = self.seal.decrypt(nonce.into(), payload).map_err(|_| broken())?;
        let text = Zeroizing::new(text);
        serde_json::from_slice(&text).map_err(Error::internal)
    }
}
