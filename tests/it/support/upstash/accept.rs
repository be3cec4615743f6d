//! The connections of the Upstash test server: accepted, under TLS, served until they end.

use std::pin::pin;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::counts::bump;
use super::{Protocols, Shared, service};
use crate::support::door::Keeper;
use crate::support::fault::ConnectionFault;
use crate::support::flow::{FlowStream, Valve, Wire};

/// What a request may do to the connection it came on.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) valve: Arc<Valve>,
    /// Asks for an orderly end: GOAWAY, or `connection: close`.
    pub(super) retire: Notify,
}

/// Accepts until the server is dropped.
pub(super) async fn run(mut keeper: Keeper, shared: Arc<Shared>, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    loop {
        let stream = keeper.accept().await;
        while connections.try_join_next().is_some() {}
        bump(&shared.counts.connections);
        let fault = shared.knobs(|knobs| {
            (!knobs.connection_faults.is_empty()).then(|| knobs.connection_faults.remove(0))
        });
        let (shared, tls) = (Arc::clone(&shared), tls.clone());
        connections.spawn(async move {
            match fault {
                None => serve(stream, shared, tls).await,
                Some(fault) => spoil(stream, fault).await,
            }
        });
    }
}

async fn spoil(mut stream: TcpStream, fault: ConnectionFault) {
    match fault {
        ConnectionFault::Hang => {
            let mut hello = [0; 4096];
            // Whether it came or the client went, the next thing to do is nothing.
            drop(stream.read(&mut hello).await);
            std::future::pending::<()>().await;
        }
        ConnectionFault::Reset => drop(stream.set_zero_linger()),
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, tls: Option<TlsAcceptor>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let wire = match tls {
        None => Wire::Plain(stream),
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => {
                bump(&shared.counts.handshakes);
                Wire::Tls(Box::new(stream))
            }
            Err(_) => return,
        },
    };
    let link = Arc::new(Link::default());
    shared
        .valves
        .lock()
        .expect("no panic under the lock")
        .push(Arc::clone(&link.valve));
    let stream = FlowStream::new(
        wire,
        Arc::clone(&link.valve),
        Arc::clone(&shared.counts.bytes),
    );
    let builder = auto::Builder::new(TokioExecutor::new());
    let builder = match shared.protocols {
        Protocols::Http1AndHttp2 => builder,
        Protocols::Http1 => builder.http1_only(),
        Protocols::Http2 => builder.http2_only(),
    };
    let answer =
        service_fn(|request| service::answer(Arc::clone(&shared), Arc::clone(&link), request));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), answer));
    let ended = tokio::select! {
        biased;
        () = link.retire.notified() => None,
        ended = connection.as_mut() => Some(ended),
    };
    if ended.is_none() {
        connection.as_mut().graceful_shutdown();
        // How a connection ends is the client's to judge.
        drop(connection.await);
    }
    shared
        .valves
        .lock()
        .expect("no panic under the lock")
        .retain(|valve| !Arc::ptr_eq(valve, &link.valve));
}
