//! The file with the peppers: one line for each, 64 hexadecimal digits; what follows `#` is for people.
//!
//! Which of them is current stands in the database. A file with one line is what it always was.

use std::{fmt::Write as _, fs, io, path::Path};

use keydock_core::secret::{Pepper, PepperId};
use keydock_storage::db::{self, Db, Tx};
use rand::RngExt as _;
use zeroize::Zeroizing;

use super::{StartError, make_folder, random_numbers, write_secret_file};
use crate::{
    App,
    access::{journal, pepper_store, peppers::Peppers},
    config::Config,
    peppers,
};

type PepperBytes = Zeroizing<[u8; Pepper::LEN]>;

/// Reads the peppers, or makes one for a database that has met none yet, and takes care that every one
/// is there that the database needs.
pub(super) async fn open(config: &Config, db: &Db) -> Result<Peppers, StartError> {
    let mut all = peppers_in(&config.pepper_file)?;
    let known = current_check(db).await?;
    if known.is_none() && all.is_empty() {
        all.push(add_pepper(&config.pepper_file)?);
    }
    let current = sort(config, &mut all, known.as_deref())?;
    remember(db, &current).await?;
    // Of two nodes that start together, the other one may have been faster.
    sort(config, &mut all, current_check(db).await?.as_deref())?;
    confirm_needed(config, db, &all).await?;
    let other = || StartError::OtherPepper { path: config.pepper_file.clone() };
    let peppers = Peppers::new(all).ok_or_else(other)?;
    peppers.refresh(db).await?;
    Ok(peppers)
}

/// Puts the one first that the database knows as the current one.
fn sort(config: &Config, all: &mut [Pepper], known: Option<&str>) -> Result<Pepper, StartError> {
    let at = match known {
        Some(known) => all.iter().position(|pepper| pepper.check() == known),
        None => (!all.is_empty()).then_some(0),
    };
    let at = at.ok_or_else(|| StartError::OtherPepper { path: config.pepper_file.clone() })?;
    all.swap(0, at);
    Ok(all[0].clone())
}

async fn remember(db: &Db, pepper: &Pepper) -> Result<(), StartError> {
    let journal = journal::identity(pepper);
    let write = async |tx: &mut Tx| {
        pepper_store::remember_first(tx, &pepper.check(), pepper.id(), &journal).await
    };
    db.write(write).await?;
    Ok(())
}

async fn confirm_needed(config: &Config, db: &Db, all: &[Pepper]) -> Result<(), StartError> {
    let needed = db.read(async |tx| peppers::needed(tx).await).await?;
    let is_here = |id: &String| all.iter().any(|pepper| pepper.id().to_string() == *id);
    match needed.into_iter().find(|(id, _)| !is_here(id)) {
        None => Ok(()),
        Some((id, secrets)) => {
            Err(StartError::MissingPepper { path: config.pepper_file.clone(), id, secrets })
        }
    }
}

async fn current_check(db: &Db) -> Result<Option<String>, db::Error> {
    db.read(async |tx| pepper_store::setting(tx, "pepper_check").await).await
}

/// Checks that the peppers fit the database, as the start does, and makes none. `false` if there are
/// none yet.
pub async fn check_pepper(config: &Config, db: Option<&Db>) -> Result<bool, StartError> {
    let mut all = peppers_in(&config.pepper_file)?;
    let Some(db) = db else { return Ok(!all.is_empty()) };
    if !db.pending_migrations().await?.is_empty() {
        return Ok(!all.is_empty());
    }
    let known = current_check(db).await?;
    if known.is_none() && all.is_empty() {
        return Ok(false);
    }
    sort(config, &mut all, known.as_deref())?;
    confirm_needed(config, db, &all).await?;
    Ok(true)
}

/// The peppers, for somebody who only looks, the newest first: none if their file is not here. Those of
/// another database are an error.
pub async fn present_peppers(config: &Config, db: &Db) -> Result<Vec<Pepper>, StartError> {
    let mut all = peppers_in(&config.pepper_file)?;
    if all.is_empty() {
        return Ok(all);
    }
    sort(config, &mut all, current_check(db).await?.as_deref())?;
    let known = db.read(async |tx| pepper_store::known(tx).await).await?;
    let age = |pepper: &Pepper| {
        known.iter().position(|known| known.id == pepper.id().to_string()).unwrap_or(usize::MAX)
    };
    // One that was never current has sealed nothing.
    all.retain(|pepper| known.is_empty() || age(pepper) < usize::MAX);
    all.sort_by_key(age);
    Ok(all)
}

