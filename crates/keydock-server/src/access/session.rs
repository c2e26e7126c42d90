//! Sign-ins of people: the cookie, the session behind it, and the token against forged requests.

use axum::http::{HeaderMap, HeaderValue, Method, header, request::Parts};
use keydock_core::{
    id::{OrgNumber, UserNumber},
    organizations::OrgName,
    role::Role,
    secret::Pepper,
    time::Timestamp,
};
use keydock_storage::db::{self, FromRow, Row, args};
use smol_str::SmolStr;
use subtle::ConstantTimeEq as _;

use crate::{App, Error, Result, config::Config};

/// The cookie that a page of ours reads and sends back as [`CSRF_HEADER`].
pub const CSRF_COOKIE: &str = "csrftoken";
/// The header that proves that a request was made by a page of ours.
pub const CSRF_HEADER: &str = "x-csrftoken";
/// The form field that does, for pages without JavaScript.
pub const CSRF_FIELD: &str = "csrfmiddlewaretoken";

/// What the session cookie is called: with the `__Host-` prefix wherever browsers accept it.
pub fn session_cookie_name(config: &Config) -> &'static str {
    if config.is_secure() { "__Host-sessionid" } else { "sessionid" }
}

/// Somebody signed in, and their place in one organization, if they have one.
#[derive(Clone, Debug)]
pub(super) struct SignedIn {
    pub(super) digest: String,
    pub(super) user: UserNumber,
    pub(super) email: String,
    pub(super) instance_admin: bool,
    pub(super) must_change_password: bool,
    pub(super) csrf: String,
    pub(super) session_org: Option<OrgNumber>,
    pub(super) membership: Option<Membership>,
}

/// The organization that was asked for, and the role in it.
#[derive(Clone, Debug)]
pub(super) struct Membership {
    pub(super) org: OrgNumber,
    pub(super) name: OrgName,
    pub(super) title: SmolStr,
    pub(super) role: Role,
}

/// The stored form of a session cookie.
pub(crate) fn digest(pepper: &Pepper, cookie: &str) -> String {
    hex::encode(pepper.digest_of("session", cookie.as_bytes()))
}

/// Finds the session of the request and the membership in the organization called `org`.
///
/// An exception to the rule that every statement names the organization: this is how we learn it.
pub(super) async fn find(app: &App, parts: &Parts, org: Option<&str>) -> Result<Option<SignedIn>> {
    let Some(cookie) = cookie(&parts.headers, session_cookie_name(app.config())) else {
        return Ok(None);
    };
    // What is not the name of an organization names none, and no database is asked about it.
    let org = org.filter(|org| org.parse::<OrgName>().is_ok());
    let found: Option<SignedIn> = app
        .db()
        .read(async |tx| {
            let now: Timestamp = tx.now();
            let sql = "SELECT s.digest, s.user_id, s.org_id, s.csrf, u.email, u.instance_admin,
                              u.must_change_password,
                              o.id AS member_org, o.name, o.title, m.role
                       FROM sessions s
                       JOIN users u ON u.id = s.user_id
                       LEFT JOIN organizations o ON o.name = $2
                       LEFT JOIN members m ON m.org_id = o.id AND m.user_id = u.id
                       WHERE s.digest = $1 AND s.expires_at > $3";
            for pepper in app.peppers().live() {
                let args = args![digest(pepper, cookie), org.unwrap_or(""), now];
                let found = tx.fetch_optional(sql, args).await?;
                if found.is_some() {
                    return Ok(found);
                }
            }
            Ok::<_, Error>(None)
        })
        .await?;
    if let Some(session) = &found {
        confirm_csrf(parts, session)?;
    }
    Ok(found)
}

/// Refuses a change that does not carry the token of the session (CONTRACT 1.3).
fn confirm_csrf(parts: &Parts, session: &SignedIn) -> Result<()> {
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    refuse_cross_site(&parts.headers)?;
    let header = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
    let Some(sent) = header else {
        return Err(Error::Csrf { detail: "send the csrftoken cookie's value as X-CSRFToken" });
    };
    if csrf_matches(sent, &session.csrf) {
        Ok(())
    } else {
        Err(Error::Csrf { detail: "X-CSRFToken is not the token of this session" })
    }
}

/// Browsers say where a request comes from; one that comes from another site is refused.
pub(crate) fn refuse_cross_site(headers: &HeaderMap) -> Result<()> {
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        Some(b"cross-site") => Err(Error::Csrf { detail: "the request comes from another site" }),
        _ => Ok(()),
    }
}

/// Whether two tokens are the same, in constant time.
pub fn csrf_matches(sent: &str, expected: &str) -> bool {
    sent.as_bytes().ct_eq(expected.as_bytes()).into()
}

/// A cookie of the request.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

impl FromRow for SignedIn {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let role: Option<Role> = row.parse_opt("role")?;
        let membership = match role {
            None => None,
            Some(role) => Some(Membership {
                org: OrgNumber::from_i64(row.int("member_org")?),
                name: row.parse("name")?,
                title: row.text("title")?.into(),
                role,
            }),
        };
        Ok(Self {
            digest: row.text("digest")?,
            user: UserNumber::from_i64(row.int("user_id")?),
            email: row.text("email")?,
            instance_admin: row.bool("instance_admin")?,
            must_change_password: row.bool("must_change_password")?,
            csrf: row.text("csrf")?,
            session_org: row.int_opt("org_id")?.map(OrgNumber::from_i64),
            membership,
        })
    }
}
