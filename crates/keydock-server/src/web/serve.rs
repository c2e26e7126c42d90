//! Listening: connections in, a slow or idle one cut off, and an orderly end.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
};
use hyper::{body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use tokio::net::{TcpListener, TcpStream};

use super::{
    edge::{Answer, Edge},
    pulse::{Felt, InService, Pulse},
};

/// How long requests under way may take once the server ends.
const DRAIN: Duration = Duration::from_secs(30);

/// Serves until `stop` is done, then lets the requests under way end.
pub async fn serve(listener: TcpListener, edge: Edge<Router>, stop: impl Future<Output = ()>) {
    let builder = builder();
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: wait for some to be freed.
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        start(&builder, &connections, stream, peer, edge.clone());
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, connections.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // Answers are small: copying one is less than handing the system two pieces.
    builder.http1().max_headers(64).writev(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .max_concurrent_streams(256);
    builder
}

fn start(
    builder: &Builder<TokioExecutor>,
    connections: &GracefulShutdown,
    stream: TcpStream,
    peer: SocketAddr,
    edge: Edge<Router>,
) {
    // Answers are small and written whole; waiting to fill a packet only delays them.
    let _best_effort = stream.set_nodelay(true);
    let pulse = Pulse::new();
    let stream = Felt::new(TokioIo::new(stream), Arc::clone(&pulse));
    let answering = Answering { edge, peer: peer.ip(), pulse: Arc::clone(&pulse) };
    let connection = builder.serve_connection(stream, answering);
    let watched = connections.watch(connection.into_owned());
    tokio::spawn(async move {
        tokio::select! {
            biased;
            ended = watched => if let Err(error) = ended {
                let error = error.as_ref() as &dyn std::error::Error;
                tracing::debug!(%peer, error, "connection ended");
            },
            () = pulse.stopped() => tracing::debug!(%peer, "connection cut off: nothing moves"),
        }
    });
}

/// What answers the requests of one connection.
struct Answering {
    edge: Edge<Router>,
    peer: IpAddr,
    pulse: Arc<Pulse>,
}

impl Service<Request<Incoming>> for Answering {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = InService<Answer>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let request = request.map(|incoming| self.pulse.body(incoming));
        match self.edge.answer(self.peer, request) {
            made @ Answer::AtOnce(_) => InService::over(made),
            answer @ Answer::Making(_) => self.pulse.serve(answer),
        }
    }
}
