//! Who is calling, and the proof of what they may do.
//!
//! A handler takes what it needs as an argument, and so does every operation behind it. Only the
//! extractors of this module make these values, so code that forgets a check does not compile:
//!
//! - [`Admin`]: an admin of the organization in the URL, signed in. No key is one.
//! - [`Member`]: a member of it, signed in, or a key of the whole organization.
//! - [`KeyRotator`]: an admin, or a platform API key with full access.
//! - [`Person`]: somebody signed in, whatever the organization.
//! - [`InstanceAdmin`]: somebody signed in who runs this server.
//! - [`KeyHolder`]: the holder of a key of a whole organization, where the URL names none.
//! - [`Asker`]: a program with a key of a whole organization that asks about other keys.
//! - [`Tool`]: a program that was written with the SDK and has an active platform key.
//! - [`Possession`]: somebody presented the secret of a key, to give that key up.
//!
//! The organization comes from the proof, never from the request. The role is as of the start of
//! the request, or, if its body was long in coming, of its end.

mod again;
mod bearer;
mod caller;
pub mod changes;
mod charge;
pub mod guard;
pub mod journal;
mod key_store;
pub mod keyring;
pub mod leaks;
pub mod moves;
mod once;
pub mod passwords;
pub(crate) mod pepper_store;
pub mod peppers;
mod possession;
mod programs;
mod refusal;
pub mod secrets;
mod session;
pub mod throttle;
pub mod usage;

pub(crate) use self::{
    again::{Again, still_permitted},
    bearer::{confirm_header, refuse_key_in_query, refuse_key_in_url, tier_for},
    caller::{actor, token},
    charge::{charge, charge_at_once},
    session::{cookie, digest as session_digest, refuse_cross_site},
};
pub use self::{
    bearer::{BearerPresented, Presented},
    caller::{
        Actor, Admin, Caller, InstanceAdmin, KeyHolder, KeyRotator, Member, Person, System, Visitor,
    },
    once::{Doing, Once},
    possession::Possession,
    programs::{Asker, Tool},
    refusal::{Genuine, Refusal, Takes},
    session::{CSRF_COOKIE, CSRF_FIELD, CSRF_HEADER, csrf_matches, session_cookie_name},
};
