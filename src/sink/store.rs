//! The stores of this crate as sinks for programs.

use super::{Sink, SinkDescription};
use crate::faults::{BoxError, BuildError, kept};
use crate::model::BarSpec;
use crate::pipeline::clock::SystemClock;
use barmill_stores::{
    BarReader, NAMESPACE_DEFAULT, OpenError, Opened, Owner, SinkUrl, StoreSettings, View, ViewKind,
    ViewSettings, connect,
};
use jiff::tz::TimeZone;
use std::sync::Arc;
use std::time::Duration;

/// An environment variable that is not set.
#[cfg(feature = "upstash")]
#[derive(Debug, thiserror::Error)]
#[error("environment variable {0} is not set")]
struct VariableError(&'static str);

/// A store that keeps nothing has no reader.
#[derive(Debug, thiserror::Error)]
#[error("store {0} stores no bars that can be read")]
struct KeepsNothingError(String);

/// A store and the layout of bars in it: by default one hash per symbol and day, which expires after two hours.
///
/// ```
/// use barmill::Redis;
/// use std::time::Duration;
/// let store = Redis::at("redis://127.0.0.1:6379").view("key-per-bar").namespace("model_7").ttl(Duration::from_hours(1));
/// ```
#[derive(Debug)]
pub struct Store {
    url: Option<SinkUrl>,
    settings: StoreSettings,
    view: ViewKind,
    key: Option<String>,
    ttl: Option<Duration>,
    namespace: Option<String>,
    faults: Vec<BoxError>,
}

impl Store {
    fn at(url: &str) -> Store {
        let mut faults = Vec::new();
        Store {
            url: kept(&mut faults, url.parse()),
            settings: StoreSettings::default(),
            view: ViewKind::SymbolDay,
            key: None,
            ttl: None,
            namespace: None,
            faults,
        }
    }

    /// Sets the layout by its name: `symbol-day` (default), `minute`, `key-per-bar`, `stream` or `publish`.
    /// `docs/stores.md` describes them.
    #[must_use]
    pub fn view(mut self, name: &str) -> Store {
        self.view = kept(&mut self.faults, name.parse()).unwrap_or(self.view);
        self
    }

    /// Sets the template of the keys, such as `bars:{spec}:{date}:{symbol}`.
    #[must_use]
    pub fn key(mut self, template: impl Into<String>) -> Store {
        self.key = Some(template.into());
        self
    }

    /// Sets the time until a key expires after its last write, at least 1 s; zero: never. Default two hours.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Store {
        self.ttl = Some(ttl);
        self
    }

    /// Sets the value of `{namespace}`, which becomes part of the keys and separates pipelines that share a store.
    /// 1 to 64 letters, digits or `_-.`. Default `barmill`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Store {
        self.namespace = Some(namespace.into());
        self
    }

    /// Opens a reader of the bars in this store; `bars` (specs, such as `1m,5m`) and `zone` (an IANA name, such as
    /// `UTC`) must be those of the writer.
    ///
    /// # Errors
    /// [`BuildError`](crate::BuildError) with all errors of the description, or why the store does not open.
    pub async fn reader(self, bars: &str, zone: &str) -> Result<BarReader, BuildError> {
        let mut faults = Vec::new();
        let specs: Result<Vec<_>, _> = bars.split(',').map(|spec| spec.trim().parse()).collect();
        let specs = kept(&mut faults, specs).unwrap_or_default();
        let zone = kept(&mut faults, TimeZone::get(zone)).unwrap_or(TimeZone::UTC);
        BuildError::check(faults)?;
        let address = self.address();
        let opened = self.connect(&specs, zone).await.map_err(BuildError::one)?;
        opened
            .reader
            .ok_or_else(|| BuildError::one(KeepsNothingError(address)))
    }

    fn address(&self) -> String {
        match &self.url {
            Some(url) => url.to_string(),
            None => "store".to_owned(),
        }
    }

    async fn connect(mut self, specs: &[BarSpec], zone: TimeZone) -> Result<Opened, BoxError> {
        if !self.faults.is_empty() {
            return Err(self.faults.swap_remove(0));
        }
        let Some(url) = self.url else {
            return Err(Box::new(KeepsNothingError("store".to_owned())));
        };
        let namespace = self.namespace.as_deref().unwrap_or(NAMESPACE_DEFAULT);
        let defaults = ViewSettings::in_namespace(self.view, namespace, zone)?;
        let settings = ViewSettings {
            key: match self.key {
                Some(key) => key.parse()?,
                None => defaults.key.clone(),
            },
            ttl_s: match self.ttl {
                Some(ttl) => (!ttl.is_zero()).then_some(ttl.as_secs()),
                None => defaults.ttl_s,
            },
            ..defaults
        };
        let view = View::new(settings, specs)?;
        let opened: Result<Opened, OpenError> =
            connect(&url, view, &self.settings, Arc::new(SystemClock)).await;
        Ok(opened?)
    }
}

