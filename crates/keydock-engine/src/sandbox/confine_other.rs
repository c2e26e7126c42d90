//! Confinement where there is none: refuse.

use std::path::Path;

use super::Limits;
use crate::error::Error;

/// Always an error; reading without walls is not an option.
pub(super) fn confine(_limits: &Limits) -> Result<(), Error> {
    Err(Error::Unavailable { reason: "reading documents safely needs Linux".to_owned() })
}

/// Always an error, for the same reason.
pub(super) fn confine_reader_of_pictures(_: u64, _: u64, _: &Path) -> Result<(), Error> {
    Err(Error::Unavailable { reason: "reading pictures safely needs Linux".to_owned() })
}
