//! What every secret must get, as a simple story.

/// The kinds of keys, by where they are managed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Platform,
    PlatformApi,
    Deployment,
    OrgDeployment,
}

pub(crate) const KINDS: [Place; 4] =
    [Place::Platform, Place::PlatformApi, Place::Deployment, Place::OrgDeployment];

/// The longest that an overlap waits for the first use of the new secret.
const LONGEST: i64 = 30 * 86_400 * 1_000_000;

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) keys: Vec<Key>,
    /// Secrets of keys that were deleted.
    pub(crate) gone: Vec<(Place, String)>,
}

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) id: String,
    pub(crate) is_active: bool,
    pub(crate) current: String,
    pub(crate) previous: Option<Previous>,
    /// Those before it, which nobody knows any more.
    older: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Previous {
    secret: String,
    pub(crate) until: i64,
    /// How long it goes on after the first use of the new one.
    waits: Option<i64>,
    /// When that was, as long as it is known in memory only.
    first_use: Option<i64>,
}

impl Place {
    pub(crate) fn keys(self) -> &'static str {
        match self {
            Self::Platform => "platform/keys/",
            Self::PlatformApi => "platform-api/keys/",
            Self::Deployment => "api/keys/",
            Self::OrgDeployment => "global-api-deployment/keys/",
        }
    }

    /// Where a key of the kind works, and how one sees that it does.
    pub(crate) fn works_at(self) -> (&'static str, u16) {
        match self {
            Self::Platform | Self::PlatformApi => ("/api/v1/unstract/whoami/", 200),
            // It asks for a run without naming one.
            Self::Deployment | Self::OrgDeployment => ("/deployment/api/mock_org/invoices/", 400),
        }
    }
}

impl Key {
    pub(crate) fn new(place: Place, id: &str, secret: &str, is_active: bool) -> Self {
        let (id, current) = (id.to_owned(), secret.to_owned());
        Self { place, id, is_active, current, previous: None, older: Vec::new() }
    }

    /// What whoever sends this secret is told; nothing if it works.
    pub(crate) fn answer(&self, secret: &str, now: i64) -> &'static str {
        let state = if self.is_active { "" } else { "key_inactive" };
        match &self.previous {
            _ if secret == self.current => state,
            Some(previous) if previous.secret == secret && now < previous.until => state,
            Some(previous) if previous.secret == secret => "key_rotated_out",
            _ => "key_unknown",
        }
    }

    /// Those that are worth trying.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let previous = self.previous.iter().map(|previous| previous.secret.as_str());
        let older = self.older.iter().rev().take(1).map(String::as_str);
        previous.chain(older).chain([self.current.as_str()])
    }

    /// Whether the first use of the new secret is still to come.
    pub(crate) fn begins_overlap(&self) -> bool {
        let previous = self.previous.as_ref();
        previous.is_some_and(|one| one.waits.is_some() && one.first_use.is_none())
    }

    pub(crate) fn note_first_use(&mut self, now: i64) {
        if let Some(previous) = &mut self.previous {
            previous.first_use = Some(now);
        }
    }
}

impl Model {
    /// When overlaps end, past and to come.
    pub(crate) fn ends(&self) -> impl Iterator<Item = i64> {
        self.keys.iter().filter_map(|key| Some(key.previous.as_ref()?.until))
    }

    pub(crate) fn rotate(
        &mut self,
        place: usize,
        fresh: &str,
        now: i64,
        grace: i64,
        first_use: bool,
    ) {
        let key = &mut self.keys[place];
        let old = std::mem::replace(&mut key.current, fresh.to_owned());
        let (until, waits) =
            if first_use { (now + LONGEST, Some(grace)) } else { (now + grace, None) };
        let previous = Previous { secret: old, until, waits, first_use: None };
        let before = key.previous.replace(previous);
        key.older.extend(before.map(|before| before.secret));
    }

    /// Takes a rotation back or ends its overlap. False if there is none.
    pub(crate) fn settle(&mut self, place: usize, undo: bool, now: i64) -> bool {
        let key = &mut self.keys[place];
        let Some(previous) = key.previous.as_mut().filter(|previous| now < previous.until) else {
            return false;
        };
        if undo {
            std::mem::swap(&mut key.current, &mut previous.secret);
        }
        (previous.until, previous.waits, previous.first_use) = (now, None, None);
        true
    }

    pub(crate) fn switch_off_platform_keys(&mut self) {
        for key in self.keys.iter_mut().filter(|key| key.place == Place::Platform) {
            key.is_active = false;
        }
    }

    pub(crate) fn delete(&mut self, place: usize) {
        let key = self.keys.remove(place);
        let previous = key.previous.map(|previous| previous.secret);
        self.gone.extend(previous.into_iter().chain([key.current]).map(|one| (key.place, one)));
    }

    /// First uses that are written down begin their overlaps.
    pub(crate) fn write_down(&mut self) {
        for previous in self.keys.iter_mut().filter_map(|key| key.previous.as_mut()) {
            if let (Some(first), Some(grace)) = (previous.first_use, previous.waits) {
                previous.until = previous.until.min(first + grace);
                (previous.waits, previous.first_use) = (None, None);
            }
        }
    }

    /// First uses that were not are as if they had not been.
    pub(crate) fn forget_unwritten(&mut self) {
        for previous in self.keys.iter_mut().filter_map(|key| key.previous.as_mut()) {
            previous.first_use = None;
        }
    }
}
