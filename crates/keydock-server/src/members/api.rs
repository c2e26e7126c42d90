//! `/api/v1/unstract/{org}/users/` and `roles` (CONTRACT 1.6)

use std::str::FromStr;

use axum::{
    Json,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use keydock_core::{role::Role, text::Email};
use keydock_wire::{
    errors::{ErrorEnvelope, RefusalBody},
    members as wire,
};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{InitialPassword, Member};
use crate::{
    App, Error, FieldError, Result,
    access::{Admin, Member as MemberProof, passwords::Password},
    users,
    web::{Fields, NO_STORE},
};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, add, remove))
        .routes(routes!(profile))
        .routes(routes!(give_role, take_role))
        .routes(routes!(roles))
}

/// How many members may be removed at a time.
const MOST: usize = 10;

/// List members
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/users/",
    tag = "Members",
    params(("org" = String, Path, description = "The organization's name")),
    responses((status = 200, body = wire::Members), (status = 401, body = RefusalBody), (status = 403, body = RefusalBody))
)]
async fn list(member: MemberProof, State(app): State<App>) -> Result<Json<wire::Members>> {
    let members = app.read(async |tx| super::list(tx, &member).await).await?;
    let members = members.into_iter().map(Into::into).collect();
    Ok(Json(wire::Members { message: "success".to_owned(), members }))
}

/// Add a member
///
/// Who is not known to this server yet gets an initial password, shown once, to be changed at the
/// first sign-in.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/users/",
    tag = "Members",
    params(("org" = String, Path, description = "The organization's name")),
    request_body = wire::AddMember,
    responses(
        (status = 201, body = wire::MemberAdded),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
    )
)]
async fn add(
    admin: Admin,
    State(app): State<App>,
    mut fields: Fields,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 1], Json<wire::MemberAdded>)> {
    let email: Option<Email> = fields.text("email");
    let role = role(&mut fields).unwrap_or(Role::User);
    fields.finish()?;
    let email = email.ok_or_else(|| FieldError::required("email"))?;
    let text = app.read(async |tx| Ok(users::generate_password(tx))).await?;
    let hash = app.passwords().hash(Password::presented(text.to_string())).await?;
    let password = InitialPassword { text, hash };
    let added = app.write(async |tx| super::add(tx, &admin, email, role, password).await).await?;
    let body = wire::MemberAdded {
        member: added.member.into(),
        initial_password: added.initial_password.map(|password| password.to_string()),
    };
    Ok((StatusCode::CREATED, [NO_STORE], Json(body)))
}

fn role(fields: &mut Fields) -> Option<Role> {
    let text = fields.string_opt("role")?;
    let role = Role::from_str(&text);
    role.map_err(|error| {
        fields.reject(FieldError::new("role", "invalid_choice", error.to_string()));
    })
    .ok()
}

/// Remove members
///
/// At most ten; all or none.
#[utoipa::path(
    delete,
    path = "/api/v1/unstract/{org}/users/",
    tag = "Members",
    params(("org" = String, Path, description = "The organization's name")),
    request_body = wire::RemoveMembers,
    responses(
        (status = 200, body = wire::Outcome),
        (status = 400, body = wire::Outcome),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Not an admin, or the last admin would go"),
    )
)]
async fn remove(admin: Admin, State(app): State<App>, mut fields: Fields) -> Result<Response> {
    let emails = emails(&mut fields);
    fields.finish()?;
    outcome(app.write(async |tx| super::remove(tx, &admin, &emails).await).await)
}

fn emails(fields: &mut Fields) -> Vec<Email> {
    let Some(Value::Array(values)) = fields.take("emails") else {
        fields.reject(FieldError::invalid("emails", "Send a list of e-mail addresses."));
        return Vec::new();
    };
    if values.is_empty() || values.len() > MOST {
        let detail = format!("Send 1 to {MOST} e-mail addresses.");
        fields.reject(FieldError::invalid("emails", detail));
        return Vec::new();
    }
    let mut emails = Vec::new();
    for (place, value) in values.iter().enumerate() {
        match value.as_str().unwrap_or_default().parse() {
            Ok(email) => emails.push(email),
            Err(error) => fields.reject(FieldError::text(format!("emails.{place}"), &error)),
        }
    }
    emails
}

