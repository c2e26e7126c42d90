//! Confinement where there is none: refuse.

use super::Limits;
use crate::error::Error;

/// Always an error; reading without walls is not an option.
pub(super) fn confine(_limits: &Limits) -> Result<(), Error> {
    Err(Error::Unavailable { reason: "reading documents safely needs Linux".to_owned() })
}
