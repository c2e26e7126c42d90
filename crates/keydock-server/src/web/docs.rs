//! The description of the HTTP surface: as OpenAPI, and as pages to read.

use std::sync::Arc;

use axum::{
    Router,
    extract::Path,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use utoipa::openapi::{
    Components, InfoBuilder, LicenseBuilder, OpenApi, SecurityRequirement,
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::problem;
use crate::{App, Error, Result, console};

/// The complete description, as committed and served.
pub fn description() -> OpenApi {
    complete(App::routes().split_for_parts().1)
}

fn complete(mut description: OpenApi) -> OpenApi {
    description.info = InfoBuilder::new()
        .title("keydock")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Publishes document-extraction workflows as HTTP APIs, guarded by platform keys and \
             deployment keys. Errors carry a stable `code`; see /docs.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").build()))
        .build();
    let components = description.components.get_or_insert_with(Components::new);
    let bearer = |text: &str| {
        SecurityScheme::Http(
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(text)).build(),
        )
    };
    let cookie = ApiKey::Cookie(ApiKeyValue::with_description(
        "sessionid",
        "Set by POST /api/v1/login. Changes also need the header X-CSRFToken with the value of the \
         cookie csrftoken.",
    ));
    components.add_security_scheme("platformKey", bearer("A platform key of the organization."));
    components.add_security_scheme("deploymentKey", bearer("A key of the deployment."));
    components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    secure(&mut description);
    description
}

/// Says of each operation what opens it, by where it lives.
fn secure(description: &mut OpenApi) {
    const ADMINS_ONLY: [&str; 1] = ["/platform/keys/"];
    for (path, item) in &mut description.paths.paths {
        let schemes: &[&str] = match path.as_str() {
            "/api/v1/unstract/whoami/"
            | "/introspect"
            | "/platform_details"
            | "/cache"
            | "/usage"
            | "/page-usage"
            | "/adapter_instance"
            | "/custom_tool_instance"
            | "/agentic_tool_instance"
            | "/llm_profile_instance" => &["platformKey"],
            "/forward-auth" => &["platformKey", "deploymentKey"],
            path if path.starts_with("/deployment/") => &["deploymentKey"],
            path if ADMINS_ONLY.iter().any(|part| path.contains(part)) => &["session"],
            path if path.starts_with("/api/v1/unstract/") => &["platformKey", "session"],
            "/api/v1/login" => &[],
            path if path.starts_with("/api/v1/schemas/") => &[],
            path if path.starts_with("/api/v1/") => &["session"],
            _ => &[],
        };
        let requirements: Vec<SecurityRequirement> = schemes
            .iter()
            .map(|name| SecurityRequirement::new::<_, [&str; 0], &str>(*name, []))
            .collect();
        let operations =
            [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in operations.into_iter().flatten() {
            operation.security = Some(requirements.clone());
        }
    }
}

/// The routes that describe the others.
pub fn routes(description: OpenApi) -> Router<App> {
    let description = complete(description);
    let json: Arc<str> = description.to_json().unwrap_or_default().into();
    Router::new()
        .route(
            "/api/v1/openapi.json",
            get(async move || ([(header::CONTENT_TYPE, "application/json")], json.to_string())),
        )
        .route("/docs", get(async || console::docs_page(problem::codes())))
        // The viewer names its files relative to its own address.
        .route("/docs/api", get(async || Redirect::temporary("/docs/api/index.html")))
        .route("/docs/api/{file}", get(async |Path(file): Path<String>| viewer(&file)))
}

/// A file of the embedded viewer of the description.
fn viewer(file: &str) -> Result<Response> {
    let config = Arc::new(utoipa_swagger_ui::Config::from("/api/v1/openapi.json"));
    let served = utoipa_swagger_ui::serve(file, config)
        .map_err(|error| Error::internal(error.to_string()))?;
    let Some(found) = served else { return Err(Error::NotFound { what: "Object" }) };
    // The viewer sets styles from its own script, and asks nobody else for anything.
    let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                  frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_TYPE, found.content_type.clone()),
        (header::CONTENT_SECURITY_POLICY, policy.to_owned()),
    ];
    Ok((StatusCode::OK, headers, found.bytes.into_owned()).into_response())
}

/// The answer for a route that exists for other methods.
pub async fn method_not_allowed(method: Method) -> Error {
    Error::MethodNotAllowed { method: method.as_str().to_owned() }
}
