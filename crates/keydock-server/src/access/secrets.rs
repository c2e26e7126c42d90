//! What keys of every kind have in common: how a secret is made, and how it is kept.

use std::sync::Arc;

use keydock_core::{
    id::{self, Id, OrgNumber},
    secret::{KeyDigest, KeyKind, Pepper, PepperId, SecretForm, SecretKey},
    time::Timestamp,
};
use keydock_storage::db::{self, FromRow, Row, Tx};

use super::{
    changes,
    keyring::{Entry, Opens, OrgFacts, Page, Shared, Standing},
};
use crate::{
    Result,
    keys::{self, Controls},
};

/// How secrets are made and stored here.
#[derive(Clone, Copy, Debug)]
pub struct Minting<'a> {
    /// The server's key for digests.
    pub pepper: &'a Pepper,
    /// How new secrets are written.
    pub form: SecretForm,
}

/// A secret that was just made, and what is stored of it.
#[derive(Debug)]
pub struct Minted {
    /// The only copy of the secret.
    pub secret: SecretKey,
    /// What it is looked up by.
    pub digest: KeyDigest,
    /// The pepper of that.
    pub pepper: PepperId,
    /// Its end, for telling keys apart.
    pub last_four: String,
    /// The beginning of its SHA-256, for comparing with a secret one holds.
    pub fingerprint: String,
}

impl Minting<'_> {
    /// Makes a secret for a key of this kind.
    pub fn mint(&self, tx: &mut Tx, kind: KeyKind) -> Minted {
        let secret = tx.with_rng(|rng| SecretKey::generate(kind, self.form, rng));
        Minted {
            digest: self.pepper.digest(&secret),
            pepper: self.pepper.id(),
            last_four: secret.last_four(),
            fingerprint: secret.fingerprint(),
            secret,
        }
    }
}

/// The digests of a key's secrets.
#[derive(Debug)]
pub struct Digests {
    /// Of the secret that it has.
    pub current: KeyDigest,
    /// Of the one before, while that may still work.
    pub previous: Option<KeyDigest>,
}

/// Which secret of a key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that it has.
    Current,
    /// The one before.
    Previous,
}

impl Which {
    /// The word for the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
        }
    }
}

impl Digests {
    /// Which of these secrets has the digest.
    pub fn which(&self, digest: &KeyDigest) -> Option<Which> {
        if self.current == *digest {
            return Some(Which::Current);
        }
        (self.previous.as_ref() == Some(digest)).then_some(Which::Previous)
    }

    /// Which of these secrets has one of the digests.
    pub fn which_of(&self, digests: &[KeyDigest]) -> Option<Which> {
        digests.iter().find_map(|digest| self.which(digest))
    }

    /// Writes down that what these secrets open is about to change with this transaction.
    pub fn record_change(&self, tx: &mut Tx) {
        for digest in std::iter::once(&self.current).chain(&self.previous) {
            changes::record(tx, digest);
        }
    }
}

impl FromRow for Digests {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self { current: row.parse("digest")?, previous: row.parse_opt("previous_digest")? })
    }
}

/// A key with its secrets, as the key map wants it: a row of `keys` with the `org_name` and `title` of
/// its organization.
#[derive(Debug)]
pub struct Secrets {
    pub(crate) id: Id<id::AnyKey>,
    pub(crate) opens: Opens,
    org: OrgFacts,
    controls: Controls,
    is_active: bool,
    digest: KeyDigest,
    version: i64,
    ends_previous: bool,
    previous: Option<Previous>,
}

/// The secret that a key had before.
#[derive(Debug)]
struct Previous {
    digest: KeyDigest,
    version: i64,
    until: Timestamp,
}

impl Secrets {
    /// One page of keys, in the order of their ids.
    pub fn page(rows: Vec<Self>, shared: &mut Shared) -> Page {
        let last = rows.last().map(|row| row.id.to_string());
        Page { entries: rows.into_iter().flat_map(|row| row.entries(shared)).collect(), last }
    }

    /// The one of these secrets that has this digest.
    pub fn entry(self, shared: &mut Shared, digest: &KeyDigest) -> Option<Entry> {
        self.entries(shared).find(|entry| entry.digest == *digest)
    }

    fn entries(self, shared: &mut Shared) -> impl Iterator<Item = Entry> + use<> {
        let (key, active) = (self.id, self.is_active);
        let org = shared.org(self.org);
        let controls = (self.controls != Controls::default()).then(|| Arc::new(self.controls));
        // Whatever became of a canary, its guard answers for it, as it does for no key at all.
        let is_canary = controls.as_ref().is_some_and(|controls| controls.is_canary);
        let current = if active || is_canary { Standing::Active } else { Standing::Inactive };
        let current = (self.digest, current, self.version, self.ends_previous);
        let previous = self.previous.map(|Previous { digest, version, until }| {
            let replaced = Standing::Replaced { until, active };
            let standing = if is_canary { Standing::Active } else { replaced };
            (digest, standing, version, false)
        });
        std::iter::once(current).chain(previous).map(
            move |(digest, standing, version, ends_previous)| Entry {
                digest,
                key,
                org: Arc::clone(&org),
                opens: self.opens.clone(),
                standing,
                version,
                ends_previous,
                controls: controls.clone(),
            },
        )
    }
}

impl FromRow for Secrets {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let org = OrgFacts {
            number: OrgNumber::from_i64(row.int("org_id")?),
            name: row.parse("org_name")?,
            title: row.text("title")?.into(),
        };
        Ok(Self {
            id: row.parse("id")?,
            opens: keys::opens(row)?,
            org,
            controls: Controls::from_row(row)?,
            is_active: row.bool("is_active")?,
            digest: row.parse("digest")?,
            version: row.int("version")?,
            ends_previous: row.int_opt("overlap_seconds")?.is_some(),
            previous: match row.parse_opt("previous_digest")?.zip(row.time_opt("previous_until")?) {
                None => None,
                Some((digest, until)) => {
                    let version = row.int_opt("previous_version")?.unwrap_or_default();
                    Some(Previous { digest, version, until })
                }
            },
        })
    }
}
