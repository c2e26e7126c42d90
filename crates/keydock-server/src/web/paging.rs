//! Pages of lists (CONTRACT 9.3).

use std::num::NonZeroU32;

use axum::{extract::FromRequestParts, http::request::Parts};
use serde_json::{Value, json};
use url::form_urlencoded;

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
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.filters).append_pair("page", &page.to_string());
        format!("{}?{}", self.base, query.finish())
    }
}

impl FromRequestParts<App> for PageRequest {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            // What no text of a database can hold is not found in one either.
            .map(|(key, value)| (key.into_owned(), value.replace('\0', "\u{fffd}")))
            .collect();
        let given = |name: &str| {
            let mut found =
                pairs.iter().rev().filter(|(key, value)| key == name && !value.is_empty());
            found.next().map(|(_, value)| value.trim())
        };
        let page = match given("page") {
            Some(text) => text.parse::<NonZeroU32>().map_err(|_| Error::NoSuchPage)?,
            None => NonZeroU32::MIN,
        };
        let size = given("page_size").and_then(|text| text.parse::<NonZeroU32>().ok());
        let asked = given("page").or(given("page_size")).is_some();
        Ok(Self {
            page: page.get().into(),
            size: size.map_or(DEFAULT_SIZE, |size| i64::from(size.get()).min(MAX_SIZE)),
            asked,
            base: format!("{}{}", origin(parts, app.config()), parts.uri.path()),
            filters: pairs.into_iter().filter(|(key, _)| key != "page").collect(),
        })
    }
}
