//! The rules of `ARCHITECTURE.md` that a compiler does not check.

#![expect(clippy::unwrap_used, reason = "a broken checkout should fail loudly")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Words that may appear only in files that end in these names.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("sqlx", &[]),
    ("axum", &["api.rs", "console/mod.rs", "access.rs", "app.rs"]),
    (".reveal()", &["api.rs", "bootstrap.rs"]),
    ("Pepper::new", &["bootstrap/pepper_file.rs", "access/peppers.rs", "verify/tests.rs"]),
];

/// Folders in which HTTP is at home.
const HTTP: &[&str] = &["/access/", "/web/", "/telemetry/", "/upload", "/console/"];

/// Features in the order in which they may call each other: later ones call earlier ones.
const FEATURES: &[&str] = &[
    "audit_log",
    "users",
    "sessions",
    "keys",
    "platform_keys",
    "members",
    "organizations",
    "workflows",
    "deployments",
    "deployment_keys",
    "org_deployment_keys",
    "platform_api_keys",
    "executions",
    "refusals",
    "platform_tokens",
    "sdk",
    "tokens",
    "forward_auth",
    "leaked_keys",
    "key_hygiene",
    "canaries",
    "ci_trusts",
    "webhooks",
];

#[test]
fn words_stay_where_they_belong() {
    let mut strays = Vec::new();
    for (file, text) in sources() {
        for (word, homes) in ONLY_IN {
            let at_home = homes.iter().any(|home| file.ends_with(home))
                || (*word == "axum" && HTTP.iter().any(|folder| file.contains(folder)));
            let used = text.contains(&format!("{word}::"))
                || (word.starts_with('.') && text.contains(word))
                || (word.contains("::") && text.contains(word));
            if used && !at_home {
                strays.push(format!("{file}: {word} belongs in {homes:?}"));
            }
        }
    }
    assert!(strays.is_empty(), "{}", strays.join("\n"));
}

/// What may be named although it comes later: a feature has nothing of another left only if that one
/// says so.
const PROOFS: &[(&str, &str)] = &[
    ("workflows/mod.rs", "deployments::Undeployed"),
    ("deployments/mod.rs", "deployment_keys::Keyless"),
];

/// Edges (`api.rs`, `console.rs`, pages) may put features together; operations follow the order.
#[test]
fn features_call_earlier_ones_only() {
    let mut strays = Vec::new();
    for (file, text) in sources() {
        let Some(own) = FEATURES.iter().position(|name| file.contains(&format!("/{name}/"))) else {
            continue;
        };
        let is_edge = file.ends_with("api.rs") || file.contains("/api/");
        if is_edge {
            continue;
        }
        let of_file = PROOFS.iter().filter(|(home, _)| file.ends_with(home));
        let text = of_file.fold(text, |text, (_, proof)| text.replace(proof, ""));
        for later in &FEATURES[own + 1..] {
            if text.contains(&format!("crate::{later}::")) || imports(&text).contains(later) {
                strays.push(format!("{file} calls {later}, which comes later"));
            }
        }
    }
    assert!(strays.is_empty(), "{}", strays.join("\n"));
}

/// SQL stands in a `store.rs`, or in one of the few places that say why not.
#[test]
fn sql_stands_in_stores() {
    const ELSEWHERE: &[&str] = &["access/changes.rs", "access/session.rs", "bootstrap.rs"];
    let mut strays = Vec::new();
    for (file, text) in sources() {
        let is_store = file.contains("store");
        let speaks_sql = ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE FROM"];
        let at_home = is_store || ELSEWHERE.iter().any(|home| file.ends_with(home));
        if speaks_sql.iter().any(|word| text.contains(word)) && !at_home {
            strays.push(file);
        }
    }
    assert!(strays.is_empty(), "SQL outside a store: {strays:?}");
}

