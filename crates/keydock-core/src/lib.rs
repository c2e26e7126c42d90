//! What is true in keydock: pure values and the rules about them.
//!
//! Nothing here reads a file, opens a socket or waits. A value of a type of this crate is the proof
//! that it was checked; nothing downstream checks again.

pub mod fields;
pub mod hygiene;
pub mod id;
pub mod limits;
pub mod organizations;
pub mod pepper;
pub mod role;
pub mod scan;
pub mod secret;
pub mod signatures;
pub mod text;
pub mod time;
pub mod trusts;
pub mod workflows;