impl Sink for Store {
    fn describe(mut self) -> SinkDescription {
        let faults = std::mem::take(&mut self.faults);
        SinkDescription {
            faults,
            address: self.address(),
            is_unpaced: self.url.as_ref().is_some_and(SinkUrl::is_local),
            open: Box::new(move |plan| {
                Box::pin(async move {
                    let [source, rules, session] = plan.made_of;
                    self.settings.owner = Some(Owner {
                        session: Some(session),
                        ..Owner::new(source, rules)
                    });
                    let sink = self.connect(&plan.specs, plan.zone).await?.sink;
                    sink.open().await?;
                    Ok(sink)
                })
            }),
        }
    }
}

/// Redis over RESP.
///
/// See the example of [`Store`](crate::Store).
#[cfg(feature = "redis")]
#[derive(Debug, Clone, Copy)]
pub struct Redis;

#[cfg(feature = "redis")]
impl Redis {
    /// Names the server: `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS.
    pub fn at(url: &str) -> Store {
        Store::at(url)
    }
}

/// Redis of Upstash over REST.
///
/// See the example of [`Store`](crate::Store).
#[cfg(feature = "upstash")]
#[derive(Debug, Clone, Copy)]
pub struct Upstash;

#[cfg(feature = "upstash")]
impl Upstash {
    /// Names the database by the URL and the token of its REST interface.
    pub fn at(url: &str, token: impl Into<String>) -> Store {
        let mut store = Store::at(url);
        store.settings.token = Some(token.into().into());
        store
    }

    /// Takes `UPSTASH_REDIS_REST_URL` and `UPSTASH_REDIS_REST_TOKEN` from the environment; a missing one is an error at
    /// the start.
    pub fn from_env() -> Store {
        #[expect(
            clippy::disallowed_methods,
            reason = "the names that the vendor gives, read when the program asks for them"
        )]
        let read = |name: &'static str| std::env::var(name).map_err(|_| VariableError(name));
        match (
            read("UPSTASH_REDIS_REST_URL"),
            read("UPSTASH_REDIS_REST_TOKEN"),
        ) {
            (Ok(url), Ok(token)) => Upstash::at(&url, token),
            (url, token) => {
                let missing = url.err().into_iter().chain(token.err());
                Store {
                    url: None,
                    faults: missing.map(BoxError::from).collect(),
                    ..Store::at("null:")
                }
            }
        }
    }
}

/// A store in a local folder.
///
/// See the example of [`Store`](crate::Store).
#[cfg(feature = "embedded")]
#[derive(Debug, Clone, Copy)]
pub struct Embedded;

#[cfg(feature = "embedded")]
impl Embedded {
    /// Names the folder, which is created if it is missing.
    pub fn at(folder: impl AsRef<std::path::Path>) -> Store {
        Store::at(&format!("embedded:{}", folder.as_ref().display()))
    }
}

/// One JSON line per bar on stdout.
///
/// See the example of [`Store`](crate::Store).
#[derive(Debug, Clone, Copy)]
pub struct Stdout;

impl Sink for Stdout {
    fn describe(self) -> SinkDescription {
        Store::at("stdout:").describe()
    }
}

/// Counts bars and stores none, for benchmarks.
///
/// See the example of [`Store`](crate::Store).
#[derive(Debug, Clone, Copy)]
pub struct Null;

impl Sink for Null {
    fn describe(self) -> SinkDescription {
        Store::at("null:").describe()
    }
}
