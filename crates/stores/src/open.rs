//! Opens a sink and a reader from a URL and settings.

#[cfg(feature = "embedded")]
use crate::embedded::{EmbeddedError, EmbeddedStore};
use crate::fence::lease::Guard;
use crate::key_store::port::KeyStore;
use crate::layout::settings::ViewKind;
use crate::layout::view::View;
use crate::null::NullSink;
use crate::owner::Owner;
use crate::read::reader::BarReader;
#[cfg(feature = "redis")]
use crate::resp::{RespError, RespSettings, RespStore};
use crate::sink_url::SinkUrl;
use crate::stdout::LinesSink;
#[cfg(feature = "upstash")]
use crate::upstash::RestStore;
#[cfg(feature = "upstash")]
use crate::upstash::{RestError, RestSettings};
use crate::write::ViewSink;
use barmill_core::port::{BarSink, Clock};
#[cfg(feature = "upstash")]
use secrecy::SecretString;
use std::fmt;
use std::sync::Arc;

/// Everything a store may need; each adapter takes its own part.
#[derive(Debug, Clone, Default)]
pub struct StoreSettings {
    #[cfg(feature = "upstash")]
    /// Bearer token of a REST store.
    pub token: Option<SecretString>,
    #[cfg(feature = "redis")]
    /// For `redis://` and `rediss://`.
    pub resp: RespSettings,
    #[cfg(feature = "upstash")]
    /// For `https://`.
    pub rest: RestSettings,
    #[cfg(feature = "embedded")]
    /// Whether the folder of `embedded:` must hold a store, as readers say; by default a missing one is made.
    pub must_exist: bool,
    /// Whether a second writer is kept out; the embedded store's folder lock does so already.
    pub guard: Guard,
    /// Whose bars they are; `None` where nothing is known of what made them, which then are written without a look.
    pub owner: Option<Owner>,
}

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[cfg(feature = "redis")]
    /// Redis over RESP.
    #[error(transparent)]
    Resp(#[from] RespError),
    #[cfg(feature = "upstash")]
    /// Redis over REST.
    #[error(transparent)]
    Rest(#[from] RestError),
    #[cfg(feature = "embedded")]
    /// The embedded store.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    #[cfg(feature = "embedded")]
    /// The task that opened the embedded store did not end.
    #[error("store was not opened")]
    Task(#[source] tokio::task::JoinError),
}

/// An open store.
#[derive(Clone)]
pub struct Opened {
    /// Writes bars.
    pub sink: Arc<dyn BarSink>,
    /// Reads them back; `None` where nothing is kept.
    pub reader: Option<BarReader>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("sink", &self.sink.name())
            .field("reader", &self.reader)
            .finish()
    }
}

impl Opened {
    fn without_reader(sink: impl BarSink) -> Opened {
        Opened {
            sink: Arc::new(sink),
            reader: None,
        }
    }
}

/// Opens what the URL names. Servers are dialled at the first command; the embedded store is opened here.
///
/// # Errors
/// [`OpenError`] with the adapter's own cause.
pub async fn connect(
    url: &SinkUrl,
    view: View,
    settings: &StoreSettings,
    clock: Arc<dyn Clock>,
) -> Result<Opened, OpenError> {
    let store: Arc<dyn KeyStore> = match url {
        #[cfg(feature = "redis")]
        SinkUrl::Redis(url) => Arc::new(RespStore::new(url, &settings.resp)?),
        #[cfg(feature = "upstash")]
        SinkUrl::Rest(url) => {
            let token = settings.token.as_ref().ok_or(RestError::NoToken)?;
            let clock = Arc::clone(&clock);
            Arc::new(RestStore::new(url, token, &settings.rest, clock)?)
        }
        #[cfg(feature = "embedded")]
        SinkUrl::Embedded(folder) => {
            let (folder, must_exist) = (folder.clone(), settings.must_exist);
            let clock = Arc::clone(&clock);
            let opening = move || EmbeddedStore::open(&folder, must_exist, clock);
            let opened = tokio::task::spawn_blocking(opening).await;
            Arc::new(opened.map_err(OpenError::Task)??)
        }
        SinkUrl::Stdout => return Ok(Opened::without_reader(LinesSink::default())),
        SinkUrl::Null => return Ok(Opened::without_reader(NullSink::default())),
    };
    let view = Arc::new(view);
    let keeps_bars = view.settings().kind != ViewKind::Publish;
    let reader = keeps_bars
        .then(|| BarReader::new(Arc::clone(&store), Arc::clone(&view), Arc::clone(&clock)));
    let guard = if store.runs_scripts() {
        settings.guard.clone()
    } else {
        Guard::Off
    };
    Ok(Opened {
        sink: Arc::new(
            ViewSink::new(store, view, clock)
                .guarded(guard)
                .owned_by(settings.owner.clone()),
        ),
        reader,
    })
}
