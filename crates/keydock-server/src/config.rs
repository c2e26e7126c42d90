//! What an operator can set, checked whole before anything starts.

use std::{
    net::{IpAddr, SocketAddr},
    num::{NonZeroU32, NonZeroUsize},
    path::{Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;
use keydock_core::{organizations::OrgName, secret::SecretForm};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::access::leaks::OnLeak;

/// The settings of a server, checked.
#[derive(Clone)]
pub struct Config {
    /// The folder of everything that is kept.
    pub data: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The address of the database.
    pub database: String,
    /// How many connections to it.
    pub database_connections: u32,
    /// The file with the pepper.
    pub pepper_file: PathBuf,
    /// The file with what a restored database would have forgotten of revocations.
    pub revocation_journal: PathBuf,
    /// The organization that is founded at the first start.
    pub first_org: OrgName,
    /// The first administrator, where the operator names one.
    pub admin: Option<FirstAdmin>,
    /// How new secrets are written.
    pub secret_form: SecretForm,
    /// How long a session lasts.
    pub session_age: Duration,
    /// The largest upload, in bytes, all files together.
    pub upload_limit: u64,
    /// How many runs an organization may have under way.
    pub org_executions: u32,
    /// How many runs all may have under way.
    pub all_executions: u32,
    /// How long results are kept.
    pub result_age: Duration,
    /// How many documents are read at a time.
    pub workers: NonZeroUsize,
    /// Unknown keys that an address may send in a minute before it is told to wait.
    pub guesses: NonZeroU32,
    /// What is done about a key that somebody found and reported.
    pub leaked_keys: OnLeak,
    /// What is done about keys that nobody uses.
    pub dormancy: Dormancies,
    /// Addresses inside that may be called all the same, and over `http` and at any port.
    pub outbound_allow: Vec<IpNet>,
    public_url: Option<String>,
    trusted_proxies: Vec<IpNet>,
}

/// What is done about keys that nobody uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dormancies {
    /// After how many days they are switched off, in organizations that say nothing else; 0 for never.
    pub after_days: u32,
    /// How many days before that somebody is told.
    pub warning_days: u32,
}

impl Dormancies {
    /// The longest time that a key can be said to go unused: ten years.
    pub const MOST_DAYS: u32 = 3_650;
}

/// The first administrator of a server, as the operator named it.
#[derive(Clone)]
pub struct FirstAdmin {
    /// The name to sign in with.
    pub username: String,
    /// The password.
    pub password: Zeroizing<String>,
}

impl std::fmt::Debug for FirstAdmin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FirstAdmin({})", self.username)
    }
}

/// The settings as they are written: every one may be left out.
///
/// In `keydock.toml` under these names, in the environment as `KEYDOCK_…` in capitals.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each has the meaning of its namesake in Config")]
pub struct Settings {
    pub data: Option<PathBuf>,
    pub listen: Option<String>,
    pub database: Option<String>,
    pub database_connections: Option<u32>,
    pub pepper_file: Option<PathBuf>,
    pub revocation_journal: Option<PathBuf>,
    pub public_url: Option<String>,
    pub trusted_proxies: Option<Vec<String>>,
    pub first_org: Option<String>,
    pub admin_user: Option<String>,
    pub admin_password: Option<Zeroizing<String>>,
    pub secret_form: Option<String>,
    pub session_age_seconds: Option<u64>,
    pub upload_limit_mb: Option<u64>,
    pub org_executions: Option<NonZeroU32>,
    pub all_executions: Option<NonZeroU32>,
    pub result_age_hours: Option<u64>,
    pub workers: Option<NonZeroUsize>,
    pub guesses_per_minute: Option<NonZeroU32>,
    pub leaked_keys: Option<String>,
    pub dormant_after_days: Option<u32>,
    pub dormant_warning_days: Option<u32>,
    pub outbound_allow: Option<Vec<String>>,
}

/// Why the settings cannot be used; names the setting and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct InvalidSetting {
    /// The setting.
    pub setting: &'static str,
    /// What is wrong with it and what to write.
    pub reason: String,
}

pub(crate) fn invalid(setting: &'static str, reason: impl Into<String>) -> InvalidSetting {
    InvalidSetting { setting, reason: reason.into() }
}

