//! People (CONTRACT 1.4, 1.6).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Changes the password of the person who is signed in.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ChangePassword {
    /// The password so far.
    pub current_password: String,
    /// The new one: 12 to 256 characters.
    pub new_password: String,
}

impl std::fmt::Debug for ChangePassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChangePassword(…)")
    }
}
