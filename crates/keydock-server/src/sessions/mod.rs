//! Signing in and out.
//!
//! A session is a random cookie; the database holds only its keyed digest. It is of one organization
//! at a time, the one that was last set.

pub mod api;
mod store;

use std::time::Duration;

use keydock_core::{id::OrgNumber, time::Timestamp};
use keydock_storage::db::Tx;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{
    App, Error, Result,
    access::{Actor, Person, Visitor, passwords::Password},
    audit_log::{self, Action, Subject},
    users::{self, User},
};

/// A session that has just begun; the only time that its cookie is known.
pub struct Begun {
    /// The cookie.
    pub cookie: Zeroizing<String>,
    /// The token that changes must carry.
    pub csrf: String,
    /// Who signed in.
    pub user: User,
}

impl std::fmt::Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Begun({})", self.user.number)
    }
}

/// Signs somebody in, if name and password are right; and says nothing about which was wrong.
///
/// Takes the application, not a transaction: checking a password takes long on purpose.
pub async fn sign_in(
    app: &App,
    name: &str,
    password: Password,
    visitor: &Visitor,
) -> Result<Option<Begun>> {
    let name = name.trim().to_lowercase();
    // What nobody can be called is nobody's name, and not worth remembering.
    let name = if name.len() <= LONGEST_NAME && !name.contains('\0') { &*name } else { "" };
    app.sign_ins().admit(visitor.ip, name).map_err(too_many)?;
    let found = app.read(async |tx| users::find_to_sign_in(tx, name).await).await?;
    let hash = found.map(|(_, hash)| hash);
    if app.passwords().check(password, hash.clone()).await?
        && let Some(hash) = hash
        && let Some(begun) =
            app.write(async |tx| begin(tx, app, name, &hash, visitor).await).await?
    {
        return Ok(Some(begun));
    }
    app.sign_ins().failed(visitor.ip, name);
    tracing::info!(client.ip = %visitor.ip, "a sign-in failed");
    Ok(None)
}

/// The longest name or address that anybody can have, in bytes.
const LONGEST_NAME: usize = 254;

/// The answer to somebody who guesses passwords.
pub(crate) fn too_many(retry_after: Duration) -> Error {
    Error::TooMany {
        detail: "Too many attempts to sign in. Wait, then try again.".into(),
        retry_after,
    }
}

/// Begins a session, if the password that was checked is still theirs.
async fn begin(
    tx: &mut Tx,
    app: &App,
    name: &str,
    checked: &str,
    visitor: &Visitor,
) -> Result<Option<Begun>> {
    let found = users::find_to_sign_in_locked(tx, name).await?;
    let Some((user, _)) = found.filter(|(_, hash)| hash == checked) else { return Ok(None) };
    let cookie = Zeroizing::new(random_token(tx));
    let csrf = random_token(tx);
    let pepper = app.pepper();
    let digest = crate::access::session_digest(pepper, &cookie);
    let expires_at = tx.now().after(app.config().session_age);
    // Whoever belongs to one organization only need not choose it.
    let org = store::only_organization(tx, user.number).await?;
    store::insert(tx, &digest, &user, org, &csrf, expires_at, pepper.id()).await?;
    let person = Actor::Person { user: user.number, email: user.email.to_string() };
    audit_log::record_sign_in(tx, &person, Subject::new("user", &user.number), visitor).await?;
    Ok(Some(Begun { cookie, csrf, user }))
}

/// 256 random bits, in hexadecimal.
pub(crate) fn random_token(tx: &mut Tx) -> String {
    hex::encode(tx.with_rng(rand::RngExt::random::<[u8; 32]>))
}

/// Ends the session of the request.
pub async fn sign_out(tx: &mut Tx, person: &Person) -> Result<()> {
    store::delete(tx, person.session_digest()).await?;
    let subject = Subject::new("user", &person.user());
    audit_log::record_personal(tx, person, Action::SignedOut, subject, Value::Null).await
}

/// Ends every session of the person but this one.
pub(crate) async fn end_others(tx: &mut Tx, person: &Person) -> Result<()> {
    store::delete_others(tx, person.user(), person.session_digest()).await
}

/// Moves the session to another organization of the person. False if they are not a member of it.
pub async fn set_organization(tx: &mut Tx, person: &Person, org: OrgNumber) -> Result<bool> {
    store::set_organization(tx, person.session_digest(), person.user(), org).await
}

/// Forgets sessions that have ended.
pub(crate) async fn forget_ended(tx: &mut Tx) -> Result<()> {
    let now: Timestamp = tx.now();
    store::delete_expired(tx, now).await
}