/// Show one's own profile
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/users/profile/",
    tag = "Members",
    params(("org" = String, Path, description = "The organization's name")),
    responses(
        (status = 200, body = wire::ProfileAnswer),
        (status = 401, body = RefusalBody),
        (status = 404, description = "The caller is a key, not a person"),
    )
)]
async fn profile(member: MemberProof, State(app): State<App>) -> Result<Json<wire::ProfileAnswer>> {
    let found = app.read(async |tx| super::profile(tx, &member).await).await?;
    let found = found.ok_or(Error::NotFound { what: "User" })?;
    let user = wire::Profile {
        id: found.user.to_string(),
        email: found.email.to_string(),
        name: found.email.to_string(),
        display_name: found.email.to_string(),
        family_name: String::new(),
        picture: String::new(),
        is_admin: found.role == Role::Admin,
        login_onboarding_message_displayed: true,
        prompt_onboarding_message_displayed: true,
        role: found.role.to_string(),
        organization_name: member.caller().org.title.to_string(),
        organization_id: member.org_name().to_string(),
    };
    Ok(Json(wire::ProfileAnswer { user }))
}

/// Give a member a role
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/users/role/",
    tag = "Members",
    params(("org" = String, Path, description = "The organization's name")),
    request_body = wire::MemberRole,
    responses(
        (status = 200, body = wire::Outcome),
        (status = 400, body = wire::Outcome),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Not an admin, or the last admin would go"),
    )
)]
async fn give_role(admin: Admin, State(app): State<App>, fields: Fields) -> Result<Response> {
    let (email, role) = member_role(fields)?;
    outcome(app.write(async |tx| super::set_role(tx, &admin, &email, role).await).await)
}

/// Take a role from a member
///
/// What is left is the role `user`.
#[utoipa::path(
    delete,
    path = "/api/v1/unstract/{org}/users/role/",
    tag = "Members",
    params(("org" = String, Path, description = "The organization's name")),
    request_body = wire::MemberRole,
    responses(
        (status = 200, body = wire::Outcome),
        (status = 400, body = wire::Outcome),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Not an admin, or the last admin would go"),
    )
)]
async fn take_role(admin: Admin, State(app): State<App>, fields: Fields) -> Result<Response> {
    let (email, _) = member_role(fields)?;
    outcome(app.write(async |tx| super::set_role(tx, &admin, &email, Role::User).await).await)
}

fn member_role(mut fields: Fields) -> Result<(Email, Role)> {
    let email = fields.text("email");
    if !fields.has("role") {
        fields.reject(FieldError::required("role"));
    }
    let role = role(&mut fields);
    fields.finish()?;
    Ok((
        email.ok_or_else(|| FieldError::required("email"))?,
        role.ok_or_else(|| FieldError::required("role"))?,
    ))
}

/// List the roles
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/roles/",
    tag = "Members",
    params(("org" = String, Path, description = "The organization's name")),
    responses((status = 200, body = wire::Roles), (status = 401, body = RefusalBody))
)]
async fn roles(_member: MemberProof) -> Json<wire::Roles> {
    let describe = |role: Role| match role {
        Role::Admin => "Manages members and keys, and everything that a user does",
        Role::User => "Works with workflows and deployments",
    };
    let members = Role::ALL.map(|role| wire::RoleDescription {
        id: role.to_string(),
        name: role.to_string(),
        description: describe(role).to_owned(),
    });
    Json(wire::Roles { message: "success".to_owned(), members: members.into() })
}

/// The answer of these routes, which say in the body whether it was done (CONTRACT 1.6).
fn outcome(result: Result<()>) -> Result<Response> {
    let (status, word, message) = match result {
        Ok(()) => (StatusCode::OK, "success", "success".to_owned()),
        Err(Error::NotFound { .. }) => (
            StatusCode::BAD_REQUEST,
            "failed",
            "There is no such member in this organization.".to_owned(),
        ),
        Err(error) => return Err(error),
    };
    let body = wire::Outcome { status: word.to_owned(), message };
    Ok((status, Json(body)).into_response())
}

impl From<Member> for wire::Member {
    fn from(member: Member) -> Self {
        Self {
            id: member.user.to_string(),
            email: member.email.to_string(),
            role: member.role.to_string(),
            is_admin: member.role == Role::Admin,
            is_service_account: false,
        }
    }
}
