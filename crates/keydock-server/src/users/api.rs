//! `POST /api/v1/password`

use axum::{Json, extract::State};
use keydock_wire::{
    errors::{ErrorEnvelope, RefusalBody},
    platform_keys::Message,
    users as wire,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App, Error, FieldError, Result,
    access::{Person, passwords::Password},
    sessions,
    web::Fields,
};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(change_password))
}

/// Change the password
///
/// Of the person who is signed in. Ends all their other sessions.
#[utoipa::path(
    post,
    path = "/api/v1/password",
    tag = "Sessions",
    request_body = wire::ChangePassword,
    responses(
        (status = 200, body = Message),
        (status = 400, body = ErrorEnvelope, description = "The current password is wrong, or the new one too weak"),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "The CSRF token is missing"),
        (status = 429, body = ErrorEnvelope),
    )
)]
async fn change_password(
    person: Person,
    State(app): State<App>,
    mut fields: Fields,
) -> Result<Json<Message>> {
    let current = fields.string("current_password");
    let new = fields.string("new_password");
    fields.finish()?;
    // Counted apart from sign-ins: who is signed in is a number here, which is nobody's name.
    let who = person.user().to_string();
    app.sign_ins().admit(person.ip(), &who).map_err(sessions::too_many)?;
    let new = super::chosen_password("new_password", new.unwrap_or_default())?;
    let stored = app.read(async |tx| super::password_hash(tx, &person).await).await?;
    let current = Password::presented(current.unwrap_or_default());
    if !app.passwords().check(current, Some(stored)).await? {
        app.sign_ins().failed(person.ip(), &who);
        return Err(wrong_password());
    }
    let hash = app.passwords().hash(new).await?;
    app.write(async |tx| {
        super::set_password(tx, &person, &hash).await?;
        sessions::end_others(tx, &person).await
    })
    .await?;
    Ok(Json(Message { message: "success".to_owned() }))
}

fn wrong_password() -> Error {
    FieldError::invalid("current_password", "This is not the current password.").into()
}
