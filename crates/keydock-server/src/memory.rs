//! How the program takes memory: small pages while it is small, large ones for many keys, and nothing
//! that is not needed.
//!
//! The allocator asks the kernel for large pages (2 MiB) wherever it may have them. They make looking
//! up one of a million keys cheaper, and an idle server with a handful half as large again.

/// From how many keys on large pages are worth it.
const MANY: usize = 20_000;

/// Takes small pages from now on. To be called before anything large is made.
pub fn start_small() {
    large_pages(false);
}

/// Takes large pages from now on, if this many keys are to be held.
pub(crate) fn expect_keys(count: usize) {
    if count >= MANY {
        large_pages(true);
    }
}

/// Has the allocator look at what was freed over a second ago and give it back to the system. It does
/// so when it takes a page of memory, which a server with nothing to do never lets it.
pub(crate) fn give_back() {
    const LARGER_THAN_WHAT_IS_KEPT_READY: usize = 1 << 20;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGER_THAN_WHAT_IS_KEPT_READY)));
}

#[cfg(target_os = "linux")]
fn large_pages(wanted: bool) {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(!wanted) {
        // The server works as well, in more or slower memory.
        tracing::debug!(error = &error as &dyn std::error::Error, "the size of pages stays");
    }
}

#[cfg(not(target_os = "linux"))]
fn large_pages(_wanted: bool) {}
