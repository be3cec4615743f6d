//! Notifications to the service manager, as `sd_notify(3)` describes them: one datagram each.
//!
//! Without `NOTIFY_SOCKET` there is nobody to notify, and nothing is sent. The crate `sd-notify` (0.5.0, 440 lines of code against
//! 50 here) would wait for a manager that does not read, takes an address after `@` for a path, and reads the environment itself.

use rustix::time::{ClockId, clock_gettime};
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

/// What it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notification {
    /// The service is up, or has reloaded.
    Ready,
    /// The service makes progress.
    Watchdog,
    /// The service reads its settings again.
    Reloading,
    /// The service ends.
    Stopping,
}

impl Notification {
    fn text(self) -> String {
        match self {
            Notification::Ready => "READY=1".to_owned(),
            Notification::Watchdog => "WATCHDOG=1".to_owned(),
            Notification::Reloading => {
                // From systemd 253 on, `Type=notify-reload` wants the time of the monotonic clock with it.
                let now = clock_gettime(ClockId::Monotonic);
                let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
                format!("RELOADING=1\nMONOTONIC_USEC={micros}")
            }
            Notification::Stopping => "STOPPING=1".to_owned(),
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

    /// Sends a notification.
    ///
    /// # Errors
    /// What the system says when nobody listens, or the manager does not read.
    pub fn notify(&self, notification: Notification) -> io::Result<()> {
        self.socket
            .send_to_addr(notification.text().as_bytes(), &self.address)
            .map(|_| ())
    }
}

/// Half of the time that `WATCHDOG_USEC` gives between two notifications, as its manual advises; `None` where no watchdog waits.
pub fn watchdog_every(watchdog_usec: &str) -> Option<Duration> {
    let micros: u64 = watchdog_usec.parse().ok()?;
    (micros > 0).then(|| Duration::from_micros(micros / 2))
}

#[cfg(test)]
mod tests {
    use super::{Notification, ServiceManager, watchdog_every};
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    #[test]
    fn notifications_arrive_as_datagrams() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let inbox = UnixDatagram::bind(&path).unwrap();
        let manager = ServiceManager::at(path.to_str().unwrap()).unwrap();
        let mut buffer = [0; 64];
        for (notification, text) in [
            (Notification::Ready, "READY=1"),
            (Notification::Watchdog, "WATCHDOG=1"),
            (Notification::Reloading, "RELOADING=1"),
            (Notification::Stopping, "STOPPING=1"),
        ] {
            manager.notify(notification).unwrap();
            let length = inbox.recv(&mut buffer).unwrap();
            let told = std::str::from_utf8(&buffer[..length]).unwrap();
            let (word, rest) = told.split_once('\n').unwrap_or((told, ""));
            assert_eq!(word, text);
            let micros = rest.strip_prefix("MONOTONIC_USEC=");
            let is_reload = notification == Notification::Reloading;
            assert_eq!(micros.is_some(), is_reload, "{told:?}");
            assert!(
                micros.is_none_or(|micros| micros.parse::<u64>().is_ok_and(|micros| 0 < micros))
            );
        }
        drop(inbox);
        assert!(
            manager.notify(Notification::Watchdog).is_err(),
            "nobody listens"
        );
    }

    #[test]
    fn watchdog_is_fed_twice_in_its_time() {
        assert_eq!(watchdog_every("30000000"), Some(Duration::from_secs(15)));
        assert_eq!((watchdog_every("0"), watchdog_every("x")), (None, None));
    }
}
