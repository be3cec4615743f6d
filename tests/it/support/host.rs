//! A thread with a runtime of its own for a test server.
//!
//! A server must answer while its test blocks (a child process, a synchronous client) and must not live on
//! a clock that the test has paused; so it never shares the runtime of the test.

use std::thread;

use tokio::sync::oneshot;

/// A running server thread; dropping it ends the server and waits for the thread.
#[derive(Debug)]
pub(crate) struct Host {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Host {
    /// Runs the future that `main` makes, until it ends or the host is dropped.
    pub(crate) fn start<M, F>(main: M) -> Self
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()>,
    {
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime for a test server");
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = main() => {}
                }
            });
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !thread::panicking()
        {
            panic!("a test server panicked, see above");
        }
    }
}
