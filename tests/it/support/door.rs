//! A listening loopback port that can be closed and opened again without ever being given away.
//!
//! While closed, the port stays bound but does not listen: the kernel refuses connections to it.

use std::net::{Shutdown, SocketAddr};
use std::sync::mpsc as blocking;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;

const BACKLOG: u32 = 1024;

/// The handle: opens and closes the port.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    address: SocketAddr,
    orders: mpsc::Sender<Order>,
}

/// The end that accepts; owned by the server's task.
#[derive(Debug)]
pub(crate) struct Keeper {
    address: SocketAddr,
    orders: mpsc::Receiver<Order>,
    listener: Option<TcpListener>,
    /// Holds the port while no listener does.
    _reservation: TcpSocket,
}

#[derive(Debug)]
struct Order {
    is_open: bool,
    done: blocking::Sender<()>,
}

/// Takes a free loopback port, closed until the handle opens it.
pub(crate) fn door() -> (Door, Keeper) {
    let reservation = socket(SocketAddr::from(([127, 0, 0, 1], 0)));
    let address = reservation
        .local_addr()
        .expect("the address of a bound socket");
    let (orders, inbox) = mpsc::channel(8);
    (
        Door { address, orders },
        Keeper {
            address,
            orders: inbox,
            listener: None,
            _reservation: reservation,
        },
    )
}

/// A bound socket that others of ours may share the port with: the reservation and the listener.
fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("SO_REUSEADDR");
    socket.set_reuseport(true).expect("SO_REUSEPORT");
    socket.bind(address).expect("a free loopback port");
    socket
}

impl Door {
    /// The address, the same for the life of the door.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Refuses new connections from now on, those in the backlog too; those that stand are left alone.
    pub(crate) fn close(&self) {
        self.order(false);
    }

    /// Refuses new connections soon, asked for by the server itself, which must not wait for its own keeper.
    pub(crate) fn close_soon(&self) {
        let (done, _) = blocking::channel();
        self.orders
            .try_send(Order {
                is_open: false,
                done,
            })
            .expect("the server is running");
    }

    /// Accepts connections from now on.
    pub(crate) fn open(&self) {
        self.order(true);
    }

    fn order(&self, is_open: bool) {
        let (done, is_done) = blocking::channel();
        self.orders
            .try_send(Order { is_open, done })
            .expect("the server is running");
        is_done.recv().expect("the server is running");
    }
}

impl Keeper {
    /// Waits for the next connection, doing what the door's handle asks for meanwhile.
    pub(crate) async fn accept(&mut self) -> TcpStream {
        loop {
            let order = tokio::select! {
                biased;
                Some(order) = self.orders.recv() => order,
                stream = next_stream(self.listener.as_ref()) => return stream,
            };
            self.listener = match (order.is_open, self.listener.take()) {
                (false, listener) => {
                    listener.iter().for_each(stop_listening);
                    None
                }
                (true, Some(listener)) => Some(listener),
                (true, None) => Some(socket(self.address).listen(BACKLOG).expect("to listen")),
            };
            // The one who asked may be gone; the door has turned all the same.
            order.done.send(()).ok();
        }
    }
}

/// Closing alone is not enough: a child process between fork and exec holds the listener open for a moment.
fn stop_listening(listener: &TcpListener) {
    SockRef::from(listener)
        .shutdown(Shutdown::Read)
        .expect("a listener that listens");
}

async fn next_stream(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        // A connection that died in the backlog is no reason to stop accepting.
        if let Ok((stream, _)) = listener.accept().await {
            return stream;
        }
    }
}
