//! Platform API keys: keys of an organization for programs that should not have all of it.
//!
//! Each has a tier: `read`, `read_write` or `full_access`. Behind each is an account of its own, which
//! owns what the key creates; when the key goes, its things go to whoever created it. Only admins who
//! are signed in manage these keys, but a key with full access may give one a new secret: that makes
//! nobody stronger.

pub mod api;

use keydock_core::{
    id::{self, Id, OrgNumber, UserNumber},
    role::Tier,
    secret::KeyKind,
    text::{ApiKeyName, ApiKeyPurpose},
};
use keydock_storage::db::{self, FromRow, Row, Tx};
use rand::RngExt;
use serde_json::{Map, Value};

use crate::{
    Error, FieldError, Result,
    access::{Admin, KeyRotator, System, secrets::Minting},
    deployments,
    keys::{
        self, BulkAction, Columns, ControlChanges, Controls, Filter, Kind, Listed, Meter, Overlap,
        Settle, set,
    },
    members, users, workflows,
};

/// What is of platform API keys only.
#[derive(Clone, Debug)]
pub struct Tiered {
    /// What people call it.
    pub name: ApiKeyName,
    /// What it is for.
    pub description: ApiKeyPurpose,
    /// How much it opens.
    pub tier: Tier,
    /// The account that owns what it creates.
    pub service: UserNumber,
}

/// A platform API key, without its secret.
pub type PlatformApiKey = keys::Key<Tiered>;

/// A platform API key that has a new secret, with the only copy of it.
pub type Issued = keys::Issued<Tiered>;

impl Kind for Tiered {
    type Id = id::PlatformApiKey;

    const KIND: KeyKind = KeyKind::PlatformApi;
    const NOT_FOUND: Error = Error::NotFound { what: "Object" };

    fn columns(&self) -> Columns<'_> {
        Columns {
            name: Some(self.name.as_str()),
            description: self.description.as_str(),
            permission: Some(self.tier.as_str()),
            service_user: Some(self.service),
            ..Columns::default()
        }
    }

    fn detail(&self) -> Map<String, Value> {
        Map::from_iter([
            ("key_name".to_owned(), self.name.as_str().into()),
            ("permission".to_owned(), self.tier.as_str().into()),
        ])
    }
}

impl FromRow for Tiered {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            name: row.parse("name")?,
            description: row.parse("description")?,
            tier: row.parse("permission")?,
            service: UserNumber::from_i64(row.int("service_user")?),
        })
    }
}

/// What to create.
#[derive(Debug)]
pub struct NewKey {
    /// What people call it.
    pub name: ApiKeyName,
    /// What it is for.
    pub description: ApiKeyPurpose,
    /// How much it opens.
    pub tier: Tier,
    /// Until when, from where and how often it works.
    pub controls: Controls,
}

/// What to change; the rest stays.
#[derive(Debug, Default)]
pub struct Changes {
    /// What it is for.
    pub description: Option<ApiKeyPurpose>,
    /// Whether it works.
    pub is_active: Option<bool>,
    /// How much it opens.
    pub tier: Option<Tier>,
    /// Until when, from where and how often it works.
    pub controls: ControlChanges,
}

/// Creates a key, and the account behind it.
pub async fn create(
    tx: &mut Tx,
    admin: &Admin,
    minting: Minting<'_>,
    new: NewKey,
) -> Result<Issued> {
    let taken = || {
        FieldError::invalid(
            "name",
            "A platform API key with this name exists. Choose another name.",
        )
    };
    let service = open_account(tx, admin, &new.name).await?;
    let kind = Tiered { name: new.name, description: new.description, tier: new.tier, service };
    let new = keys::NewKey { kind, is_active: true, controls: new.controls };
    let created = keys::create(tx, admin.caller(), minting, new).await;
    created.map_err(|error| error.on_name(|| taken().into()))
}

/// Makes the account of a program, and lets it into the organization.
pub(crate) async fn open_account(
    tx: &mut Tx,
    admin: &Admin,
    name: &ApiKeyName,
) -> Result<UserNumber> {
    let service = create_account(tx, name).await?;
    members::add_service(tx, admin, service).await?;
    Ok(service)
}

/// Makes the account behind a key that comes from elsewhere.
pub(crate) async fn open_imported(
    tx: &mut Tx,
    operator: &System,
    org: OrgNumber,
    name: &ApiKeyName,
) -> Result<UserNumber> {
    let service = create_account(tx, name).await?;
    members::add_imported(tx, operator, org, service).await?;
    Ok(service)
}

async fn create_account(tx: &mut Tx, name: &ApiKeyName) -> Result<UserNumber> {
    let number: u32 = tx.with_rng(RngExt::random);
    let slug = slug(name);
    let parsed = |text: String| Error::internal(format!("{text} is no name"));
    let username = format!("svc-{slug}-{number:08x}");
    let email = format!("{slug}-{number:08x}@platform.internal");
    let username = username.parse().map_err(|_| parsed(username))?;
    let email = email.parse().map_err(|_| parsed(email))?;
    users::create_service(tx, username, email).await
}