/// Proves TEN-02 as far as reading can: every statement on a table of tenants names the organization,
/// or stands in this list with its reason.
#[test]
fn statements_name_the_organization() {
    /// Beginnings of statements that may leave it out, and why.
    const EXCEPTIONS: &[(&str, &str)] = &[
        ("keys/store.rs", "WHERE k.id > $1"),
        ("keys/store.rs", "COUNT(*) FROM keys WHERE TRUE"),
        ("keys/store.rs", "WHERE k.digest = $1 OR k.previous_digest = $1"),
        ("store/uses.rs", "SET last_used_at = used.last_at"),
        // By the operator of the server, or by a server that finds its database restored.
        ("access/key_store.rs", "WHERE digest = $1 AND is_active"),
        ("access/key_store.rs", "WHERE previous_digest = $1 AND previous_until > $2"),
        ("access/key_store.rs", "FROM keys WHERE is_active ORDER BY id"),
        ("access/key_store.rs", "modified_at = $1 WHERE is_active"),
        ("access/key_store.rs", "FROM keys WHERE NOT is_active AND modified_at = $1"),
        // Which digests were made with which pepper, and new digests for old: of everybody.
        ("access/pepper_store.rs", "FROM keys WHERE pepper = $1"),
        ("access/pepper_store.rs", "UPDATE keys SET digest = m.moved_to"),
        ("access/pepper_store.rs", "UPDATE keys SET previous_digest = m.moved_to"),
        ("peppers/store.rs", "SELECT s.id, CAST(SUM(s.secrets)"),
        ("peppers/store.rs", "SELECT s.pepper, s.kind"),
        ("peppers/store.rs", "DELETE FROM sessions WHERE pepper = $1"),
        ("import/store.rs", "UNION SELECT k.previous_digest"),
        // Upkeep: what is over for long enough, of everybody.
        ("store/uses.rs", "WHERE last_used_at < $1"),
        ("store/uses.rs", "WHERE hour < $1"),
        ("store/sealed.rs", "WHERE expires_at <= $1"),
        ("refusals/store.rs", "DELETE FROM refusals WHERE at < $1"),
        ("keys/store.rs", "FROM key_scopes WHERE key_id = $1"),
        ("members/store.rs", "WHERE m.user_id = $1"),
        ("sessions/store.rs", "FROM members WHERE user_id = $1"),
        // A session is a person's, whatever the organization.
        ("sessions/store.rs", "DELETE FROM sessions WHERE"),
        // A restore ends every sign-in.
        ("access/key_store.rs", "DELETE FROM sessions WHERE TRUE"),
        ("access/key_store.rs", "UPDATE platform_tokens SET revoked_at = $1"),
        // There is one chain for all organizations.
        ("audit_log/store.rs", "SET seq = $1, hash = $2, seal = $3 WHERE id = $4"),
        ("audit_log/store.rs", "COUNT(*) FROM audit_events WHERE seq IS"),
        // Upkeep: what is over for long enough, of everybody.
        ("executions/store.rs", "WHERE finished_at < $"),
        ("webhooks/store.rs", "WHERE created_at < $1"),
        ("platform_tokens/store.rs", "WHERE expires_at < $1"),
        ("platform_tokens/store.rs", "WHERE digest = $1 AND expires_at < $2"),
        ("platform_tokens/store.rs", "WHERE k.digest = $1"),
        ("platform_tokens/store.rs", "SET last_used_at = used.last_at"),
        ("executions/store.rs", "WHERE forgotten_at = $1"),
        ("sdk/store.rs", "WHERE expires_at <= $1"),
        ("sdk/store.rs", "WHERE at < $1"),
    ];
    const TABLES: &[&str] = &[
        "keys",
        "key_scopes",
        "key_quotas",
        "key_callers",
        "key_hours",
        "sealed_answers",
        "refusals",
        "deployments",
        "deployment_owners",
        "workflows",
        "workflow_versions",
        "workflow_owners",
        "members",
        "executions",
        "file_executions",
        "sdk_cache",
        "sdk_usage",
        "sdk_page_usage",
        "audit_events",
        "sessions",
        "webhooks",
        "webhook_deliveries",
        "ci_trusts",
        "platform_tokens",
    ];
    let mut strays = Vec::new();
    for (file, text) in sources() {
        for statement in statements(&text) {
            let on_tenants = TABLES.iter().any(|table| {
                ["FROM ", "UPDATE ", "INTO ", "JOIN "]
                    .iter()
                    .any(|verb| statement.contains(&format!("{verb}{table}")))
            });
            let excepted = EXCEPTIONS
                .iter()
                .any(|(home, part)| file.ends_with(home) && statement.contains(part));
            if on_tenants && !statement.contains("org_id") && !excepted {
                strays.push(format!("{file}: {statement}"));
            }
        }
    }
    assert!(strays.is_empty(), "{}", strays.join("\n"));
}

/// The texts between quotation marks that begin like SQL.
fn statements(text: &str) -> Vec<String> {
    text.split('"')
        .skip(1)
        .step_by(2)
        .filter(|part| {
            ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"]
                .iter()
                .any(|verb| part.starts_with(verb))
        })
        .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// The features that a file names in its `use crate::{…}`.
fn imports(text: &str) -> Vec<&'static str> {
    let uses = text.split("use crate::{").nth(1).and_then(|rest| rest.split("};").next());
    let words = uses.unwrap_or_default();
    FEATURES
        .iter()
        .copied()
        .filter(|name| {
            words.lines().any(|line| {
                let line = line.trim();
                line.split([',', ' '])
                    .any(|word| word == *name || word.starts_with(&format!("{name}::")))
            })
        })
        .collect()
}

fn sources() -> Vec<(String, String)> {
    rust_files(Path::new("src"))
        .into_iter()
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect()
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
