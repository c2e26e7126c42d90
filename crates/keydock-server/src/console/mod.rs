//! The pages for people: so far the sign-in form, a start page, and the page of error codes.

use askama::Template;
use axum::{
    Router,
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};

use crate::{
    App, Error, Result,
    access::{CSRF_FIELD, Person},
    members::{self, Membership},
    users,
};

const STYLE: &str = include_str!("style.css");

/// Everything comes from this server, nothing is inline, and nobody may put a page of ours in a frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The routes of the pages.
pub fn routes() -> Router<App> {
    Router::new().route("/", get(start)).route("/assets/style.css", get(style))
}

async fn style() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, STYLE)
}

#[derive(Template)]
#[template(path = "console/login.html")]
struct LoginPage<'a> {
    csrf_field: &'static str,
    csrf: &'a str,
    error: Option<&'a str>,
}

/// The sign-in form.
pub(crate) fn login_page(csrf: &str, error: Option<&str>) -> Result<Response> {
    page(&LoginPage { csrf_field: CSRF_FIELD, csrf, error })
}

#[derive(Template)]
#[template(path = "console/start.html")]
struct StartPage {
    person: Option<Known>,
    version: &'static str,
}

struct Known {
    email: String,
    memberships: Vec<Membership>,
}

async fn start(State(app): State<App>, person: Result<Person>) -> Result<Response> {
    let person = match person {
        Err(_) => None,
        Ok(person) => Some(
            app.read(async |tx| {
                let email = users::get(tx, &person).await?.email.to_string();
                Ok(Known { email, memberships: members::of_person(tx, &person).await? })
            })
            .await?,
        ),
    };
    page(&StartPage { person, version: env!("CARGO_PKG_VERSION") })
}

#[derive(Template)]
#[template(path = "console/docs.html")]
struct DocsPage {
    codes: &'static [(&'static str, &'static str)],
}

/// The page that explains the interface and its error codes.
pub(crate) fn docs_page(codes: &'static [(&'static str, &'static str)]) -> Result<Response> {
    page(&DocsPage { codes })
}

fn page(template: &impl Template) -> Result<Response> {
    let html = template.render().map_err(Error::internal)?;
    let headers: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    Ok((headers, Html(html)).into_response())
}
