//! The journal of revocations: what a restored database would have forgotten.
//!
//! A file outside the database, only ever added to. It follows the log of changes to secrets: for each
//! change it has the number, the digest, and whether that secret is the one that works. A line is on
//! the disk before the change is answered. Since digests are keyed, the file opens nothing and tells
//! nothing to whoever finds it.
//!
//! A database that knows fewer changes than its journal is an older one, put in place of a newer. Then
//! every secret that the journal knows not to work is closed before any key is trusted (DUR-04); and
//! where the journal begins too late to tell, every key is switched off.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use keydock_core::{
    secret::{KeyDigest, Pepper},
    time::Timestamp,
};
use keydock_storage::db::{Db, Tx};
use tokio::{sync::Mutex, task::spawn_blocking};

use super::{
    changes, key_store,
    keyring::{Shared, Standing},
};
use crate::{Error, Result, keys};

/// The first words of the file; another form would have others.
const FORM: &str = "keydock revocations 1";

/// The journal of this node.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    identity: String,
    open: Mutex<Option<Open>>,
    behind: AtomicBool,
}

/// The file, up to which change it is written.
#[derive(Debug)]
struct Open {
    file: File,
    seq: i64,
}

/// What a journal says.
#[derive(Debug)]
pub struct Journaled {
    identity: String,
    /// It knows every change after this one.
    from: i64,
    /// Up to this one.
    last: i64,
    /// Of each secret, the last change and what is true of it since.
    secrets: HashMap<String, (i64, Word)>,
    /// How many bytes of the file were read: a line that was cut off by a crash is none.
    whole: u64,
}

/// What a journal says of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    /// It works.
    Open,
    /// It does not.
    Closed,
    /// It is found under this digest since, because it was made anew with another pepper.
    Moved(String),
}

impl Word {
    fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Self> {
        Some(match words.next()? {
            "open" => Self::Open,
            "closed" => Self::Closed,
            "moved" => Self::Moved(words.next()?.parse::<KeyDigest>().ok()?.to_hex()),
            _ => return None,
        })
    }
}

/// What was done to the keys of a database that is older than its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// It is not older.
    Nothing,
    /// The secrets that were revoked since are closed: so many worked in the old database.
    Closed(u64),
    /// It cannot be known which those are: all keys are switched off, so many worked.
    Quarantined(u64),
}

impl Journal {
    /// The journal of the server that is known by this. The file is opened, or made, when it is first
    /// needed.
    pub fn at(path: PathBuf, identity: String) -> Self {
        Self { path, identity, open: Mutex::default(), behind: AtomicBool::new(false) }
    }

    /// Whether changes could not be written lately. Nothing more is to be revoked until they are.
    pub fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    /// Writes down every change that was committed before the call, and waits for the disk.
    pub async fn catch_up(&self, db: &Db) -> Result<()> {
        let caught_up = self.try_catch_up(db).await;
        self.behind.store(caught_up.is_err(), Ordering::Relaxed);
        caught_up
    }

    async fn try_catch_up(&self, db: &Db) -> Result<()> {
        let mut open = self.open.lock().await;
        let mut at = match open.take() {
            Some(at) => at,
            None => self.open(db).await?,
        };
        let (lines, seq) = db.read(async |tx| lines_after(tx, at.seq).await).await?;
        if !lines.is_empty() {
            // Not kept if it fails: nobody knows then what is in the file, and it is read again.
            let written = spawn_blocking(move || {
                at.file.write_all(lines.as_bytes())?;
                at.file.sync_data()?;
                Ok::<_, io::Error>(at)
            });
            at = written.await.map_err(Error::internal)?.map_err(Error::internal)?;
            at.seq = seq;
        }
        *open = Some(at);
        Ok(())
    }

    /// Opens the file, or begins one that knows what comes from here on.
    async fn open(&self, db: &Db) -> Result<Open> {
        let now = db.read(async |tx| key_store::last_change(tx).await).await?;
        let (path, identity) = (self.path.clone(), self.identity.clone());
        let opened = spawn_blocking(move || open_file(&path, &identity, now));
        opened.await.map_err(Error::internal)?
    }
}

fn open_file(path: &Path, identity: &str, now: i64) -> Result<Open> {
    let known = read(path)?;
    if known.as_ref().is_some_and(|known| known.identity != identity) {
        return Err(Error::internal("the journal of revocations is another server's"));
    }
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::internal)?;
    if let Some(known) = known {
        file.set_len(known.whole).map_err(Error::internal)?;
        return Ok(Open { file, seq: known.last });
    }
    let heading = format!("{FORM} {identity}\nfrom {now}\n");
    file.write_all(heading.as_bytes()).and_then(|()| file.sync_all()).map_err(Error::internal)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::internal)?;
    Ok(Open { file, seq: now })
}