impl Settings {
    /// Reads `keydock.toml`.
    pub fn from_toml(text: &str) -> Result<Self, InvalidSetting> {
        // Not the error whole: it shows the line, which may hold a password.
        toml::from_str(text).map_err(|error| {
            let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or_default());
            let line = before.matches('\n').count() + 1;
            invalid("keydock.toml", format!("line {line}: {}", error.message()))
        })
    }

    /// These settings, and those of `weaker` where these have none.
    #[must_use]
    pub fn or(self, weaker: Self) -> Self {
        Self {
            data: self.data.or(weaker.data),
            listen: self.listen.or(weaker.listen),
            database: self.database.or(weaker.database),
            database_connections: self.database_connections.or(weaker.database_connections),
            pepper_file: self.pepper_file.or(weaker.pepper_file),
            revocation_journal: self.revocation_journal.or(weaker.revocation_journal),
            public_url: self.public_url.or(weaker.public_url),
            trusted_proxies: self.trusted_proxies.or(weaker.trusted_proxies),
            first_org: self.first_org.or(weaker.first_org),
            admin_user: self.admin_user.or(weaker.admin_user),
            admin_password: self.admin_password.or(weaker.admin_password),
            secret_form: self.secret_form.or(weaker.secret_form),
            session_age_seconds: self.session_age_seconds.or(weaker.session_age_seconds),
            upload_limit_mb: self.upload_limit_mb.or(weaker.upload_limit_mb),
            org_executions: self.org_executions.or(weaker.org_executions),
            all_executions: self.all_executions.or(weaker.all_executions),
            result_age_hours: self.result_age_hours.or(weaker.result_age_hours),
            workers: self.workers.or(weaker.workers),
            guesses_per_minute: self.guesses_per_minute.or(weaker.guesses_per_minute),
            leaked_keys: self.leaked_keys.or(weaker.leaked_keys),
            dormant_after_days: self.dormant_after_days.or(weaker.dormant_after_days),
            dormant_warning_days: self.dormant_warning_days.or(weaker.dormant_warning_days),
            outbound_allow: self.outbound_allow.or(weaker.outbound_allow),
        }
    }

    /// Checks everything and fills in what was left out.
    pub fn check(self) -> Result<Config, InvalidSetting> {
        let data = self.data.clone().unwrap_or_else(|| PathBuf::from("keydock-data"));
        let listen = self.listen.as_deref().unwrap_or("127.0.0.1:8080");
        let listen: SocketAddr = listen.parse().map_err(|_| {
            invalid("listen", format!("\"{listen}\" is not ADDRESS:PORT, such as 127.0.0.1:8080"))
        })?;
        let public_url = self.public_url.clone().map(check_public_url).transpose()?;
        let database = match self.database.clone() {
            Some(url) => check_database(url)?,
            None => format!("sqlite:{}", data.join("keydock.db").display()),
        };
        Ok(Config {
            listen,
            database,
            database_connections: check_connections(self.database_connections)?,
            pepper_file: self.pepper_file.clone().unwrap_or_else(|| data.join("secrets/pepper")),
            revocation_journal: self
                .revocation_journal
                .clone()
                .unwrap_or_else(|| data.join("revocations.journal")),
            first_org: self
                .first_org
                .as_deref()
                .unwrap_or("mock_org")
                .parse()
                .map_err(|error| invalid("first_org", format!("{error}")))?,
            admin: self.first_admin()?,
            secret_form: self.form()?,
            session_age: Duration::from_secs(self.session_age_seconds.unwrap_or(86_400)),
            upload_limit: self.upload_limit_mb.unwrap_or(100).saturating_mul(1024 * 1024),
            org_executions: self.org_executions.map_or(20, NonZeroU32::get),
            all_executions: self.all_executions.map_or(100, NonZeroU32::get),
            result_age: Duration::from_secs(
                self.result_age_hours.unwrap_or(24).saturating_mul(3_600),
            ),
            workers: self.workers.unwrap_or_else(default_workers),
            guesses: self.guesses_per_minute.unwrap_or(NonZeroU32::new(100).expect("not zero")),
            leaked_keys: self.on_leak()?,
            dormancy: self.dormancy()?,
            public_url,
            outbound_allow: check_nets("outbound_allow", self.outbound_allow)?,
            trusted_proxies: check_nets("trusted_proxies", self.trusted_proxies)?,
            data,
        })
    }

    fn first_admin(&self) -> Result<Option<FirstAdmin>, InvalidSetting> {
        match (&self.admin_user, &self.admin_password) {
            (None, None) => Ok(None),
            (Some(username), Some(password)) => {
                if password.chars().count() < 8 {
                    return Err(invalid("admin_password", "use at least 8 characters"));
                }
                Ok(Some(FirstAdmin { username: username.clone(), password: password.clone() }))
            }
            (Some(_), None) => Err(invalid("admin_password", "admin_user is set, so set this too")),
            (None, Some(_)) => Err(invalid("admin_user", "admin_password is set, so set this too")),
        }
    }

    fn on_leak(&self) -> Result<OnLeak, InvalidSetting> {
        match self.leaked_keys.as_deref() {
            None | Some("disable") => Ok(OnLeak::Disable),
            Some("warn") => Ok(OnLeak::Warn),
            Some(_) => Err(invalid("leaked_keys", "write \"disable\" or \"warn\"")),
        }
    }

    fn dormancy(&self) -> Result<Dormancies, InvalidSetting> {
        let after_days = self.dormant_after_days.unwrap_or(90);
        let warning_days = self.dormant_warning_days.unwrap_or(14);
        if after_days > Dormancies::MOST_DAYS {
            let most = Dormancies::MOST_DAYS;
            return Err(invalid(
                "dormant_after_days",
                format!("write 1 to {most}, or 0 for never"),
            ));
        }
        if warning_days == 0 || warning_days > Dormancies::MOST_DAYS {
            let most = Dormancies::MOST_DAYS;
            return Err(invalid("dormant_warning_days", format!("write 1 to {most}")));
        }
        Ok(Dormancies { after_days, warning_days })
    }

    fn form(&self) -> Result<SecretForm, InvalidSetting> {
        match self.secret_form.as_deref() {
            None | Some("uuid") => Ok(SecretForm::Uuid),
            Some("prefixed") => Ok(SecretForm::Prefixed),
            Some(_) => Err(invalid("secret_form", "write \"uuid\" or \"prefixed\"")),
        }
    }
}

