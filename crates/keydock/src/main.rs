//! The keydock program: the server, and the commands of those who run and use one.

mod cli;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The child that reads documents must confine itself before anything else is started.
    if keydock_engine::sandbox::is_child() {
        return keydock_engine::sandbox::child_main();
    }
    cli::run()
}
