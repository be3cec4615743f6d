//! The life cycle of a connection: wait, connect, run a session, end, reconnect.
//!
//! A stream of reports that reads only while it is asked. Deliberately knows nothing of gaps and batches.

use super::error::LiveError;
use super::event::{Event, RefusalKind};
use super::script::Script;
use super::session::Session;
use super::settings::LiveSettings;
use super::socket::{Dialer, Inbound, Socket};
use barmill_core::engine::retry::{Backoff, RetryPolicy};
use barmill_core::model::Symbol;
use barmill_core::port::{Clock, FrameTap, Remedy};
use futures::stream::{self, BoxStream};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// What a connection tells.
#[derive(Debug)]
pub(crate) enum Report {
    /// A conversation began.
    Opened,
    /// What was received; never empty.
    Events(Vec<Event>),
    /// Every subscription is confirmed.
    Live,
    /// The connection is gone and comes back.
    Down(LiveError),
    /// The connection is gone and stays so; the last report.
    Ended(LiveError),
}

/// What all connections of a feed share.
#[derive(Clone)]
pub(crate) struct ConnectionContext {
    pub(crate) settings: Arc<LiveSettings>,
    pub(crate) dialer: Dialer,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tap: Option<Arc<dyn FrameTap>>,
    /// The origin of the feed's clock.
    pub(crate) epoch: Instant,
    /// Whether connections may be open.
    pub(crate) gate: watch::Receiver<ConnectGate>,
}

/// Whether connections may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectGate {
    /// They may.
    Open,
    /// Not before the consumer catches up.
    Held,
    /// Never again: the feed ends.
    Shut,
}

/// One connection.
pub(crate) struct Connection {
    context: ConnectionContext,
    index: usize,
    symbols: Option<watch::Receiver<Vec<Symbol>>>,
    conversation: Option<(Socket, Session)>,
    backoff: Backoff,
    /// Waits since the last good connection.
    attempts: u32,
    open_at: Instant,
    stall_after: Duration,
    is_announced: bool,
    /// Since when connections are refused for being too many.
    limited_since: Option<Instant>,
    /// What the last read brought besides events.
    pending: Option<LiveError>,
    is_ended: bool,
}

enum Turn {
    Closed,
    Changed,
    Time,
    Received(Result<Inbound, LiveError>),
}