/// The changes after this one as lines, and the number of the last of them.
async fn lines_after(tx: &mut Tx, seq: i64) -> Result<(String, i64)> {
    let (mut lines, mut last) = (String::new(), seq);
    let mut shared = Shared::default();
    for change in changes::after(tx, seq).await? {
        if change.seq > last + 1 {
            // Changes that nobody will ever know: the journal says so.
            let _ = writeln!(lines, "from {}", change.seq - 1);
        }
        last = change.seq;
        let digest = change.digest.to_hex();
        if let Some(to) = change.moved_to {
            let _ = writeln!(lines, "{last} {digest} moved {}", to.to_hex());
            continue;
        }
        let entry = keys::find_entry(tx, &mut shared, &change.digest).await?;
        let works = entry.is_some_and(|entry| entry.standing == Standing::Active);
        let word = if works { "open" } else { "closed" };
        let _ = writeln!(lines, "{last} {digest} {word}");
    }
    Ok((lines, last))
}

/// What the journal of a server is known by whose first pepper was this one: others say nothing about
/// its keys.
pub fn identity(pepper: &Pepper) -> String {
    hex::encode(&pepper.digest_of("journal of revocations", b"")[..16])
}

/// Reads a journal. None if there is no file.
pub fn read(path: &Path) -> Result<Option<Journaled>> {
    match fs::read_to_string(path) {
        Ok(text) => parse(&text).map(Some).ok_or_else(|| {
            Error::internal(format!("{} is no journal of revocations", path.display()))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::internal(format!("cannot read {}: {error}", path.display()))),
    }
}

fn parse(text: &str) -> Option<Journaled> {
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let mut lines = text.get(..whole)?.lines();
    let identity = lines.next()?.strip_prefix(FORM)?.trim().to_owned();
    let from: i64 = lines.next()?.strip_prefix("from ")?.parse().ok()?;
    let mut journaled =
        Journaled { identity, from, last: from, secrets: HashMap::new(), whole: whole as u64 };
    for line in lines {
        if let Some(from) = line.strip_prefix("from ") {
            journaled.from = from.parse().ok()?;
            journaled.last = journaled.last.max(journaled.from);
            continue;
        }
        let mut parts = line.split(' ');
        let seq: i64 = parts.next()?.parse().ok()?;
        let digest: KeyDigest = parts.next()?.parse().ok()?;
        let word = Word::parse(parts)?;
        journaled.last = journaled.last.max(seq);
        let known = journaled.secrets.entry(digest.to_hex()).or_insert((seq, word.clone()));
        if seq >= known.0 {
            *known = (seq, word);
        }
    }
    Some(journaled)
}

impl Journaled {
    /// Whether it is the journal of the server that is known by one of these.
    pub fn is_of(&self, identities: &[String]) -> bool {
        identities.contains(&self.identity)
    }

    /// The secrets that do not work any more because of what happened after this change.
    fn closed_after(&self, seq: i64) -> impl Iterator<Item = KeyDigest> {
        let closed =
            self.secrets.iter().filter(move |(_, (at, word))| *at > seq && !self.works(word));
        closed.filter_map(|(digest, _)| digest.parse().ok())
    }

    /// Whether a secret works of which this was said last.
    fn works(&self, word: &Word) -> bool {
        let mut word = word;
        // Each step is another pepper, so there are few; a journal that goes in a circle is none.
        for _ in 0..64 {
            match word {
                Word::Open => return true,
                Word::Closed => return false,
                Word::Moved(to) => match self.secrets.get(to) {
                    Some((_, next)) => word = next,
                    None => return false,
                },
            }
        }
        false
    }
}

/// Closes what was revoked since, if this database is older than its journal. The caller writes down
/// the changes, as [`App::write`](crate::App::write) does.
pub(crate) async fn recover(tx: &mut Tx, journaled: &Journaled) -> Result<Recovered> {
    let known = key_store::last_change(tx).await?;
    if known >= journaled.last {
        return Ok(Recovered::Nothing);
    }
    key_store::count_from(tx, journaled.last).await?;
    if journaled.from > known {
        return quarantine(tx).await;
    }
    key_store::end_sessions(tx).await?;
    key_store::end_tokens(tx, tx.now()).await?;
    let now: Timestamp = tx.now();
    let mut closed = 0;
    for digest in journaled.closed_after(known) {
        if key_store::close(tx, &digest, now).await? {
            changes::record(tx, &digest);
            closed += 1;
        }
    }
    Ok(Recovered::Closed(closed))
}

/// The same for a backup that was put in place a moment ago. There a journal that ends before the
/// backup does is an old copy, and cannot tell what happened since.
pub(crate) async fn recover_restored(tx: &mut Tx, journaled: &Journaled) -> Result<Recovered> {
    let known = key_store::last_change(tx).await?;
    if journaled.last < known {
        return quarantine(tx).await;
    }
    key_store::end_sessions(tx).await?;
    key_store::end_tokens(tx, tx.now()).await?;
    match recover(tx, journaled).await? {
        Recovered::Nothing => Ok(Recovered::Closed(0)),
        recovered => Ok(recovered),
    }
}

/// Switches every key off and ends every sign-in, since nobody can know which of them still should
/// work.
pub(crate) async fn quarantine(tx: &mut Tx) -> Result<Recovered> {
    key_store::end_sessions(tx).await?;
    key_store::end_tokens(tx, tx.now()).await?;
    let now = tx.now();
    let closed = key_store::close_all(tx, now).await?;
    for digests in &closed {
        digests.record_change(tx);
    }
    key_store::set_quarantine(tx, now).await?;
    Ok(Recovered::Quarantined(closed.len() as u64))
}

/// When all keys were switched off, and how many are so since; none if nobody has to know.
pub async fn quarantined(tx: &mut Tx) -> Result<Option<(Timestamp, i64)>> {
    let Some(at) = key_store::quarantine(tx).await? else { return Ok(None) };
    let count = key_store::count_closed_at(tx, at).await?;
    Ok(Some((at, count)).filter(|(_, count)| *count > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(byte: u8) -> KeyDigest {
        KeyDigest::from_bytes([byte; 32])
    }

    #[test]
    fn the_last_word_about_a_secret_counts() {
        let (one, two) = (digest(1).to_hex(), digest(2).to_hex());
        let text = format!(
            "{FORM} x\nfrom 3\n4 {one} closed\n5 {two} closed\n6 {one} open\n5 {two} open\n7 {two} clo"
        );
        let journaled = parse(&text).unwrap();
        assert_eq!((journaled.from, journaled.last), (3, 6), "what was cut off is no line");
        let cut_off = format!("7 {two} clo").len();
        assert_eq!(journaled.whole, (text.len() - cut_off) as u64);
        assert_eq!(journaled.closed_after(3).count(), 0, "both work again");
        let text =
            format!("{FORM} x\nfrom 3\n4 {one} open\n6 {one} closed\nfrom 9\n10 {two} closed\n");
        let journaled = parse(&text).unwrap();
        assert_eq!(journaled.from, 9, "what was before is not known whole");
        assert_eq!(journaled.closed_after(5).count(), 2);
        assert_eq!(journaled.closed_after(6).count(), 1);
    }

    #[test]
    fn a_secret_that_moved_works_as_long_as_it_does_where_it_is_now() {
        let [one, two, three] = [1, 2, 3].map(|byte| digest(byte).to_hex());
        let moved = format!(
            "{FORM} x\nfrom 3\n4 {two} open\n5 {one} moved {two}\n6 {three} open\n7 {two} moved {three}\n"
        );
        assert_eq!(parse(&moved).unwrap().closed_after(3).count(), 0);
        let closed = format!("{moved}8 {three} closed\n");
        let closed = parse(&closed).unwrap();
        assert_eq!(closed.closed_after(3).count(), 3, "under whichever name a backup has it");
        let circle = format!("{FORM} x\nfrom 3\n4 {one} moved {two}\n5 {two} moved {one}\n");
        assert_eq!(parse(&circle).unwrap().closed_after(3).count(), 2);
    }

    #[test]
    fn what_is_no_journal_is_not_taken_for_one() {
        let one = digest(1).to_hex();
        for text in [
            String::new(),
            format!("{FORM} x\n"),
            format!("{FORM} x\nfrom one\n"),
            "keydock revocations 2 x\nfrom 1\n".to_owned(),
            format!("{FORM} x\nfrom 1\n2 {one} maybe\n"),
            format!("{FORM} x\nfrom 1\n2 {one} moved\n"),
            format!("{FORM} x\nfrom 1\n2 zz closed\n3 {one} closed\n"),
        ] {
            assert!(parse(&text).is_none(), "{text}");
        }
    }
}
