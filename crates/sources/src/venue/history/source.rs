//! A history source: one venue with its client and its pace, shared by all its feeds.

use super::client::{Client, RateLimitedClient, RequestCounts, RequestRetry};
use super::error::PageError;
use super::json::message;
use super::link::parse_base;
use super::pace::Pace;
use super::pager::{OpenHistory, PagerContext, Pages};
use super::progress::SymbolRange;
use super::settings::{HistorySettings, HistorySettingsError, in_range};
use reqwest::Url;
use std::num::NonZeroU32;
use std::sync::Arc;

/// One venue's history; clones share its client and its pace.
#[derive(Debug, Clone)]
pub struct HistorySource {
    name: &'static str,
    client: Arc<RateLimitedClient>,
    venue: Arc<dyn OpenHistory>,
    pub(crate) symbols_in_flight: usize,
    pub(crate) batch_len_max: usize,
    pub(crate) read_timeout: std::time::Duration,
    skip_malformed: bool,
    seed: u64,
}

impl HistorySource {
    /// Checks the settings and builds the client; connects to nothing.
    ///
    /// # Errors
    /// [`HistorySettingsError`] names the first setting that cannot work.
    pub fn new(settings: &HistorySettings) -> Result<HistorySource, HistorySettingsError> {
        let base = parse_base(&settings.base_url).map_err(HistorySettingsError::BaseUrl)?;
        check_counts(settings)?;
        let venue = (settings.venue.venue().open_history)(&base, &settings.venue)?;
        HistorySource::of(settings, &base, venue)
    }

    /// The venue's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The names of all symbols, in the venue's own spelling; `None` where it does not list them in one answer. One
    /// attempt, as what is asked for is no more than advice.
    ///
    /// # Errors
    /// [`PageError`] when there is no answer, or one of another shape.
    pub async fn listed(&self) -> Result<Option<Vec<String>>, PageError> {
        let Some(listing) = self.venue.listing() else {
            return Ok(None);
        };
        let reply = self.client.client.get(listing.url, None).await?;
        match (listing.names)(&reply.body) {
            Some(names) => Ok(Some(names)),
            None => Err(PageError::Busy {
                message: message(&reply.body),
            }),
        }
    }

    /// Starts the walk over one range; the number tells the seeds of a feed's walks apart.
    pub(crate) fn walk(
        &self,
        range: SymbolRange,
        counts: &Arc<RequestCounts>,
        number: usize,
        proves_symbol: bool,
    ) -> Box<dyn Pages> {
        let seed = self.seed.wrapping_add(u64::try_from(number).unwrap_or(0));
        let (client, counts) = (Arc::clone(&self.client), Arc::clone(counts));
        let context = PagerContext {
            client,
            counts,
            skip_malformed: self.skip_malformed,
            seed,
            proves_symbol,
        };
        Arc::clone(&self.venue).pages(context, range)
    }

    fn of(
        settings: &HistorySettings,
        base: &Url,
        venue: Arc<dyn OpenHistory>,
    ) -> Result<HistorySource, HistorySettingsError> {
        let traits = venue.traits();
        let weight_max = count(traits.weight_max.get());
        in_range(
            "rate_per_min",
            count(settings.rate_per_min),
            weight_max,
            count(u32::MAX),
        )?;
        let rate_per_min = NonZeroU32::new(settings.rate_per_min).unwrap_or(traits.weight_max);
        let client =
            Client::new(settings, base, venue.headers()).map_err(HistorySettingsError::Client)?;
        let pace = Pace::new(rate_per_min, traits.weight_max);
        let client = RateLimitedClient {
            client,
            pace,
            retry: RequestRetry::new(settings),
        };
        Ok(HistorySource {
            name: traits.name,
            client: Arc::new(client),
            venue,
            symbols_in_flight: settings.symbols_in_flight,
            batch_len_max: settings.batch_len_max,
            read_timeout: settings.read_timeout,
            skip_malformed: settings.skip_malformed,
            seed: settings.seed,
        })
    }
}

fn check_counts(settings: &HistorySettings) -> Result<(), HistorySettingsError> {
    in_range("symbols_in_flight", settings.symbols_in_flight, 1, 1_000)?;
    in_range("batch_len_max", settings.batch_len_max, 1, 1_000_000)?;
    in_range("page_bytes_max", settings.page_bytes_max, 1 << 10, 1 << 30)?;
    in_range("attempts_max", count(settings.attempts_max), 1, 1_000)
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
