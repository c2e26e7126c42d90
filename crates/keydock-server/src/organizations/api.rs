//! `/api/v1/organization` and `/api/v1/unstract/{org}/organization/` (CONTRACT 1.4, 1.6)

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use keydock_core::{organizations::OrgName, text::OrgTitle};
use keydock_wire::{
    errors::{ErrorEnvelope, RefusalBody},
    organizations as wire,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Changes, DormantAfter, NewOrganization, Organization};
use crate::{
    App, FieldError, Result,
    access::{Admin, InstanceAdmin, Member, Person},
    config::Dormancies,
    members, sessions,
    web::{Fields, NO_STORE},
};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(mine))
        .routes(routes!(set))
        .routes(routes!(found))
        .routes(routes!(get, patch))
}

/// List one's own organizations
///
/// Sets the `csrftoken` cookie.
#[utoipa::path(
    get,
    path = "/api/v1/organization",
    tag = "Organizations",
    responses((status = 200, body = wire::MyOrganizations), (status = 401, body = RefusalBody))
)]
async fn mine(person: Person, State(app): State<App>) -> Result<Response> {
    let memberships = app.read(async |tx| members::of_person(tx, &person).await).await?;
    let organizations = memberships
        .into_iter()
        .map(|membership| wire::MyOrganization {
            id: membership.org_name.to_string(),
            display_name: membership.display_name,
            name: membership.title,
        })
        .collect();
    let cookies =
        sessions::api::set_cookies([sessions::api::csrf_cookie(app.config(), person.csrf())]);
    let body = wire::MyOrganizations { message: "success".to_owned(), organizations };
    Ok((cookies, Json(body)).into_response())
}

/// Enter an organization
///
/// The session is of one organization at a time; this sets which.
#[utoipa::path(
    post,
    path = "/api/v1/organization/{org}/set",
    tag = "Organizations",
    params(("org" = String, Path, description = "The organization's name")),
    responses(
        (status = 200, body = wire::OrganizationSet),
        (status = 401, body = RefusalBody),
        (status = 403, description = "Not a member, or there is no such organization. No body"),
    )
)]
async fn set(person: Person, State(app): State<App>, Path(org): Path<String>) -> Result<Response> {
    let entered = app.write(async |tx| super::enter(tx, &person, &org).await).await?;
    let Some(organization) = entered else {
        return Ok(StatusCode::FORBIDDEN.into_response());
    };
    let user = app.read(async |tx| crate::users::get(tx, &person).await).await?;
    let body = wire::OrganizationSet {
        is_new_org: false,
        user: wire::UserSummary {
            id: user.number.to_string(),
            email: user.email.to_string(),
            name: user.username.to_string(),
            display_name: user.username.to_string(),
            family_name: String::new(),
            picture: String::new(),
        },
        organization: wire::OrganizationSummary {
            name: organization.title.to_string(),
            organization_id: organization.name.to_string(),
        },
        log_events_id: person.session_digest()[..32].to_owned(),
    };
    Ok(Json(body).into_response())
}

/// Found an organization
///
/// Only administrators of this server may. The founder becomes its admin, and the answer shows the
/// secret of its `Key #1`, for the only time.
#[utoipa::path(
    post,
    path = "/api/v1/organization/create",
    tag = "Organizations",
    request_body = wire::FoundOrganization,
    responses(
        (status = 201, body = wire::OrganizationFounded),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Not an administrator of this server"),
    )
)]
async fn found(
    admin: InstanceAdmin,
    State(app): State<App>,
    mut fields: Fields,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 1], Json<wire::OrganizationFounded>)> {
    let title: Option<OrgTitle> = fields.text("name");
    let display_name: Option<OrgTitle> = fields.text("display_name");
    let name = org_name(&mut fields);
    fields.finish()?;
    let new = NewOrganization {
        name: name.ok_or_else(|| FieldError::required("organization_id"))?,
        title: title.ok_or_else(|| FieldError::required("name"))?,
        display_name: display_name.ok_or_else(|| FieldError::required("display_name"))?,
    };
    let founded = app.write(async |tx| super::found(tx, &admin, app.minting(), new).await).await?;
    let tenant = wire::Tenant {
        name: founded.organization.title.to_string(),
        display_name: founded.organization.display_name.to_string(),
        organization_id: founded.organization.name.to_string(),
        created_at: founded.organization.created_at.to_string(),
        platform_key: founded.first_key.secret.reveal(),
    };
    let body = wire::OrganizationFounded { message: "success".to_owned(), tenant };
    Ok((StatusCode::CREATED, [NO_STORE], Json(body)))
}

fn org_name(fields: &mut Fields) -> Option<OrgName> {
    let text = fields.string("organization_id")?;
    let name = text.parse();
    name.map_err(|error| {
        let error: keydock_core::organizations::InvalidOrgName = error;
        fields.reject(FieldError::invalid("organization_id", error.to_string()));
    })
    .ok()
}

/// Show the organization
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/organization/",
    tag = "Organizations",
    params(("org" = String, Path, description = "The organization's name")),
    responses((status = 201, body = wire::OrganizationAnswer), (status = 401, body = RefusalBody))
)]
async fn get(
    member: Member,
    State(app): State<App>,
) -> Result<(StatusCode, Json<wire::OrganizationAnswer>)> {
    let organization = app.read(async |tx| super::get(tx, &member).await).await?;
    Ok((StatusCode::CREATED, Json(answer(&organization, &app))))
}

/// Change the settings of the organization
#[utoipa::path(
    patch,
    path = "/api/v1/unstract/{org}/organization/",
    tag = "Organizations",
    params(("org" = String, Path, description = "The organization's name")),
    request_body = wire::UpdateOrganization,
    responses(
        (status = 200, body = wire::OrganizationAnswer),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Not an admin, or a key"),
    )
)]
async fn patch(
    admin: Admin,
    State(app): State<App>,
    mut fields: Fields,
) -> Result<Json<wire::OrganizationAnswer>> {
    let changes = Changes { dormant_after: dormant_after(&mut fields) };
    fields.finish()?;
    let organization = app.write(async |tx| super::update(tx, &admin, changes).await).await?;
    Ok(Json(answer(&organization, &app)))
}

fn dormant_after(fields: &mut Fields) -> Option<DormantAfter> {
    const NAME: &str = "dormant_after_days";
    if fields.is_null(NAME) {
        fields.take(NAME);
        return Some(DormantAfter::AsServer);
    }
    let days = fields.int_opt(NAME)?;
    let days = u32::try_from(days).ok().filter(|days| *days <= Dormancies::MOST_DAYS);
    if days.is_none() {
        let most = Dormancies::MOST_DAYS;
        let detail = format!("Send 1 to {most}, 0 for never, or null for as the server has it.");
        fields.reject(FieldError::invalid(NAME, detail));
    }
    days.map(DormantAfter::Days)
}

fn answer(organization: &Organization, app: &App) -> wire::OrganizationAnswer {
    let own = organization.dormant_after_days;
    let organization = wire::OrganizationDetail {
        name: organization.title.to_string(),
        display_name: organization.display_name.to_string(),
        organization_id: organization.name.to_string(),
        created_at: organization.created_at.to_string(),
        dormant_after_days: own.unwrap_or(app.config().dormancy.after_days),
        dormant_warning_days: app.config().dormancy.warning_days,
    };
    wire::OrganizationAnswer { message: "success".to_owned(), organization }
}
