//! The life cycle of a connection: wait, connect, run a session, end, reconnect.
//!
//! A stream of reports that reads only while it is asked. Deliberately knows nothing of gaps and batches.

use super::error::LiveError;
use super::event::{Event, RefusalKind};
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
    conversation: Option<Conversation>,
    backoff: Backoff,
    /// Waits since the last good connection.
    attempts: u32,
    open_at: Instant,
    stall_after: Duration,
    /// Since when connections are refused for being too many.
    limited_since: Option<Instant>,
}

/// A connection that is open.
struct Conversation {
    socket: Socket,
    session: Session,
    /// Whether it was told that every subscription is confirmed.
    is_announced: bool,
    /// What the last read brought besides events.
    fault: Option<LiveError>,
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
            limited_since: None,
        };
        Box::pin(stream::unfold(Some(connection), |connection| async move {
            let mut connection = connection?;
            let (index, report) = (connection.index, connection.next_report().await);
            let is_last = matches!(report, Report::Ended(_));
            Some(((index, report), (!is_last).then_some(connection)))
        }))
    }

    async fn next_report(&mut self) -> Report {
        let Some(mut open) = self.conversation.take() else {
            return match self.open().await {
                Ok(open) => {
                    self.conversation = Some(open);
                    Report::Opened
                }
                Err(fault) => self.end(None, fault).await,
            };
        };
        let mut events = Vec::new();
        let outcome = match open.fault.take() {
            Some(fault) => Err(fault),
            None => self.converse(&mut open, &mut events).await,
        };
        match outcome {
            Err(fault) if events.is_empty() => return self.end(Some(open), fault).await,
            outcome => open.fault = outcome.err(),
        }
        open.is_announced |= events.is_empty();
        self.conversation = Some(open);
        if events.is_empty() {
            Report::Live
        } else {
            Report::Events(events)
        }
    }

    async fn open(&mut self) -> Result<Conversation, LiveError> {
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
        let settings = Arc::clone(&self.context.settings);
        let now = self.context.epoch.elapsed();
        Ok(Conversation {
            socket,
            session: Session::new(settings, symbols.as_deref(), self.stall_after, now),
            is_announced: false,
            fault: None,
        })
    }

    /// Converses until there are events, or the conversation has just become live and there are none.
    async fn converse(
        &mut self,
        open: &mut Conversation,
        events: &mut Vec<Event>,
    ) -> Result<(), LiveError> {
        while events.is_empty() && (open.is_announced || !open.session.is_live()) {
            if let Some(inbound) = self.next_turn(open).await? {
                self.on_received(open, inbound, events)?;
            } else {
                // What waits in the socket was not late; we were.
                self.read_on(open, events)?;
                if let Some(outbound) = open.session.on_time(self.context.epoch.elapsed())? {
                    open.socket.send(outbound).await?;
                }
            }
            self.read_on(open, events)?;
        }
        Ok(())
    }

    /// What is received next; `None` when the session has something to do.
    async fn next_turn(&mut self, open: &mut Conversation) -> Result<Option<Inbound>, LiveError> {
        let deadline = self.context.epoch + open.session.deadline();
        let (gate, symbols) = (&mut self.context.gate, &mut self.symbols);
        tokio::select! {
            biased;
            Ok(gate) = gate.wait_for(|gate| *gate != ConnectGate::Open) => Err(match *gate {
                ConnectGate::Shut => LiveError::Left,
                ConnectGate::Held | ConnectGate::Open => LiveError::Held,
            }),
            true = changed(symbols) => Err(LiveError::Changed),
            () = sleep_until(deadline) => Ok(None),
            received = open.socket.receive() => received.map(Some),
        }
    }

    fn on_received(
        &self,
        open: &mut Conversation,
        inbound: Inbound,
        events: &mut Vec<Event>,
    ) -> Result<(), LiveError> {
        let now = self.context.epoch.elapsed();
        match inbound {
            Inbound::SignOfLife => open.session.on_sign_of_life(now),
            Inbound::Frame(frame) => {
                if let Some(tap) = &self.context.tap {
                    tap.on_frame(self.context.clock.now(), self.index, &frame);
                }
                open.session.on_frame(now, &frame, events)?;
            }
        }
        Ok(())
    }

    /// Takes what is here already, so that a flood travels in large batches.
    fn read_on(&self, open: &mut Conversation, events: &mut Vec<Event>) -> Result<(), LiveError> {
        while events.len() < self.context.settings.batch_len_max
            && let Some(received) = open.socket.receive_now()
        {
            self.on_received(open, received?, events)?;
        }
        Ok(())
    }

    async fn end(&mut self, open: Option<Conversation>, fault: LiveError) -> Report {
        let settings = Arc::clone(&self.context.settings);
        if let Some(Conversation {
            socket, session, ..
        }) = open
        {
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
