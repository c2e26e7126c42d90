//! Whether a connection is alive: somebody who sends half a request, or takes no answer, is cut off.
//!
//! A timer for every request, as hyper has one, costs more than verifying a key. Here a connection
//! leaves marks while it works, and one slow clock a connection looks at them.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Bytes;
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    rt::{Read, ReadBuf, ReadBufCursor, Write},
};

/// How often a connection is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Looks after which nothing has moved although a request has begun, or none ever has: 15 s.
const LOOKS_BUSY: u32 = 3;

/// Looks for which an answered connection is kept for the next request: 75 s, longer than the
/// proxies in front of it keep theirs.
const LOOKS_IDLE: u32 = 15;

/// The marks that one connection leaves.
#[derive(Debug)]
pub(super) struct Pulse {
    /// Requests that handlers are at work on; they have limits of their own.
    in_service: AtomicU32,
    /// Whether bytes of an answer have gone out since the last look.
    moved: AtomicBool,
    /// Whether bytes of a request are awaited: from the first ones, and on a new connection.
    awaited: AtomicBool,
    /// Whether a request was answered before all of it was read.
    unread: AtomicBool,
}

impl Pulse {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            in_service: AtomicU32::new(0),
            moved: AtomicBool::new(false),
            awaited: AtomicBool::new(true),
            unread: AtomicBool::new(false),
        })
    }

    /// The body of a request, of which it is felt whether somebody reads it to its end.
    pub(super) fn body(self: &Arc<Self>, incoming: Incoming) -> axum::body::Body {
        if incoming.is_end_stream() {
            return axum::body::Body::empty();
        }
        axum::body::Body::new(FeltBody { incoming, is_over: false, pulse: Arc::clone(self) })
    }

    /// An answer that is being made; until it is, the connection is alive.
    pub(super) fn serve<F>(self: &Arc<Self>, answer: F) -> InService<F> {
        self.in_service.fetch_add(1, Ordering::Relaxed);
        InService { answer, pulse: Some(Arc::clone(self)) }
    }

    /// Done when the connection is to be cut off.
    pub(super) async fn stopped(&self) {
        let mut looks = 0;
        let mut was_awaited = true;
        loop {
            tokio::time::sleep(LOOK).await;
            let awaited = self.awaited.load(Ordering::Relaxed);
            let is_alive = self.in_service.load(Ordering::Relaxed) > 0
                || self.moved.swap(false, Ordering::Relaxed)
                || (awaited && !was_awaited);
            was_awaited = awaited;
            looks = if is_alive { 0 } else { looks + 1 };
            if looks >= if awaited { LOOKS_BUSY } else { LOOKS_IDLE } {
                return;
            }
        }
    }
}

/// A request that a handler is at work on.
#[derive(Debug)]
pub(super) struct InService<F> {
    answer: F,
    pulse: Option<Arc<Pulse>>,
}

impl<F> InService<F> {
    /// An answer that is made already, which nobody is at work on.
    pub(super) fn over(answer: F) -> Self {
        Self { answer, pulse: None }
    }
}

impl<F: Future + Unpin> Future for InService<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        Pin::new(&mut self.answer).poll(cx)
    }
}

impl<F> Drop for InService<F> {
    fn drop(&mut self) {
        if let Some(pulse) = &self.pulse {
            pulse.in_service.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The body of a request that is being read.
#[derive(Debug)]
struct FeltBody {
    incoming: Incoming,
    is_over: bool,
    pulse: Arc<Pulse>,
}

impl Body for FeltBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        self.is_over = frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for FeltBody {
    fn drop(&mut self) {
        if !self.is_over && !self.incoming.is_end_stream() {
            self.pulse.unread.store(true, Ordering::Relaxed);
        }
    }
}

/// A stream that marks what goes through it.
#[derive(Debug)]
pub(super) struct Felt<T> {
    stream: T,
    pulse: Arc<Pulse>,
    /// Whether the end of what is sent was said.
    is_shut: bool,
}

impl<T> Felt<T> {
    pub(super) fn new(stream: T, pulse: Arc<Pulse>) -> Self {
        Self { stream, pulse, is_shut: false }
    }

    fn mark(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.pulse.moved.store(true, Ordering::Relaxed);
            self.pulse.awaited.store(false, Ordering::Relaxed);
        }
        written
    }
}

impl<T: Read + Unpin> Read for Felt<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() {
            self.pulse.awaited.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl<T: Read + Unpin> Felt<T> {
    /// Reads to the end and keeps nothing.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut space = [MaybeUninit::uninit(); 4096];
        loop {
            let mut bytes = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut self.stream).poll_read(cx, bytes.unfilled()))?;
            if bytes.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<T: Read + Write + Unpin> Write for Felt<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.mark(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Says that no more will be sent. Who is still sending a request that was answered already is
    /// let finish: closing on unread bytes resets the connection, and the answer is lost with it.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.is_shut = true;
        }
        if self.pulse.unread.load(Ordering::Relaxed) {
            // For as long as it takes to be cut off for asking nothing.
            self.pulse.awaited.store(true, Ordering::Relaxed);
            return self.poll_discard(cx);
        }
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.mark(written)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{Instant, timeout};

    use super::*;

    async fn seconds_until_stopped(pulse: &Pulse) -> u64 {
        let began = Instant::now();
        pulse.stopped().await;
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_no_whole_request_is_cut_off_soon() {
        let pulse = Pulse::new();
        assert_eq!(seconds_until_stopped(&pulse).await, 15, "nothing came at all");
        pulse.awaited.store(false, Ordering::Relaxed);
        assert_eq!(seconds_until_stopped(&pulse).await, 75, "it was answered and may ask again");
        let asking_late = async {
            tokio::time::sleep(Duration::from_secs(62)).await;
            pulse.awaited.store(true, Ordering::Relaxed);
            pending::<()>().await;
        };
        let began = Instant::now();
        tokio::select! {
            () = pulse.stopped() => assert_eq!(began.elapsed().as_secs(), 80, "65 and 15"),
            () = asking_late => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_served_or_takes_the_answer_is_not_cut_off() {
        let pulse = Pulse::new();
        let at_work = pulse.serve(());
        let hour = Duration::from_hours(1);
        timeout(hour, pulse.stopped()).await.expect_err("a handler is at work");
        drop(at_work);
        let taking = async {
            loop {
                pulse.moved.store(true, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(4)).await;
            }
        };
        tokio::select! {
            () = pulse.stopped() => panic!("it takes the answer, if slowly"),
            _ = timeout(hour, taking) => {}
        }
        assert_eq!(seconds_until_stopped(&pulse).await, 15 + 5, "the last bytes counted once");
    }
}
