//! Pages of lists (CONTRACT 9.3).

use axum::{extract::FromRequestParts, http::request::Parts};
use serde_json::{Value, json};

use super::origin;
use crate::{App, Error, Result};

const DEFAULT_SIZE: i64 = 50;
const MAX_SIZE: i64 = 1_000;

/// Which page of a list is wanted, and how links to the others are written.
#[derive(Clone, Debug)]
pub struct PageRequest {
    page: i64,
    size: i64,
    asked: bool,
    base: String,
    filters: Vec<(String, String)>,
}

impl PageRequest {
    /// How many rows come before the page.
    pub fn offset(&self) -> i64 {
        (self.page - 1).saturating_mul(self.size)
    }

    /// How many rows the page has.
    pub fn limit(&self) -> i64 {
        self.size
    }

    /// Whether the client asked for pages at all; some lists are bare otherwise.
    pub fn is_asked(&self) -> bool {
        self.asked
    }

    /// A filter of the query.
    pub fn filter(&self, name: &str) -> Option<&str> {
        let found = self.filters.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The page: its rows, how many there are in all, and links to its neighbours.
    pub fn answer(&self, count: i64, rows: &[Value]) -> Result<Value> {
        let pages = (count + self.size - 1).div_euclid(self.size).max(1);
        if self.page > pages {
            return Err(Error::NoSuchPage);
        }
        let next = (self.page < pages).then(|| self.link(self.page + 1));
        let previous = (self.page > 1).then(|| self.link(self.page - 1));
        Ok(json!({"count": count, "next": next, "previous": previous, "results": rows}))
    }

    fn link(&self, page: i64) -> String {
        let mut query = url_encode(&self.filters);
        if !query.is_empty() {
            query.push('&');
        }
        format!("{}?{query}page={page}", self.base)
    }
}

fn url_encode(pairs: &[(String, String)]) -> String {
    let mut query = String::new();
    for (name, value) in pairs {
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(&percent_encode(name));
        query.push('=');
        query.push_str(&percent_encode(value));
    }
    query
}

fn percent_encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

impl FromRequestParts<App> for PageRequest {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let number = |name: &str| {
            let found = pairs.iter().rev().find(|(key, _)| key == name);
            found.and_then(|(_, value)| value.trim().parse::<i64>().ok()).filter(|n| *n >= 1)
        };
        let asked = pairs
            .iter()
            .any(|(key, value)| matches!(&**key, "page" | "page_size") && !value.is_empty());
        let page_is_wrong = pairs.iter().any(|(key, value)| {
            key == "page" && !value.is_empty() && value.parse::<u32>().is_err()
        });
        if page_is_wrong {
            return Err(Error::NoSuchPage);
        }
        Ok(Self {
            page: number("page").unwrap_or(1),
            size: number("page_size").map_or(DEFAULT_SIZE, |size| size.min(MAX_SIZE)),
            asked,
            base: format!("{}{}", origin(parts, app.config()), parts.uri.path()),
            filters: pairs.into_iter().filter(|(key, _)| key != "page").collect(),
        })
    }
}
