//! `/api/v1/login`, `logout` and `session` (CONTRACT 1.4)

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use keydock_wire::{
    errors::{ErrorEnvelope, RefusalBody},
    platform_keys::Message,
    sessions as wire,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Begun;
use crate::{
    App, Error, FieldError, Result,
    access::{
        CSRF_COOKIE, CSRF_FIELD, Person, Refusal, Visitor, cookie, csrf_matches,
        passwords::Password, refuse_cross_site, session_cookie_name,
    },
    config::Config,
    console, members, users,
    web::Fields,
};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(login_page, login))
        .routes(routes!(logout_alias, logout))
        .routes(routes!(session))
}

/// Show the sign-in form
///
/// Redirects to the start page if somebody is signed in already.
#[utoipa::path(
    get,
    path = "/api/v1/login",
    tag = "Sessions",
    responses((status = 200, description = "A form"), (status = 302, description = "Signed in already"))
)]
async fn login_page(State(app): State<App>, person: Result<Person>) -> Result<Response> {
    if person.is_ok() {
        return Ok(found("/"));
    }
    let csrf = app.read(async |tx| Ok(super::random_token(tx))).await?;
    let page = console::login_page(&csrf, None)?;
    Ok((set_cookies([csrf_cookie(app.config(), &csrf)]), page).into_response())
}

/// Sign in
///
/// From a form: redirects to the start page, or shows the form again. As JSON: `200`, or `401` with
/// an error. Both set the cookies of the session.
#[utoipa::path(
    post,
    path = "/api/v1/login",
    tag = "Sessions",
    request_body = wire::SignIn,
    responses(
        (status = 200, body = Message, description = "JSON: signed in. Form: not signed in, the form again"),
        (status = 302, description = "Form: signed in"),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = ErrorEnvelope, description = "JSON: wrong name or password"),
        (status = 429, body = ErrorEnvelope, description = "Too many attempts"),
    )
)]
async fn login(visitor: Visitor, State(app): State<App>, request: Request) -> Result<Response> {
    let headers = request.headers().clone();
    refuse_cross_site(&headers)?;
    let is_form = is_form(&headers);
    let mut fields =
        <Fields as axum::extract::FromRequest<App>>::from_request(request, &app).await?;
    let csrf = fields.string_opt(CSRF_FIELD);
    if is_form && !is_our_form(&headers, csrf.as_deref()) {
        return Err(Error::Csrf { detail: "reload the page and sign in again" });
    }
    let name = credential(&mut fields, "username");
    let password = credential(&mut fields, "password");
    match fields.finish() {
        Err(_) if is_form => return again(&app, &headers),
        checked => checked?,
    }
    let password = Password::presented(password);
    match super::sign_in(&app, &name, password, &visitor).await? {
        Some(begun) if is_form => Ok((session_cookies(&app, &begun), found("/")).into_response()),
        Some(begun) => {
            let message = Message { message: "success".to_owned() };
            Ok((session_cookies(&app, &begun), Json(message)).into_response())
        }
        None if is_form => again(&app, &headers),
        None => Err(Refusal::WrongPassword.into()),
    }
}

fn credential(fields: &mut Fields, name: &'static str) -> String {
    let text = fields.string(name);
    if text.as_ref().is_some_and(|text| text.chars().count() < 3) {
        fields.reject(FieldError::new(
            name,
            "min_length",
            "Ensure this field has at least 3 characters.",
        ));
    }
    text.unwrap_or_default()
}

/// Form and cookie must agree, so that no other site can sign somebody in to its own account.
fn is_our_form(headers: &HeaderMap, sent: Option<&str>) -> bool {
    match (cookie(headers, CSRF_COOKIE), sent) {
        (Some(cookie), Some(sent)) => !cookie.is_empty() && csrf_matches(sent, cookie),
        _ => false,
    }
}

fn again(_app: &App, headers: &HeaderMap) -> Result<Response> {
    let csrf = cookie(headers, CSRF_COOKIE).unwrap_or_default();
    let page = console::login_page(csrf, Some("Invalid username or password. Please try again."))?;
    Ok(page.into_response())
}

