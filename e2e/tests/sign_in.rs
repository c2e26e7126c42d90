//! Signing in as a browser does it.

use anyhow::{Context as _, Result};
use keydock_e2e::{Answer, Client, Credential, ORG, Server};
use reqwest::Method;

const FORM: &str = "application/x-www-form-urlencoded";

/// The value of the hidden field in a form.
fn token(page: &str) -> Result<String> {
    let (_, rest) = page.split_once("name=\"csrfmiddlewaretoken\" value=\"").context("no field")?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

/// Fills in the form and sends it.
async fn send(
    nobody: &Client,
    cookie: &str,
    token: &str,
    user: &str,
    password: &str,
) -> Result<Answer> {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            })
            .collect()
    };
    let body = format!(
        "csrfmiddlewaretoken={}&username={}&password={}",
        encode(token),
        encode(user),
        encode(password)
    );
    let request = nobody
        .request(Method::POST, "/api/v1/login")
        .header("content-type", FORM)
        .header("cookie", format!("csrftoken={cookie}"))
        .body(body);
    nobody.answer(request).await
}

#[tokio::test]
async fn a_browser_signs_in_works_and_signs_out() -> Result<()> {
    let server = Server::fresh().await?;
    let credentials = server.credentials();
    let nobody = server.nobody()?;
    let page = nobody.get("/api/v1/login").await?.expect(200)?;
    assert!(page.header("content-type").starts_with("text/html"));
    let cookie = page.cookie("csrftoken").context("no token")?;
    let field = token(&page.text)?;
    assert_eq!(cookie, field);

    let wrong = send(&nobody, &cookie, &field, &credentials.user, "not the password").await?;
    assert_eq!(wrong.status, 200);
    assert!(wrong.text.contains("Invalid username or password. Please try again."));
    assert!(wrong.cookie("sessionid").is_none());
    let forged = send(&nobody, &cookie, "of another page", &credentials.user, "x").await?;
    assert_eq!(forged.status, 403, "{}", forged.text);

    let signed_in =
        send(&nobody, &cookie, &field, &credentials.user, &credentials.password).await?;
    assert_eq!(signed_in.status, 302, "{}", signed_in.text);
    assert_eq!(signed_in.header("location"), "/");
    let set = format!("{:?}", signed_in.headers.get_all("set-cookie").iter().collect::<Vec<_>>());
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
    let browser = nobody.with(Credential::Session {
        cookie: signed_in.cookie("sessionid").context("no session")?,
        csrf: signed_in.cookie("csrftoken").context("no token")?,
    });

    // What the console asks when it starts, in its order.
    assert_eq!(browser.get("/api/v1/session?q=1").await?.status, 201);
    let organizations = browser.get("/api/v1/organization").await?.expect(200)?;
    assert_eq!(organizations.text_at("/organizations/0/id")?, ORG);
    let browser = browser.enter(ORG).await?;
    let path = format!("/api/v1/unstract/{ORG}/users/profile/");
    assert_eq!(browser.get(&path).await?.status, 200);
    assert_eq!(browser.platform_keys(ORG).await?.len(), 1);
    assert_eq!(browser.get("/api/v1/login").await?.status, 302, "signed in already");
    assert!(browser.get("/").await?.expect(200)?.text.contains(ORG));

    let request =
        browser.request(Method::GET, "/api/v1/logout").header("sec-fetch-site", "cross-site");
    assert_eq!(browser.answer(request).await?.status, 403, "not from another site");
    assert_eq!(browser.post("/api/v1/logout", serde_json::json!({})).await?.status, 302);
    assert_eq!(browser.get("/api/v1/session").await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn changes_need_the_token_of_the_session() -> Result<()> {
    let server = Server::fresh().await?;
    let admin = server.admin().await?;
    let Credential::Session { cookie, .. } = admin.credential.clone() else {
        anyhow::bail!("not signed in");
    };
    let path = keydock_e2e::client::keys_path(ORG);
    let forged = admin.with(Credential::Session { cookie, csrf: "guessed".to_owned() });
    let refused = forged.post(&path, serde_json::json!({})).await?;
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("CSRF Failed"), "{}", refused.text);
    assert_eq!(forged.platform_keys(ORG).await?.len(), 1, "reading needs none");
    Ok(())
}

#[tokio::test]
async fn guessing_passwords_is_slowed_down() -> Result<()> {
    let server = Server::fresh().await?;
    let nobody = server.nobody()?;
    let mut refused = None;
    for _ in 0..15 {
        let body = serde_json::json!({"username": "admin", "password": "a guess"});
        let answer = nobody.post("/api/v1/login", body).await?;
        match answer.status {
            401 => {}
            429 => {
                refused = Some(answer);
                break;
            }
            _ => return Err(answer.unexpected()),
        }
    }
    let refused = refused.context("fifteen guesses were answered")?;
    assert!(refused.header("retry-after").parse::<u64>()? > 0);
    Ok(())
}
