//! The server of a simulated venue: REST and WebSocket on one port, all connections in parallel.

use super::connection;
use super::playback::{Playback, Played, SimulatorSettings};
use super::recording::Tape;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Why a venue cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The address is taken, or not ours.
    #[error("failed to listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// A venue that listens; it serves while [`Simulator::run`] is polled.
#[derive(Debug)]
pub struct Simulator {
    listener: TcpListener,
    address: SocketAddr,
    hub: Arc<Playback>,
}

/// A view of a simulator that outlives it.
#[derive(Debug, Clone)]
pub struct View(Arc<Playback>);

impl View {
    /// What was served so far.
    pub fn played(&self) -> Played {
        self.0.played()
    }
}

impl Simulator {
    /// Listens; port 0 takes any that is free.
    ///
    /// # Errors
    /// [`SimulatorError::Listen`].
    pub async fn bind(
        address: SocketAddr,
        tape: Tape,
        settings: SimulatorSettings,
    ) -> Result<Simulator, SimulatorError> {
        let fault = |source| SimulatorError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        Ok(Simulator {
            listener,
            address,
            hub: Arc::new(Playback::new(tape, settings)),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A view of what is served.
    pub fn view(&self) -> View {
        View(Arc::clone(&self.hub))
    }

    /// Serves until it is dropped, or with `once` until the recording is over and the clients are gone.
    ///
    /// # Cancel safety
    /// Dropping the future ends every connection.
    pub async fn run(self) -> Played {
        let Simulator { listener, hub, .. } = self;
        let mut visits = JoinSet::new();
        let accept = async {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        // Small frames are not kept back for larger ones.
                        let _is_told = stream.set_nodelay(true);
                        visits.spawn(connection::serve(Arc::clone(&hub), stream));
                    }
                    // Out of files, most likely: those in use come back.
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                }
                while visits.try_join_next().is_some() {}
            }
        };
        let play = async {
            hub.play().await;
            if !hub.settings.once {
                std::future::pending::<()>().await;
            }
            hub.linger().await;
        };
        tokio::select! {
            () = accept => {}
            () = play => {}
        }
        hub.played()
    }
}
