//! A connection whose bytes can be counted, held, cut or ended by a raw GOAWAY frame.
//!
//! It sits between TLS and HTTP, so that a fault never depends on what hyper would do about it.
//! The frame layout is that of RFC 9113, section 6.8.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What the connection does with its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// They pass.
    Open,
    /// The connection stands and nothing passes, either way, for ever.
    BlackHole,
    /// The connection ends with a TCP reset.
    Reset,
    /// The connection ends with a TCP end of stream.
    Close,
    /// An HTTP/2 GOAWAY with this error code goes out, then the connection closes.
    GoAway(u32),
}

/// The control of one connection, shared with whoever injects faults.
#[derive(Debug)]
pub(crate) struct Valve {
    /// The flow, and those who wait for it to change.
    slot: Mutex<(Flow, Vec<Waker>)>,
}

/// Bytes of HTTP (above TLS) that passed, over all connections of a server.
#[derive(Debug, Default)]
pub(crate) struct Bytes {
    pub(crate) read: AtomicU64,
    pub(crate) written: AtomicU64,
}

/// The stream below HTTP.
#[derive(Debug)]
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection under a valve.
#[derive(Debug)]
pub(crate) struct FlowStream {
    wire: Wire,
    valve: Arc<Valve>,
    bytes: Arc<Bytes>,
    /// What is left to send of the GOAWAY frame.
    goaway: Vec<u8>,
}

impl Default for Valve {
    fn default() -> Self {
        Self {
            slot: Mutex::new((Flow::Open, Vec::new())),
        }
    }
}

impl Valve {
    /// Turns the valve, also under a connection that is waiting.
    pub(crate) fn turn(&self, flow: Flow) {
        let wakers = {
            let mut slot = self.slot.lock().expect("no panic under the lock");
            slot.0 = flow;
            std::mem::take(&mut slot.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    fn watch(&self, context: &Context<'_>) -> Flow {
        let mut slot = self.slot.lock().expect("no panic under the lock");
        if !slot.1.iter().any(|waker| waker.will_wake(context.waker())) {
            slot.1.push(context.waker().clone());
        }
        slot.0
    }
}

impl FlowStream {
    pub(crate) fn new(wire: Wire, valve: Arc<Valve>, bytes: Arc<Bytes>) -> Self {
        Self {
            wire,
            valve,
            bytes,
            goaway: Vec::new(),
        }
    }

    fn wire(&mut self) -> Pin<&mut dyn Duplex> {
        let stream: &mut dyn Duplex = match &mut self.wire {
            Wire::Plain(stream) => stream,
            Wire::Tls(stream) => stream,
        };
        Pin::new(stream)
    }

    /// What holds instead of the plain passing of bytes; `None` when they pass.
    fn fault(&mut self, context: &mut Context<'_>) -> Option<Poll<io::Result<()>>> {
        match self.valve.watch(context) {
            Flow::Open => None,
            Flow::BlackHole => Some(Poll::Pending),
            Flow::Close => Some(Poll::Ready(Ok(()))),
            Flow::Reset => {
                let tcp = match &self.wire {
                    Wire::Plain(stream) => stream,
                    Wire::Tls(stream) => stream.get_ref().0,
                };
                Some(Poll::Ready(
                    tcp.set_zero_linger()
                        .and(Err(io::ErrorKind::ConnectionReset.into())),
                ))
            }
            Flow::GoAway(code) => {
                self.goaway = goaway_frame(code);
                Some(self.send_goaway(context))
            }
        }
    }

    fn send_goaway(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.goaway.is_empty() {
            let frame = std::mem::take(&mut self.goaway);
            let written = std::task::ready!(self.wire().poll_write(context, &frame))?;
            self.goaway = frame[written..].to_vec();
        }
        std::task::ready!(self.wire().poll_flush(context))?;
        self.valve.turn(Flow::Close);
        Poll::Ready(Ok(()))
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Duplex for S {}

/// An abrupt end names the highest stream there is: any request may have been worked on.
fn goaway_frame(code: u32) -> Vec<u8> {
    let mut frame = vec![0, 0, 8, 7, 0, 0, 0, 0, 0];
    frame.extend_from_slice(&0x7fff_ffff_u32.to_be_bytes());
    frame.extend_from_slice(&code.to_be_bytes());
    frame
}

impl AsyncRead for FlowStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(fault) = self.fault(context) {
            return fault;
        }
        let before = buffer.filled().len();
        let poll = self.wire().poll_read(context, buffer);
        count(&self.bytes.read, buffer.filled().len() - before);
        poll
    }
}

impl AsyncWrite for FlowStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(fault) = self.fault(context) {
            return fault.map(|end| end.and(Err(io::ErrorKind::BrokenPipe.into())));
        }
        // Counted before it goes out, so that a client who has the bytes finds them counted.
        count(&self.bytes.written, bytes.len());
        let poll = self.wire().poll_write(context, bytes);
        let written = if let Poll::Ready(Ok(written)) = poll {
            written
        } else {
            0
        };
        self.bytes
            .written
            .fetch_sub(length(bytes.len() - written), Ordering::Relaxed);
        poll
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.fault(context)
            .unwrap_or_else(|| self.wire().poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.valve.watch(context) {
            Flow::BlackHole => Poll::Pending,
            // The reset comes with the drop of the socket; an orderly end must not come before it.
            Flow::Reset => Poll::Ready(Ok(())),
            Flow::Open | Flow::Close | Flow::GoAway(_) => self.wire().poll_shutdown(context),
        }
    }
}

fn count(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(length(bytes), Ordering::Relaxed);
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("a length in 64 bits")
}
