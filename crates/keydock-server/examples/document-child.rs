//! The child process that reads documents, for tests of this crate, which have no program of their
//! own to start.

use std::process::ExitCode;

fn main() -> ExitCode {
    keydock_engine::sandbox::child_main()
}