/// The peppers for a command that changes keys while the server may run.
pub async fn peppers_for(config: &Config, db: &Db) -> Result<Peppers, StartError> {
    let mut all = peppers_in(&config.pepper_file)?;
    sort(config, &mut all, current_check(db).await?.as_deref())?;
    let other = || StartError::OtherPepper { path: config.pepper_file.clone() };
    let peppers = Peppers::new(all).ok_or_else(other)?;
    peppers.refresh(db).await?;
    Ok(peppers)
}

/// The peppers for a database that knows its current one by this and needs those with these ids; or
/// those that are missing.
pub(crate) fn for_restore(
    config: &Config,
    current: Option<&str>,
    needed: &[String],
) -> Result<Result<Peppers, Vec<String>>, StartError> {
    let mut all = peppers_in(&config.pepper_file)?;
    let here: Vec<String> = all.iter().map(|pepper| pepper.id().to_string()).collect();
    let mut missing: Vec<String> = needed.iter().filter(|id| !here.contains(id)).cloned().collect();
    if sort(config, &mut all, current).is_err() && missing.is_empty() {
        missing.extend(current.and_then(|check| check.get(..12)).map(str::to_owned));
    }
    if !missing.is_empty() {
        return Ok(Err(missing));
    }
    Ok(Peppers::new(all).ok_or_else(Vec::new))
}

/// Reads the file again and takes in what was added to it. What was taken out of it stays known until
/// the next start. Gives back the ids of all.
pub(crate) fn reload(app: &App) -> Result<Vec<PepperId>, StartError> {
    for pepper in peppers_in(&app.config().pepper_file)? {
        let id = pepper.id();
        if !app.peppers().add(pepper) {
            tracing::error!(%id, "too many peppers since the start: restart to use this one");
        }
    }
    Ok(app.peppers().ids())
}

/// The peppers of a file, in the order of its lines; none if there is no file.
pub fn peppers_in(path: &Path) -> Result<Vec<Pepper>, StartError> {
    let Some(text) = read(path)? else { return Ok(Vec::new()) };
    let malformed = || StartError::MalformedPepper { path: path.to_owned() };
    let mut all = Vec::new();
    for line in lines(&text) {
        let mut bytes: PepperBytes = Zeroizing::new([0; Pepper::LEN]);
        hex::decode_to_slice(line, bytes.as_mut_slice()).map_err(|_| malformed())?;
        all.push(Pepper::new(&bytes));
    }
    if all.is_empty() { Err(malformed()) } else { Ok(all) }
}

/// What is said on the lines, without remarks.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(said).filter(|said| !said.is_empty())
}

fn said(line: &str) -> &str {
    line.split('#').next().unwrap_or_default().trim()
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>, StartError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StartError::File { path: path.to_owned(), source }),
    }
}

/// Makes a pepper and adds it to the file, which is made if need be.
pub fn add_pepper(path: &Path) -> Result<Pepper, StartError> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let bytes: PepperBytes = Zeroizing::new(random_numbers()?.random());
    let pepper = Pepper::new(&bytes);
    let mut text = read(path)?.unwrap_or_default();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let _ = writeln!(text, "{}", hex::encode(bytes.as_slice()));
    write_secret_file(path, text.as_bytes())?;
    Ok(pepper)
}

/// Takes a pepper out of the file.
pub fn remove_pepper(path: &Path, id: PepperId) -> Result<(), StartError> {
    let Some(text) = read(path)? else { return Ok(()) };
    let is_it = |line: &str| {
        let mut bytes: PepperBytes = Zeroizing::new([0; Pepper::LEN]);
        hex::decode_to_slice(said(line), bytes.as_mut_slice()).is_ok()
            && Pepper::new(&bytes).id() == id
    };
    let mut left = Zeroizing::new(String::with_capacity(text.len()));
    for line in text.lines().filter(|line| !is_it(line)) {
        let _ = writeln!(left, "{line}");
    }
    write_secret_file(path, left.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_pepper_on_each_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets/pepper");
        assert!(peppers_in(&path).unwrap().is_empty());
        let first = add_pepper(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("# ours\n\n  {} # since spring", text.trim())).unwrap();
        let second = add_pepper(&path).unwrap();
        let ids = || peppers_in(&path).unwrap().iter().map(Pepper::id).collect::<Vec<_>>();
        assert_eq!(ids(), [first.id(), second.id()]);
        remove_pepper(&path, first.id()).unwrap();
        assert_eq!(ids(), [second.id()]);
        for wrong in ["", "# nothing\n", "abc\n", "zz\n"] {
            fs::write(&path, wrong).unwrap();
            assert!(peppers_in(&path).is_err(), "{wrong}");
        }
    }
}
