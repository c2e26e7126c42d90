//! The built program.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, Result};

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The program to test: `KEYDOCK_BIN`, or the newest that was built here.
pub fn path() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("KEYDOCK_BIN").filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| repository().join("target"), PathBuf::from);
    let built = ["debug", "quick", "release"].map(|profile| target.join(profile).join("keydock"));
    built
        .into_iter()
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .max()
        .map(|(_, path)| path)
        .context("no keydock was built: cargo build -p keydock, or set KEYDOCK_BIN")
}

/// The program, with nothing of the settings of whoever runs the tests.
pub fn command() -> Result<Command> {
    let mut command = Command::new(path()?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KEYDOCK_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none if it was killed.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said beside that.
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs a command of the program to its end.
pub fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Ended> {
    let mut command = command()?;
    command.args(arguments).envs(environment.iter().copied()).current_dir(repository());
    Ok(command.output()?.into())
}
