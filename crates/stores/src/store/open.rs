//! From a URL and settings to a sink and a reader.

use super::embedded::{EmbeddedError, EmbeddedSettings, EmbeddedStore};
use super::fence::Guard;
use super::key_store::KeyStore;
use super::null::NullSink;
use super::read::BarReader;
use super::resp::{RespError, RespSettings, RespStore};
use super::rest::RestStore;
use super::rest_client::{RestError, RestSettings};
use super::sink::ViewSink;
use super::stdout::LinesSink;
use super::url::SinkUrl;
use super::view::View;
use super::view_settings::ViewKind;
use barmill_core::port::{BarSink, Clock};
use secrecy::SecretString;
use std::fmt;
use std::sync::Arc;

/// Everything a store may need; each adapter takes its own part.
#[derive(Debug, Clone, Default)]
pub struct StoreSettings {
    /// Bearer token of a REST store.
    pub token: Option<SecretString>,
    /// For `redis://` and `rediss://`.
    pub resp: RespSettings,
    /// For `https://`.
    pub rest: RestSettings,
    /// For `embedded:`.
    pub embedded: EmbeddedSettings,
    /// Whether a second writer is kept out; the embedded store's folder lock does so already.
    pub guard: Guard,
}

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Redis over RESP.
    #[error(transparent)]
    Resp(#[from] RespError),
    /// Redis over REST.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// The embedded store.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
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
        SinkUrl::Redis(url) => Arc::new(RespStore::new(url, &settings.resp)?),
        SinkUrl::Rest(url) => {
            let token = settings.token.as_ref().ok_or(RestError::NoToken)?;
            Arc::new(RestStore::new(
                url,
                token,
                &settings.rest,
                Arc::clone(&clock),
            )?)
        }
        SinkUrl::Embedded(folder) => {
            let (folder, settings, clock) = (
                folder.clone(),
                settings.embedded.clone(),
                Arc::clone(&clock),
            );
            let opening = move || EmbeddedStore::open(&folder, &settings, clock);
            Arc::new(
                tokio::task::spawn_blocking(opening)
                    .await
                    .map_err(OpenError::Task)??,
            )
        }
        SinkUrl::Stdout => {
            return Ok(Opened {
                sink: Arc::new(LinesSink::default()),
                reader: None,
            });
        }
        SinkUrl::Null => {
            return Ok(Opened {
                sink: Arc::new(NullSink::default()),
                reader: None,
            });
        }
    };
    let view = Arc::new(view);
    let keeps_bars = view.settings().kind != ViewKind::Publish;
    let reader = keeps_bars
        .then(|| BarReader::new(Arc::clone(&store), Arc::clone(&view), Arc::clone(&clock)));
    let guard = if matches!(url, SinkUrl::Embedded(_)) {
        Guard::Off
    } else {
        settings.guard.clone()
    };
    Ok(Opened {
        sink: Arc::new(ViewSink::new(store, view, clock).guarded(guard)),
        reader,
    })
}
