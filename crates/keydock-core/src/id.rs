//! Typed identifiers: a plain UUID on the wire, a distinct type in code.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// An identifier of one kind of thing; identifiers of different kinds do not mix.
///
/// ```compile_fail,E0308
/// use keydock_core::id::{Deployment, Id, PlatformKey};
/// fn delete(_: Id<PlatformKey>) {}
/// let deployment: Id<Deployment> = "0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877".parse().unwrap();
/// delete(deployment);
/// ```
pub struct Id<K>(Uuid, PhantomData<fn() -> K>);

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}
    )*};
}

kinds! {
    /// Kind of [`Id`]: a key of the two platform slots of an organization.
    PlatformKey,
    /// Kind of [`Id`]: a key of one deployment.
    DeploymentKey,
    /// Kind of [`Id`]: a key of an organization with a tier.
    PlatformApiKey,
    /// Kind of [`Id`]: a key of several or all deployments of an organization.
    OrgDeploymentKey,
    /// Kind of [`Id`]: a key of any sort, where only its identity matters.
    AnyKey,
    /// Kind of [`Id`]: a workflow.
    Workflow,
    /// Kind of [`Id`]: the source or the destination of a workflow.
    Endpoint,
    /// Kind of [`Id`]: a workflow published as an HTTP API.
    Deployment,
    /// Kind of [`Id`]: one run of a deployment.
    Execution,
    /// Kind of [`Id`]: one file of one run.
    FileExecution,
    /// Kind of [`Id`]: a unit of queued work.
    Job,
    /// Kind of [`Id`]: an entry of the audit log.
    AuditEvent,
    /// Kind of [`Id`]: trust in an issuer of tokens for pipelines.
    CiTrust,
    /// Kind of [`Id`]: a key of an organization that ends by itself.
    PlatformToken,
    /// Kind of [`Id`]: somewhere to tell what happens.
    Webhook,
    /// Kind of [`Id`]: something that webhooks tell of.
    WebhookEvent,
    /// Kind of [`Id`]: one message for one webhook.
    WebhookDelivery,
    /// Kind of [`Id`]: a sign-in of a person.
    Session,
    /// Kind of [`Id`]: what a program of the SDK says it has used.
    ReportedUse,
}

impl<K> Id<K> {
    /// Gives a UUID its kind.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    /// The UUID without its kind.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }

    /// The same identifier under a wider kind, where the sort of thing no longer matters.
    pub const fn widen<W>(self) -> Id<W> {
        Id::from_uuid(self.0)
    }
}

/// The text is not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Must be a valid UUID.")]
pub struct InvalidId;

impl<K> FromStr for Id<K> {
    type Err = InvalidId;

    /// Reads the hyphenated or the plain form in either case; braces and `urn:uuid:` are refused.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if !matches!(text.len(), 32 | 36) {
            return Err(InvalidId);
        }
        Uuid::try_parse(text).map(Self::from_uuid).map_err(|_| InvalidId)
    }
}

impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<K> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// A number that the database counts up, for the things whose identifiers are integers on the wire.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// Reads a stored number.
            pub const fn from_i64(number: i64) -> Self {
                Self(number)
            }

            /// The number to store.
            pub const fn as_i64(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// Identifies an organization inside the program; people and clients use its name.
    OrgNumber
}
number! {
    /// Identifies a person.
    UserNumber
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms_in_either_case() {
        let plain: Id<Deployment> = "0198C3F2A7C87B0E8F1D2C3B4A596877".parse().unwrap();
        let hyphenated = "0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877".parse().unwrap();
        assert_eq!(plain, hyphenated);
        assert_eq!(plain.to_string(), "0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877");
    }

    #[test]
    fn ids_are_equal_and_ordered_as_their_numbers_are() {
        let id = |n: u128| Id::<Deployment>::from_uuid(Uuid::from_u128(n));
        assert_eq!(id(7), id(7));
        assert_ne!(id(7), id(8));
        assert!(id(7) < id(8) && id(8) > id(7));
        assert_eq!(format!("{:?}", id(7)), id(7).to_string());
    }

    #[test]
    fn refuses_other_spellings() {
        for text in [
            "",
            "x",
            "{0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877}",
            "urn:uuid:0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877",
            "0198c3f2-a7c8-7b0e-8f1d-2c3b4a59687g",
        ] {
            assert_eq!(text.parse::<Id<Deployment>>(), Err(InvalidId), "{text}");
        }
    }
}