/// A name in small letters, digits and hyphens, 20 of them at most.
fn slug(name: &ApiKeyName) -> String {
    let plain = |character: char| match character {
        ' ' => Some('-'),
        '-' | '_' => Some(character),
        _ => Some(character).filter(char::is_ascii_alphanumeric),
    };
    let slug: String = name.as_str().to_lowercase().chars().filter_map(plain).take(20).collect();
    if slug.chars().any(|character| character.is_ascii_alphanumeric()) {
        slug
    } else {
        "key".to_owned()
    }
}

/// Lists the keys of the admin's organization, oldest first.
pub async fn list(tx: &mut Tx, admin: &Admin, filter: &Filter) -> Result<Listed<Tiered>> {
    keys::list_page(tx, admin.org(), filter).await
}

/// One key of the admin's organization.
pub async fn get(tx: &mut Tx, admin: &Admin, id: Id<id::PlatformApiKey>) -> Result<PlatformApiKey> {
    keys::find(tx, admin.org(), id).await
}

/// Changes a key. Changes that change nothing leave no trace.
pub async fn update(
    tx: &mut Tx,
    admin: &Admin,
    id: Id<id::PlatformApiKey>,
    changes: Changes,
) -> Result<PlatformApiKey> {
    keys::lock(tx, admin.org()).await?;
    let mut key = get(tx, admin, id).await?;
    let mut touched = Vec::new();
    set(&mut key.kind.description, changes.description, "description", &mut touched);
    set(&mut key.is_active, changes.is_active, "is_active", &mut touched);
    set(&mut key.kind.tier, changes.tier, "permission", &mut touched);
    changes.controls.apply(&mut key.controls, &mut touched);
    if !touched.is_empty() {
        keys::save(tx, admin.caller(), &mut key, &touched).await?;
    }
    Ok(key)
}

/// Replaces the secret of a key and leaves everything else as it is.
pub async fn rotate(
    tx: &mut Tx,
    rotator: &KeyRotator,
    minting: Minting<'_>,
    id: Id<id::PlatformApiKey>,
    overlap: Overlap,
) -> Result<Issued> {
    keys::lock(tx, rotator.org()).await?;
    keys::rotate(tx, rotator.caller(), minting, id, overlap).await
}

/// Takes a rotation back, or ends its overlap, while the old secret still works.
pub async fn settle(
    tx: &mut Tx,
    admin: &Admin,
    id: Id<id::PlatformApiKey>,
    how: Settle,
) -> Result<PlatformApiKey> {
    keys::lock(tx, admin.org()).await?;
    keys::settle(tx, admin.caller(), id, how).await
}

/// Who uses which secret of a key.
pub async fn meter(
    tx: &mut Tx,
    admin: &Admin,
    id: Id<id::PlatformApiKey>,
) -> Result<Meter<Tiered>> {
    keys::meter(tx, admin.org(), id).await
}

/// Deletes a key and its account. What the account owns goes to the key's creator, or, if they are
/// not there any more, to the admin.
pub async fn delete(tx: &mut Tx, admin: &Admin, id: Id<id::PlatformApiKey>) -> Result<()> {
    keys::lock(tx, admin.org()).await?;
    let key = get(tx, admin, id).await?;
    keys::delete(tx, admin.caller(), &key).await?;
    close_account(tx, admin, key.kind.service, key.created_by).await
}

/// Deletes the account of a program. What it owns goes to its creator, or, if they are not there any
/// more, to the admin.
pub(crate) async fn close_account(
    tx: &mut Tx,
    admin: &Admin,
    service: UserNumber,
    created_by: Option<UserNumber>,
) -> Result<()> {
    let acting = admin.caller().user();
    let heir = match created_by {
        Some(creator) if members::is_member(tx, admin, creator).await? => Some(creator),
        _ => acting,
    };
    let heir = heir.ok_or_else(|| Error::internal("an admin is a person"))?;
    workflows::hand_over(tx, admin, service, heir).await?;
    deployments::hand_over(tx, admin, service, heir).await?;
    keys::hand_over(tx, admin.org(), service, heir).await?;
    users::delete_service(tx, service).await
}

/// Does the same to several keys, or to none if one of them is not there.
pub async fn bulk(
    tx: &mut Tx,
    admin: &Admin,
    ids: &[Id<id::PlatformApiKey>],
    action: BulkAction,
) -> Result<usize> {
    keys::lock(tx, admin.org()).await?;
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        all.push(get(tx, admin, *id).await?);
    }
    let changed = keys::act_on_all(tx, admin.caller(), all.clone(), action).await?;
    if action == BulkAction::Delete {
        for key in &all {
            close_account(tx, admin, key.kind.service, key.created_by).await?;
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_names_of_accounts() {
        for (name, slugged) in [
            ("CI deploys", "ci-deploys"),
            ("Größe & Söhne", "gre--shne"),
            ("日本", "key"),
            ("a name that is far longer than twenty", "a-name-that-is-far-l"),
        ] {
            assert_eq!(slug(&name.parse().unwrap()), slugged);
        }
    }
}
