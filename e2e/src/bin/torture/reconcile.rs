//! Whether the audit log and the keys tell the same story: no change without an event, no event
//! without a change (AUD-01).

use std::collections::HashMap;

use anyhow::Result;
use keydock_e2e::database::{Event, StoredKey, keys_and_events};
use keydock_storage::db::Db;

use crate::findings::Findings;

/// The events of one key, added up, in the order in which they were committed.
#[derive(Debug, Default)]
struct Story {
    generated: usize,
    deleted: usize,
    /// Times switched on, less times switched off.
    active: i64,
    versions: Vec<i64>,
    /// Which secret it has, once it was refreshed.
    version: Option<i64>,
    was_active: Option<bool>,
}

/// How many events there are, by what was done.
pub(crate) type Counts = HashMap<String, usize>;

/// Compares the keys of an organization with the events about them. Gives the number of these.
pub(crate) async fn reconcile(db: &Db, org: &str, findings: &Findings) -> Result<Counts> {
    let (keys, events) = keys_and_events(db, org).await?;
    let mut counts = Counts::new();
    let mut stories: HashMap<String, Story> = HashMap::new();
    for event in events {
        *counts.entry(event.action.clone()).or_default() += 1;
        stories.entry(event.subject.clone()).or_default().add(&event);
    }
    let active = keys.iter().filter(|key| key.is_active).count();
    findings.check(keys.len() <= 2 && active <= 1, || format!("{org} is broken: {keys:?}"));
    let known: HashMap<&str, &StoredKey> = keys.iter().map(|key| (key.id.as_str(), key)).collect();
    for key in &keys {
        findings.check(stories.contains_key(&key.id), || format!("{org}: no event about {key:?}"));
    }
    for (id, story) in &stories {
        let key = known.get(id.as_str()).copied();
        findings.check(story.fits(key), || {
            format!("{org}: the events and the key disagree: {id}, {story:?}, {key:?}")
        });
    }
    Ok(counts)
}

impl Story {
    fn add(&mut self, event: &Event) {
        match event.action.as_str() {
            "platform_key_generated" => {
                self.generated += 1;
                self.active += i64::from(event.detail["is_active"] == true);
            }
            "platform_key_activated" => self.active += 1,
            "platform_key_deactivated" => self.active -= 1,
            "platform_key_refreshed" => {
                let version = event.detail["version"].as_i64().unwrap_or_default();
                self.versions.push(version);
                self.version = Some(version);
            }
            "platform_key_refresh_undone" => self.version = event.detail["version"].as_i64(),
            "platform_key_deleted" => {
                self.deleted += 1;
                self.was_active = event.detail["was_active"].as_bool();
            }
            _ => {}
        }
    }

    fn fits(&self, key: Option<&StoredKey>) -> bool {
        let mut versions = self.versions.clone();
        versions.sort_unstable();
        let one_by_one = versions.iter().zip(2..).all(|(version, wanted)| *version == wanted);
        let last = self.version.unwrap_or(1);
        let life = match key {
            Some(key) => {
                self.deleted == 0 && self.active == i64::from(key.is_active) && last == key.version
            }
            None => self.deleted == 1 && self.was_active.map(i64::from) == Some(self.active),
        };
        self.generated == 1 && one_by_one && life
    }
}
