//! A history source: one venue with its client and its pace, shared by all its feeds.

use super::client::{Client, RateLimitedClient, RequestRetry};
use super::error::PageError;
use super::json::message;
use super::link::parse_base;
use super::pace::Pace;
use super::page::Walk;
use super::progress::SymbolRange;
use super::settings::{HistorySettings, HistorySettingsError, check, headers, in_range};
use reqwest::Url;
use std::num::NonZeroU32;
use std::sync::Arc;

/// One venue's history; clones share its client and its pace.
#[derive(Debug, Clone)]
pub struct HistorySource {
    pub(crate) settings: Arc<HistorySettings>,
    pub(crate) client: Arc<RateLimitedClient>,
    base: Url,
}

impl HistorySource {
    /// Checks the settings and builds the client; connects to nothing.
    ///
    /// # Errors
    /// [`HistorySettingsError`] names the first setting that cannot work.
    pub fn new(settings: &HistorySettings) -> Result<HistorySource, HistorySettingsError> {
        let base = parse_base(&settings.base_url).map_err(HistorySettingsError::BaseUrl)?;
        check(settings)?;
        let headers = headers(&settings.venue)?;
        let weight_max = (settings.venue.venue().pages.weight_max)(&settings.venue);
        in_range(
            "rate_per_min",
            settings.rate_per_min,
            weight_max.get(),
            u32::MAX,
        )?;
        let rate_per_min = NonZeroU32::new(settings.rate_per_min).unwrap_or(weight_max);
        let client = RateLimitedClient {
            client: Client::new(settings, &base, headers).map_err(HistorySettingsError::Client)?,
            pace: Pace::new(rate_per_min, weight_max),
            retry: RequestRetry::new(settings),
        };
        Ok(HistorySource {
            settings: Arc::new(settings.clone()),
            client: Arc::new(client),
            base,
        })
    }

    /// The venue's name.
    pub fn name(&self) -> &'static str {
        self.settings.venue.venue().name
    }

    /// The names of all symbols, in the venue's own spelling; `None` where it does not list them in one answer. One
    /// attempt, as what is asked for is no more than advice.
    ///
    /// # Errors
    /// [`PageError`] when there is no answer, or one of another shape.
    pub async fn listed(&self) -> Result<Option<Vec<String>>, PageError> {
        let Some(listing) = &self.settings.venue.venue().pages.listing else {
            return Ok(None);
        };
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}{}",
            url.path().trim_end_matches('/'),
            listing.path
        ));
        let reply = self.client.client.get(url, None).await?;
        match (listing.names)(&reply.body) {
            Some(names) => Ok(Some(names)),
            None => Err(PageError::Busy {
                message: message(&reply.body),
            }),
        }
    }

    /// Stands before the first page of a range.
    pub(crate) fn walk(&self, range: SymbolRange) -> Walk {
        Walk::new(&self.settings, &self.base, range)
    }
}
