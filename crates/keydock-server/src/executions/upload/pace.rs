//! A body as it arrives: bounded in time, in length, and in what is held of it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::time::{Instant, Sleep, sleep};

/// How long to wait for the next piece.
const IDLE: Duration = Duration::from_secs(30);
/// How many bytes a second there must be on the whole, after the first [`IDLE`].
const SLOWEST: u64 = 4 * 1024;
/// How much may arrive before its reader makes anything of it.
const UNREAD: u64 = 64 * 1024;
/// How long a client whose body is refused may go on sending it.
const LET_GO: Duration = Duration::from_secs(10);

/// Why a body is not read any further.
#[derive(Debug, thiserror::Error)]
pub(in crate::executions) enum Cut {
    #[error("it comes too slowly")]
    TooSlow,
    #[error("it is too long")]
    TooLarge,
    #[error("its reader makes nothing of it")]
    Endless,
    #[error("it broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A body that is cut off when it comes too slowly or becomes too long, and is handed on piece by
/// piece, however much of it has arrived: so its reader never holds more than one piece.
#[derive(Debug)]
pub(in crate::executions) struct Paced<S> {
    body: S,
    limit: u64,
    received: u64,
    began: Instant,
    idle: Pin<Box<Sleep>>,
    progress: Progress,
    /// A piece was just handed on, and its reader is to look at it before the next.
    handed_on: bool,
}

/// How a reader says that it made something of what it read.
#[derive(Clone, Debug, Default)]
pub(in crate::executions) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Something was made of what has arrived so far.
    pub(super) fn made(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl<S> Paced<S> {
    pub(in crate::executions) fn new(body: S) -> Self {
        Self {
            body,
            limit: u64::MAX,
            received: 0,
            began: Instant::now(),
            idle: Box::pin(sleep(IDLE)),
            progress: Progress::default(),
            handed_on: false,
        }
    }

    /// Cuts the body off after so many bytes, and when its reader does not say that it makes
    /// something of them.
    pub(super) fn bound(&mut self, limit: u64) -> Progress {
        self.limit = limit;
        self.progress.clone()
    }

    /// Counts what arrived; tells what is wrong with it.
    fn note(&mut self, len: usize) -> Result<(), Cut> {
        let len = len as u64;
        self.received += len;
        self.progress.0.fetch_add(len, Ordering::Relaxed);
        if self.received > self.limit {
            return Err(Cut::TooLarge);
        }
        let allowed = IDLE + Duration::from_secs(self.received / SLOWEST);
        if self.began.elapsed() > allowed {
            return Err(Cut::TooSlow);
        }
        self.idle.as_mut().reset(Instant::now() + IDLE);
        Ok(())
    }
}

impl<S, E> Paced<S>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
    E: Send,
{
    /// Lets a client whose body was refused go on sending for a while, into the void: one that is
    /// cut off in the middle of sending would not see the answer.
    pub(in crate::executions) fn let_go(mut self) {
        tokio::spawn(async move {
            let rest = async { while let Some(Ok(_)) = self.body.next().await {} };
            let _cut_off_or_not = tokio::time::timeout(LET_GO, rest).await;
        });
    }
}

impl<S, E> Stream for Paced<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::error::Error + Send + Sync + 'static,
{
    type Item = Result<Bytes, Cut>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.handed_on) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.progress.0.load(Ordering::Relaxed) > UNREAD {
            return Poll::Ready(Some(Err(Cut::Endless)));
        }
        match self.body.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(piece))) => {
                self.handed_on = true;
                Poll::Ready(Some(self.note(piece.len()).map(|()| piece)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(Cut::Broken(Box::new(error))))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => match Future::poll(self.idle.as_mut(), cx) {
                Poll::Ready(()) => Poll::Ready(Some(Err(Cut::TooSlow))),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    fn pieces(lens: &[usize]) -> Paced<impl Stream<Item = Result<Bytes, Infallible>> + Unpin> {
        let pieces: Vec<_> = lens.iter().map(|len| Ok(Bytes::from(vec![0; *len]))).collect();
        Paced::new(stream::iter(pieces))
    }

    #[tokio::test]
    async fn a_body_passes_whole() {
        let passed: Vec<_> = pieces(&[1, 0, 3]).map(|piece| piece.unwrap().len()).collect().await;
        assert_eq!(passed, [1, 0, 3]);
    }

    #[tokio::test]
    async fn a_body_is_cut_off_at_its_limit() {
        let mut body = pieces(&[2, 2, 2]);
        body.bound(4);
        assert!(body.next().await.unwrap().is_ok());
        assert!(body.next().await.unwrap().is_ok());
        assert!(matches!(body.next().await, Some(Err(Cut::TooLarge))));
    }

    #[tokio::test]
    async fn what_its_reader_makes_nothing_of_ends() {
        let mut body = pieces(&[60_000; 4]);
        assert!(body.next().await.unwrap().is_ok());
        assert!(body.next().await.unwrap().is_ok());
        assert!(matches!(body.next().await, Some(Err(Cut::Endless))));
        let mut body = pieces(&[60_000; 4]);
        let progress = body.bound(u64::MAX);
        while let Some(piece) = body.next().await {
            piece.unwrap();
            progress.made();
        }
    }

    #[tokio::test]
    async fn a_body_that_stands_still_is_cut_off() {
        let mut body = Paced::new(stream::pending::<Result<Bytes, Infallible>>());
        body.idle.as_mut().reset(Instant::now() + Duration::from_millis(10));
        assert!(matches!(body.next().await, Some(Err(Cut::TooSlow))));
    }

    #[tokio::test]
    async fn a_body_that_trickles_is_cut_off() {
        let mut body = pieces(&[1, 1]);
        body.began = Instant::now().checked_sub(IDLE + Duration::from_secs(1)).unwrap();
        assert!(matches!(body.next().await, Some(Err(Cut::TooSlow))));
        let mut body = pieces(&[1 << 20, 1]);
        body.began = Instant::now().checked_sub(IDLE + Duration::from_secs(1)).unwrap();
        assert!(body.next().await.unwrap().is_ok(), "a fast one may take long");
    }
}