fn is_form(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    media_type.is_some_and(|text| text.starts_with(b"application/x-www-form-urlencoded"))
}

/// Sign out
///
/// Ends the session.
#[utoipa::path(
    post,
    path = "/api/v1/logout",
    tag = "Sessions",
    responses((status = 302), (status = 401, body = RefusalBody), (status = 403, body = ErrorEnvelope))
)]
async fn logout(person: Person, State(app): State<App>) -> Result<Response> {
    end(&app, &person).await
}

/// Sign out, from a link
///
/// An alias of `POST` for links on our own pages; refused when it comes from another site.
#[utoipa::path(
    get,
    path = "/api/v1/logout",
    tag = "Sessions",
    responses((status = 302), (status = 401, body = RefusalBody), (status = 403, body = ErrorEnvelope))
)]
async fn logout_alias(
    headers: HeaderMap,
    State(app): State<App>,
    person: Person,
) -> Result<Response> {
    refuse_cross_site(&headers)?;
    end(&app, &person).await
}

async fn end(app: &App, person: &Person) -> Result<Response> {
    app.write(async |tx| super::sign_out(tx, person).await).await?;
    let gone = [
        format!(
            "{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{}",
            session_cookie_name(app.config()),
            secure(app.config())
        ),
        format!("{CSRF_COOKIE}=; Path=/; Max-Age=0; SameSite=Lax{}", secure(app.config())),
    ];
    Ok((set_cookies(gone), found("/api/v1/login")).into_response())
}

/// Tell who is signed in
#[utoipa::path(
    get,
    path = "/api/v1/session",
    tag = "Sessions",
    responses((status = 201, body = wire::Session), (status = 401, body = RefusalBody))
)]
async fn session(
    person: Person,
    State(app): State<App>,
) -> Result<(StatusCode, Json<wire::Session>)> {
    let (user, membership) = app
        .read(async |tx| {
            let user = users::get(tx, &person).await?;
            Ok((user, members::of_session(tx, &person).await?))
        })
        .await?;
    let session = wire::Session {
        id: user.number.as_i64(),
        user_id: user.user_id,
        email: user.email.to_string(),
        organization_id: membership.as_ref().map(|m| m.org_name.to_string()),
        role: membership.map(|m| m.role.to_string()),
        provider: String::new(),
        is_staff: user.instance_admin,
        disable_sso_idp_authorization: false,
        must_change_password: user.must_change_password,
    };
    Ok((StatusCode::CREATED, Json(session)))
}

/// 302, which is what clients of this wire expect, in place of the 303 that says it better.
fn found(to: &'static str) -> Response {
    let mut response = Redirect::to(to).into_response();
    *response.status_mut() = StatusCode::FOUND;
    response
}

fn session_cookies(app: &App, begun: &Begun) -> SetCookies {
    let config = app.config();
    let age = config.session_age.as_secs();
    let session = format!(
        "{}={}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{}",
        session_cookie_name(config),
        begun.cookie.as_str(),
        secure(config)
    );
    set_cookies([session, csrf_cookie(config, &begun.csrf)])
}

/// The cookie that pages of ours read and send back.
pub(crate) fn csrf_cookie(config: &Config, csrf: &str) -> String {
    let age = config.session_age.as_secs();
    format!("{CSRF_COOKIE}={csrf}; Path=/; Max-Age={age}; SameSite=Lax{}", secure(config))
}

fn secure(config: &Config) -> &'static str {
    if config.is_secure() { "; Secure" } else { "" }
}

/// Headers that set cookies.
type SetCookies = axum::response::AppendHeaders<Vec<(HeaderName, HeaderValue)>>;

/// Answers with cookies.
pub(crate) fn set_cookies(cookies: impl IntoIterator<Item = String>) -> SetCookies {
    let values = cookies.into_iter().filter_map(|cookie| HeaderValue::from_str(&cookie).ok());
    axum::response::AppendHeaders(values.map(|value| (header::SET_COOKIE, value)).collect())
}
