//! The `users` table. People belong to no organization, so no statement here names one.

use keydock_core::{id::UserNumber, text::Email};
use keydock_storage::db::{self, FromRow, Row, Tx, args};

use super::User;
use crate::Result;

pub(super) async fn insert(tx: &mut Tx, user: &User, hash: &str) -> Result<(), db::Error> {
    let sql = "INSERT INTO users (id, user_id, username, email, password_hash,
                                  must_change_password, instance_admin, created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values = args![
        user.number,
        &user.user_id,
        user.username.as_str(),
        user.email.as_str(),
        hash,
        user.must_change_password,
        user.instance_admin,
        user.created_at
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn get(tx: &mut Tx, number: UserNumber) -> Result<User> {
    let sql =
        "SELECT id, user_id, username, email, instance_admin, must_change_password, created_at
               FROM users WHERE id = $1";
    Ok(tx.fetch_one(sql, args![number]).await?)
}

pub(super) async fn find_by_email(tx: &mut Tx, email: &Email) -> Result<Option<User>> {
    let sql =
        "SELECT id, user_id, username, email, instance_admin, must_change_password, created_at
               FROM users WHERE email = $1 AND NOT is_service";
    Ok(tx.fetch_optional(sql, args![email.as_str()]).await?)
}

pub(super) async fn find_to_sign_in(tx: &mut Tx, name: &str) -> Result<Option<(User, String)>> {
    let sql = "SELECT id, user_id, username, email, instance_admin, must_change_password,
                      created_at, password_hash
               FROM users WHERE (username = $1 OR email = $1) AND NOT is_service
               ORDER BY CASE WHEN username = $1 THEN 0 ELSE 1 END";
    let found: Option<WithHash> = tx.fetch_optional(sql, args![name]).await?;
    Ok(found.map(|WithHash(user, hash)| (user, hash)))
}

/// Keeps others from changing somebody until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, name: &str) -> Result<()> {
    let sql = "UPDATE users SET email = email WHERE username = $1 OR email = $1";
    tx.execute(sql, args![name]).await?;
    Ok(())
}

/// Makes an account that of a program.
pub(super) async fn mark_as_service(tx: &mut Tx, number: UserNumber) -> Result<()> {
    tx.execute("UPDATE users SET is_service = TRUE WHERE id = $1", args![number]).await?;
    Ok(())
}

/// Deletes the account of a program.
pub(super) async fn delete_service(tx: &mut Tx, number: UserNumber) -> Result<()> {
    tx.execute("DELETE FROM users WHERE id = $1 AND is_service", args![number]).await?;
    Ok(())
}

pub(super) async fn password_hash(tx: &mut Tx, number: UserNumber) -> Result<String> {
    let sql = "SELECT password_hash FROM users WHERE id = $1";
    Ok(tx.fetch_one(sql, args![number]).await?)
}

pub(super) async fn set_password(tx: &mut Tx, number: UserNumber, hash: &str) -> Result<()> {
    let sql = "UPDATE users SET password_hash = $2, must_change_password = $3 WHERE id = $1";
    tx.execute(sql, args![number, hash, false]).await?;
    Ok(())
}

struct WithHash(User, String);

impl FromRow for WithHash {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self(User::from_row(row)?, row.text("password_hash")?))
    }
}

impl FromRow for User {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            number: UserNumber::from_i64(row.int("id")?),
            user_id: row.text("user_id")?,
            username: row.parse("username")?,
            email: row.parse("email")?,
            instance_admin: row.bool("instance_admin")?,
            must_change_password: row.bool("must_change_password")?,
            created_at: row.time("created_at")?,
        })
    }
}
