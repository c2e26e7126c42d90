//! Signing in (CONTRACT 1.4).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Signs somebody in.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct SignIn {
    /// A user name or an e-mail address.
    pub username: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignIn(…)")
    }
}

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Their number.
    pub id: i64,
    /// A second identifier of theirs.
    pub user_id: String,
    /// Their address.
    pub email: String,
    /// The organization that the session is for; null until one is set.
    pub organization_id: Option<String>,
    /// Their role in it: `admin` or `user`.
    pub role: Option<String>,
    /// Always empty.
    pub provider: String,
    /// Whether they run this server.
    pub is_staff: bool,
    /// Always false.
    pub disable_sso_idp_authorization: bool,
    /// Whether they must change their password before anything else.
    pub must_change_password: bool,
}