fn default_workers() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn check_connections(given: Option<u32>) -> Result<u32, InvalidSetting> {
    let connections = given.unwrap_or(16);
    if !(2..=500).contains(&connections) {
        return Err(invalid("database_connections", format!("{connections} is not 2 to 500")));
    }
    Ok(connections)
}

fn check_public_url(text: String) -> Result<String, InvalidSetting> {
    let url = url::Url::parse(&text).map_err(|_| {
        invalid("public_url", "write the whole address, such as https://docs.example.com")
    })?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(invalid(
            "public_url",
            "it must begin with https:// or http:// and name a host",
        ));
    }
    Ok(text)
}

fn check_database(text: String) -> Result<String, InvalidSetting> {
    let known = ["sqlite:", "postgres://", "postgresql://"];
    if known.iter().any(|scheme| text.starts_with(scheme)) {
        return Ok(text);
    }
    Err(invalid("database", "write sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME"))
}

fn check_nets(
    setting: &'static str,
    texts: Option<Vec<String>>,
) -> Result<Vec<IpNet>, InvalidSetting> {
    let parse = |text: String| {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.map_err(|_| {
            invalid(
                setting,
                format!("\"{text}\" is neither an address nor a range such as 10.0.0.0/8"),
            )
        })
    };
    texts.unwrap_or_default().into_iter().map(parse).collect()
}

/// Not more, since both may hold passwords: of the administrator, of the database.
impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("data", &self.data).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("data", &self.data).finish_non_exhaustive()
    }
}

impl Config {
    /// Whether browsers reach this server over TLS, as far as its public address says.
    pub fn is_secure(&self) -> bool {
        self.public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }

    /// The address under which clients reach this server, where the operator says so.
    pub fn public_url(&self) -> Option<&str> {
        self.public_url.as_deref()
    }

    /// Whether this address is a proxy that may speak for others.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&address))
    }

    /// Where documents are kept.
    pub fn blobs(&self) -> PathBuf {
        self.data.join("blobs")
    }

    /// Where the credentials of the first start are left.
    pub fn credentials_file(&self) -> PathBuf {
        self.data.join("first-credentials.txt")
    }

    /// The folder of everything that is kept.
    pub fn data(&self) -> &Path {
        &self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_set_is_enough() {
        let config = Settings::default().check().unwrap();
        assert_eq!(config.database, "sqlite:keydock-data/keydock.db");
        assert_eq!(config.first_org.as_str(), "mock_org");
        assert!(!config.is_secure());
    }

    #[test]
    fn flags_win_over_files() {
        let flags = Settings { listen: Some("127.0.0.1:1".to_owned()), ..Settings::default() };
        let file = Settings::from_toml("listen = \"127.0.0.1:2\"\norg_executions = 3").unwrap();
        let config = flags.or(file).check().unwrap();
        assert_eq!((config.listen.port(), config.org_executions), (1, 3));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases: [(&str, &str); 12] = [
            ("listen = \"8080\"", "listen"),
            ("database = \"mysql://x\"", "database"),
            ("public_url = \"example.com\"", "public_url"),
            ("trusted_proxies = [\"ten\"]", "trusted_proxies"),
            ("outbound_allow = [\"10.0.0\"]", "outbound_allow"),
            ("first_org = \"whoami\"", "first_org"),
            ("admin_user = \"root\"", "admin_password"),
            ("secret_form = \"short\"", "secret_form"),
            ("leaked_keys = \"keep\"", "leaked_keys"),
            ("dormant_after_days = 3651", "dormant_after_days"),
            ("dormant_warning_days = 0", "dormant_warning_days"),
            ("lisen = \"127.0.0.1:1\"", "keydock.toml"),
        ];
        for (text, setting) in cases {
            let error = Settings::from_toml(text).and_then(Settings::check).unwrap_err();
            assert_eq!(error.setting, setting, "{text}: {error}");
        }
    }

    #[test]
    fn an_admin_password_is_not_printed() {
        let settings = Settings {
            admin_user: Some("root".to_owned()),
            admin_password: Some(Zeroizing::new("correct horse".to_owned())),
            ..Settings::default()
        };
        assert!(!format!("{:?}", settings.check().unwrap()).contains("horse"));
    }
}