impl Connection {
    /// A connection for some symbols, or for everything; opened when its reports are asked for.
    pub(crate) fn reports(
        context: ConnectionContext,
        index: usize,
        symbols: Option<watch::Receiver<Vec<Symbol>>>,
    ) -> BoxStream<'static, (usize, Report)> {
        let times = &context.settings.times;
        let seed = context
            .settings
            .seed
            .wrapping_add(u64::try_from(index).unwrap_or(0));
        let policy = RetryPolicy {
            attempts_max: u32::MAX,
            backoff: times.backoff_base,
            backoff_max: times.backoff_max,
        };
        let connection = Connection {
            backoff: Backoff::new(policy, seed),
            attempts: 0,
            stall_after: times.stall_after,
            open_at: context.epoch,
            context,
            index,
            symbols,
            conversation: None,
            is_announced: false,
            limited_since: None,
            pending: None,
            is_ended: false,
        };
        Box::pin(stream::unfold(connection, |mut connection| async move {
            if connection.is_ended {
                return None;
            }
            let report = connection.next_report().await;
            connection.is_ended = matches!(report, Report::Ended(_));
            Some(((connection.index, report), connection))
        }))
    }

    async fn next_report(&mut self) -> Report {
        if let Some(fault) = self.pending.take() {
            return self.end(fault).await;
        }
        if self.conversation.is_none() {
            return match self.open().await {
                Ok(()) => Report::Opened,
                Err(fault) => self.end(fault).await,
            };
        }
        let mut events = Vec::new();
        let outcome = self.converse(&mut events).await;
        match outcome {
            Ok(()) if events.is_empty() => {
                self.is_announced = true;
                Report::Live
            }
            Ok(()) => Report::Events(events),
            Err(fault) if events.is_empty() => self.end(fault).await,
            Err(fault) => {
                self.pending = Some(fault);
                Report::Events(events)
            }
        }
    }

    async fn open(&mut self) -> Result<(), LiveError> {
        sleep_until(self.open_at).await;
        // A dropped sender means that nobody holds.
        let _is_told = self
            .context
            .gate
            .wait_for(|gate| *gate == ConnectGate::Open)
            .await
            .is_ok();
        let symbols = match &mut self.symbols {
            Some(symbols) => {
                // Without symbols there is nothing to connect for.
                let _is_told = symbols
                    .wait_for(|symbols| !symbols.is_empty())
                    .await
                    .is_ok();
                Some(symbols.borrow_and_update().clone())
            }
            None => None,
        };
        let socket = self.context.dialer.open().await?;
        let script = Script::new(&self.context.settings, symbols.as_deref());
        let session = Session::new(
            script,
            &self.context.settings,
            self.stall_after,
            self.context.epoch.elapsed(),
        );
        self.conversation = Some((socket, session));
        self.is_announced = false;
        Ok(())
    }

    /// Converses until there are events, or the conversation has just become live and there are none.
    async fn converse(&mut self, events: &mut Vec<Event>) -> Result<(), LiveError> {
        loop {
            let Some((_, session)) = &self.conversation else {
                return Ok(());
            };
            if !events.is_empty() || (session.is_live() && !self.is_announced) {
                return Ok(());
            }
            match self.next_turn().await {
                Turn::Closed if *self.context.gate.borrow() == ConnectGate::Shut => {
                    return Err(LiveError::Left);
                }
                Turn::Closed => return Err(LiveError::Held),
                Turn::Time => {
                    // What waits in the socket was not late; we were.
                    self.read_on(events)?;
                    self.on_time().await?;
                }
                Turn::Changed => return Err(LiveError::Changed),
                Turn::Received(received) => self.on_received(received?, events)?,
            }
            self.read_on(events)?;
        }
    }

    async fn next_turn(&mut self) -> Turn {
        let Some((socket, session)) = &mut self.conversation else {
            return Turn::Time;
        };
        let deadline = self.context.epoch + session.deadline();
        let (gate, symbols) = (&mut self.context.gate, &mut self.symbols);
        tokio::select! {
            biased;
            Ok(_) = gate.wait_for(|gate| *gate != ConnectGate::Open) => Turn::Closed,
            true = changed(symbols) => Turn::Changed,
            () = sleep_until(deadline) => Turn::Time,
            received = socket.receive() => Turn::Received(received),
        }
    }

    async fn on_time(&mut self) -> Result<(), LiveError> {
        let Some((socket, session)) = &mut self.conversation else {
            return Ok(());
        };
        match session.on_time(self.context.epoch.elapsed())? {
            Some(outbound) => socket.send(outbound).await,
            None => Ok(()),
        }
    }

    fn on_received(&mut self, inbound: Inbound, events: &mut Vec<Event>) -> Result<(), LiveError> {
        let now = self.context.epoch.elapsed();
        let Some((_, session)) = &mut self.conversation else {
            return Ok(());
        };
        match inbound {
            Inbound::SignOfLife => session.on_sign_of_life(now),
            Inbound::Frame(frame) => {
                if let Some(tap) = &self.context.tap {
                    tap.on_frame(self.context.clock.now(), self.index, &frame);
                }
                session.on_frame(now, &frame, events)?;
            }
        }
        Ok(())
    }

    /// Takes what is here already, so that a flood travels in large batches.
    fn read_on(&mut self, events: &mut Vec<Event>) -> Result<(), LiveError> {
        while events.len() < self.context.settings.batch_len_max
            && let Some((socket, _)) = &mut self.conversation
            && let Some(received) = socket.receive_now()
        {
            self.on_received(received?, events)?;
        }
        Ok(())
    }

    async fn end(&mut self, fault: LiveError) -> Report {
        let settings = Arc::clone(&self.context.settings);
        if let Some((socket, session)) = self.conversation.take() {
            socket.close().await;
            if session.is_live() {
                self.limited_since = None;
            }
            if settings.times.stable_after <= session.age(self.context.epoch.elapsed()) {
                self.attempts = 0;
            }
            self.note_stall(&session, &fault);
        }
        if matches!(fault, LiveError::Left) {
            return Report::Down(fault);
        }
        let is_ghost = self.is_ghost(&fault);
        if fault.remedy() == Remedy::Fatal && !is_ghost {
            return Report::Ended(fault);
        }
        let wait = if matches!(fault, LiveError::Held | LiveError::Changed) {
            Duration::ZERO
        } else {
            self.attempts = self.attempts.saturating_add(1);
            self.backoff.delay(self.attempts, None)
        };
        self.open_at = Instant::now() + wait;
        let cause: &dyn std::error::Error = &fault;
        tracing::warn!(
            venue = settings.name(),
            connection = self.index,
            attempt = self.attempts,
            retry_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            cause,
            "live connection ended"
        );
        Report::Down(fault)
    }

    /// A market without trades must not be asked again and again.
    fn note_stall(&mut self, session: &Session, fault: &LiveError) {
        let times = &self.context.settings.times;
        if session.has_data() {
            self.stall_after = times.stall_after;
        } else if matches!(fault, LiveError::Stalled { .. }) {
            self.stall_after = self
                .stall_after
                .saturating_mul(2)
                .min(times.stall_after_max);
        }
    }

    /// Whether the connection that is one too many may be our own, of which the venue has not noticed the end; for a
    /// while after the first that was refused.
    fn is_ghost(&mut self, fault: &LiveError) -> bool {
        let is_limit = matches!(fault, LiveError::Refused(refusal) if refusal.kind == RefusalKind::ConnectionLimit);
        if !is_limit {
            self.limited_since = None;
            return false;
        }
        let since = *self.limited_since.get_or_insert_with(Instant::now);
        since.elapsed() < self.context.settings.times.limit_wait
    }
}

/// Waits until the symbols change; for ever where they cannot.
async fn changed(symbols: &mut Option<watch::Receiver<Vec<Symbol>>>) -> bool {
    if let Some(symbols) = symbols
        && symbols.changed().await.is_ok()
    {
        return true;
    }
    std::future::pending().await
}
