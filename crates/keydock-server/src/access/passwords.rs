//! Passwords: argon2id, away from the threads that serve requests, and not too many at once.

use std::sync::Arc;

use argon2::{
    Argon2, PasswordHasher as _, PasswordVerifier as _, password_hash::phc::PasswordHash,
};
use keydock_core::text::InvalidText;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{Error, Result};

/// A password in clear text, on its way to be hashed or checked.
pub struct Password(Zeroizing<String>);

impl Password {
    /// A password that somebody types to sign in.
    pub fn presented(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// A password that somebody chooses: 12 to 256 characters.
    pub fn chosen(text: String) -> Result<Self, InvalidText> {
        match text.chars().count() {
            0..12 => Err(InvalidText::Character("Use at least 12 characters.")),
            12..=256 => Ok(Self::presented(text)),
            _ => Err(InvalidText::TooLong { max: 256 }),
        }
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Hashes and checks passwords.
#[derive(Clone, Debug)]
pub struct Passwords {
    /// A flood of sign-ins waits here and leaves the processors to those who have keys.
    at_once: Arc<Semaphore>,
}

/// Checked when there is no such user, so that both answers take the same time. No password is known
/// that has this hash.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGlzIGhlcmUhIQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

impl Passwords {
    /// A hasher that works on `at_once` passwords at a time.
    pub fn new(at_once: usize) -> Self {
        Self { at_once: Arc::new(Semaphore::new(at_once)) }
    }

    /// The form of a password that is stored.
    pub async fn hash(&self, password: Password) -> Result<String> {
        self.off_the_threads(move || hash(password.0.as_bytes())).await?
    }

    /// Whether `password` is the one stored; with none stored it takes as long and is not.
    pub async fn check(&self, password: Password, stored: Option<String>) -> Result<bool> {
        self.off_the_threads(move || {
            let known = stored.is_some();
            let stored = stored.as_deref().unwrap_or(NOBODY);
            let stored =
                PasswordHash::new(stored).map_err(|error| Error::internal(error.to_string()))?;
            let right = Argon2::default().verify_password(password.0.as_bytes(), &stored).is_ok();
            Ok(right && known)
        })
        .await?
    }

    async fn off_the_threads<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.at_once).acquire_owned().await.map_err(Error::internal)?;
        tokio::task::spawn_blocking(move || {
            let _until_done = permit;
            work()
        })
        .await
        .map_err(Error::internal)
    }
}

fn hash(password: &[u8]) -> Result<String> {
    let hash = Argon2::default().hash_password(password);
    Ok(hash.map_err(|error| Error::internal(error.to_string()))?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_costs_what_somebody_costs() {
        let cost = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(cost(NOBODY), cost(&hash(b"correct horse battery").unwrap()));
        let passwords = Passwords::new(1);
        let guess = Password::presented("correct horse battery".to_owned());
        assert!(!passwords.check(guess, None).await.unwrap());
        assert!(PasswordHash::new(NOBODY).is_ok(), "or it would be told apart by an error");
    }
}
