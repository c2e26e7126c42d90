//! Where documents from strangers are read: a child process that can do nothing else.
//!
//! The child is the same program, started with [`CHILD_ARG`] as its only argument; its `main`
//! calls [`child_main`] before it starts anything. The child takes its definition and its limits
//! from its parent, gives up everything that reading needs not (see `confine`), and only then
//! reads the first byte of the document. It may compute, and answer on its standard output.
//!
//! | What a document may try | What happens | What is said |
//! |---|---|---|
//! | open a file, a socket, a process | the kernel kills the child | [`Error::Forbidden`] |
//! | take all memory | the allocator finds none | [`Error::OutOfMemory`] |
//! | take all time | the kernel or the parent kills the child | [`Error::TimedOut`] |
//! | answer without end | the parent stops listening | [`Error::OutputTooLarge`] |
//! | break the parser | the child dies alone | [`Error::Crashed`] |
//!
//! Pictures of text are read by the program Tesseract, in a second child that the parent starts
//! when the first one asks: it gets nothing but pixels, may read nothing but programs, libraries
//! and what they know of languages, and may write nothing but its answer.
//!
//! Confinement needs Linux. On other systems the child refuses to read anything and says so.
//!
//! [`Error::Forbidden`]: crate::Error::Forbidden
//! [`Error::OutOfMemory`]: crate::Error::OutOfMemory
//! [`Error::TimedOut`]: crate::Error::TimedOut
//! [`Error::OutputTooLarge`]: crate::Error::OutputTooLarge
//! [`Error::Crashed`]: crate::Error::Crashed

use serde::{Deserialize, Serialize};

pub use self::{
    child::{Job, child_main, child_main_with, is_child},
    parent::Sandbox,
};

mod child;
#[cfg_attr(target_os = "linux", path = "confine_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "confine_other.rs")]
mod confine;
mod parent;
mod pictures;
mod protocol;
mod spawner;

/// The hidden first argument that makes a program the child.
pub const CHILD_ARG: &str = "__keydock-read-document";

/// The hidden first argument that makes a program the child that reads a picture.
const PICTURE_ARG: &str = "__keydock-read-picture";

/// What reading one document may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of the child, in bytes.
    pub memory_bytes: u64,
    /// Processor time, in seconds.
    pub cpu_seconds: u64,
    /// Time until the answer, in seconds.
    pub wall_seconds: u64,
    /// The largest document, in bytes.
    pub document_bytes: u64,
    /// The longest answer, in bytes.
    pub output_bytes: u64,
    /// How many documents are read at once; others wait.
    pub parallel: usize,
    /// How many pictures of one document are read.
    pub pictures: usize,
    /// Processor time for reading one picture, in seconds.
    pub picture_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 512 << 20,
            cpu_seconds: 30,
            wall_seconds: 60,
            document_bytes: 100 << 20,
            output_bytes: 16 << 20,
            parallel: std::thread::available_parallelism().map_or(2, usize::from),
            pictures: 200,
            picture_seconds: 60,
        }
    }
}
