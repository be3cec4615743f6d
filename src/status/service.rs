//! Notifications to the service manager, as `sd_notify(3)` describes them: one datagram each.
//!
//! Without `NOTIFY_SOCKET` there is nobody to tell, and nothing is sent.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// A service manager that listens.
#[derive(Debug)]
pub struct ServiceManager {
    socket: UnixDatagram,
    address: SocketAddr,
}

/// Something to tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// The service is up, or has reloaded.
    Ready,
    /// The service makes progress.
    Watchdog,
    /// The service reads its settings again.
    Reloading,
    /// The service ends.
    Stopping,
}

impl Word {
    const fn text(self) -> &'static str {
        match self {
            Word::Ready => "READY=1",
            Word::Watchdog => "WATCHDOG=1",
            Word::Reloading => "RELOADING=1",
            Word::Stopping => "STOPPING=1",
        }
    }
}

impl ServiceManager {
    /// Finds the service manager at the address in `NOTIFY_SOCKET`: a path, or a name after `@`.
    ///
    /// # Errors
    /// What the system says of an address that is none.
    pub fn at(notify_socket: &str) -> io::Result<ServiceManager> {
        let address = match notify_socket.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(notify_socket)?,
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not stop us.
        socket.set_nonblocking(true)?;
        Ok(ServiceManager { socket, address })
    }

    /// Tells a word.
    ///
    /// # Errors
    /// What the system says when nobody listens, or the manager does not read.
    pub fn tell(&self, word: Word) -> io::Result<()> {
        self.socket
            .send_to_addr(word.text().as_bytes(), &self.address)
            .map(|_| ())
    }
}

/// Half of the time that `WATCHDOG_USEC` gives between two words, as its manual advises; `None` where no watchdog waits.
pub fn watchdog_every(watchdog_usec: &str) -> Option<Duration> {
    let micros: u64 = watchdog_usec.parse().ok()?;
    (micros > 0).then(|| Duration::from_micros(micros / 2))
}

#[cfg(test)]
mod tests {
    use super::{ServiceManager, Word, watchdog_every};
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    #[test]
    fn words_arrive_as_datagrams() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let inbox = UnixDatagram::bind(&path).unwrap();
        let manager = ServiceManager::at(path.to_str().unwrap()).unwrap();
        let mut buffer = [0; 64];
        for (word, text) in [
            (Word::Ready, "READY=1"),
            (Word::Watchdog, "WATCHDOG=1"),
            (Word::Reloading, "RELOADING=1"),
            (Word::Stopping, "STOPPING=1"),
        ] {
            manager.tell(word).unwrap();
            let length = inbox.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], text.as_bytes());
        }
        drop(inbox);
        assert!(manager.tell(Word::Watchdog).is_err(), "nobody listens");
    }

    #[test]
    fn watchdog_is_fed_twice_in_its_time() {
        assert_eq!(watchdog_every("30000000"), Some(Duration::from_secs(15)));
        assert_eq!((watchdog_every("0"), watchdog_every("x")), (None, None));
    }
}
