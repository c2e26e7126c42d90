//! People who can sign in, whatever organizations they belong to.

pub mod api;
mod store;

use keydock_core::{
    id::UserNumber,
    text::{Email, Username},
    time::Timestamp,
};
use keydock_storage::db::{OnConflict as _, Tx};
use serde_json::Value;

use crate::{
    Error, Result,
    access::{Caller, Person, passwords::Password},
    audit_log::{self, Action, Subject},
};

/// A person.
#[derive(Clone, Debug)]
pub struct User {
    /// Their number.
    pub number: UserNumber,
    /// A second identifier that the wire has for people.
    pub user_id: String,
    /// What they sign in with.
    pub username: Username,
    /// How others know them; they can sign in with it as well.
    pub email: Email,
    /// Whether they run this server.
    pub instance_admin: bool,
    /// Whether they must change their password before anything else.
    pub must_change_password: bool,
    /// Since when they are known.
    pub created_at: Timestamp,
}

/// A person to be made known.
#[derive(Debug)]
pub struct NewUser {
    /// What they sign in with.
    pub username: Username,
    /// How others know them.
    pub email: Email,
    /// Their password, hashed.
    pub password_hash: String,
    /// Whether somebody else chose that password.
    pub must_change_password: bool,
    /// Whether they run this server.
    pub instance_admin: bool,
}

/// Makes somebody known. Callers demand the proof that goes with their reason to.
pub(crate) async fn create(tx: &mut Tx, new: NewUser) -> Result<User> {
    let number = UserNumber::from_i64(tx.next_in("users").await?);
    let user = User {
        number,
        user_id: tx.new_id::<()>().to_string(),
        username: new.username,
        email: new.email,
        instance_admin: new.instance_admin,
        must_change_password: new.must_change_password,
        created_at: tx.now(),
    };
    store::insert(tx, &user, &new.password_hash)
        .await
        .on_conflict(|| Error::AlreadyExists { what: "A user", name: user.email.to_string() })?;
    Ok(user)
}

/// Makes an account for a program: it owns things, and nobody signs in with it.
pub(crate) async fn create_service(
    tx: &mut Tx,
    username: Username,
    email: Email,
) -> Result<UserNumber> {
    let new = NewUser {
        username,
        email,
        // No password has this hash.
        password_hash: "!".to_owned(),
        must_change_password: false,
        instance_admin: false,
    };
    let user = create(tx, new).await?;
    store::mark_as_service(tx, user.number).await?;
    Ok(user.number)
}

/// Deletes the account of a program, which owns nothing any more.
pub(crate) async fn delete_service(tx: &mut Tx, service: UserNumber) -> Result<()> {
    store::delete_service(tx, service).await
}

/// Finds somebody by their address.
pub(crate) async fn find_by_email(tx: &mut Tx, email: &Email) -> Result<Option<User>> {
    store::find_by_email(tx, email).await
}

/// Somebody and the hash of their password, by the name or the address they sign in with.
pub(crate) async fn find_to_sign_in(tx: &mut Tx, name: &str) -> Result<Option<(User, String)>> {
    store::find_to_sign_in(tx, &name.trim().to_lowercase()).await
}

/// The same, whose password cannot be changed until the transaction ends.
pub(crate) async fn find_to_sign_in_locked(
    tx: &mut Tx,
    name: &str,
) -> Result<Option<(User, String)>> {
    store::lock(tx, name).await?;
    store::find_to_sign_in(tx, name).await
}

/// Whether the caller is a person who runs this server.
pub(crate) async fn runs_server(tx: &mut Tx, caller: &Caller) -> Result<bool> {
    let Some(number) = caller.user() else { return Ok(false) };
    Ok(store::get(tx, number).await?.instance_admin)
}

/// The person who is signed in.
pub async fn get(tx: &mut Tx, person: &Person) -> Result<User> {
    store::get(tx, person.user()).await
}

/// The stored hash of the person's password, to check the one they typed.
pub(crate) async fn password_hash(tx: &mut Tx, person: &Person) -> Result<String> {
    store::password_hash(tx, person.user()).await
}

/// Gives the person a new password.
pub(crate) async fn set_password(tx: &mut Tx, person: &Person, hash: &str) -> Result<()> {
    store::set_password(tx, person.user(), hash).await?;
    let subject = Subject::new("user", &person.user());
    audit_log::record_personal(tx, person, Action::PasswordChanged, subject, Value::Null).await
}

/// A password for somebody whose password is chosen by the server: 24 letters and digits.
pub fn generate_password(tx: &mut Tx) -> zeroize::Zeroizing<String> {
    use rand::RngExt as _;
    const CHARACTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    let pick = |rng: &mut rand_chacha::ChaCha20Rng| {
        char::from(CHARACTERS[rng.random_range(0..CHARACTERS.len())])
    };
    tx.with_rng(|rng| zeroize::Zeroizing::new((0..24).map(|_| pick(rng)).collect()))
}

/// Reads a password that somebody chooses for themselves.
pub(crate) fn chosen_password(field: &'static str, text: String) -> Result<Password> {
    Password::chosen(text).map_err(|error| crate::FieldError::text(field, &error).into())
}
