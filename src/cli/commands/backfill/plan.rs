//! The plan of a backfill: the requested intervals minus what the sink already has.

use crate::cli::exit::{CommandError, usage};
use crate::engine::requested::RequestedDay;
use crate::engine::resume::{Rest, resume, with_close};
use crate::{BarSpec, Manifest, Origin, Symbol, Timestamp, Volume};
use barmill_sources::history::SymbolRange;
use barmill_stores::{BarReader, ReadError, StoredBar};
use jiff::civil::Date;

/// One symbol and day.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) symbol: Symbol,
    pub(super) day: RequestedDay,
    /// What to fetch; `None` when the sink has it whole.
    pub(super) range: Option<SymbolRange>,
    /// Trades that earlier runs counted in it.
    pub(super) trades_before: u64,
}

/// Every symbol and day asked for, day by day.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// The manifests that the run adds to.
    pub(super) earlier: Vec<Manifest>,
}

/// Bars that the sink has are of another origin than those of this run, or their times are in another zone.
#[derive(Debug, thiserror::Error)]
#[error(
    "the {spec} bars of {symbol} {date} in the sink are of {found}, those of this run would be of {wanted}; take those \
     out first, or give these a view.namespace and a view.key of their own"
)]
struct MixedBarsError {
    symbol: Symbol,
    spec: BarSpec,
    date: Date,
    found: String,
    wanted: String,
}

/// What the manifests of a run say of its bars.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label<'a> {
    pub(super) origin: &'a Origin,
    /// Name of the zone of dates and times in keys.
    pub(super) zone: &'a str,
    /// Whether windows without trades have flat bars.
    pub(super) is_filled: bool,
}

impl MixedBarsError {
    /// Says so where bars of another label are there, or may be.
    fn of(
        Stored {
            manifest, count, ..
        }: &Stored,
        wanted: Label<'_>,
    ) -> Option<MixedBarsError> {
        let has_other = manifest
            .origin
            .as_ref()
            .is_some_and(|found| found != wanted.origin);
        if count.unwrap_or(manifest.bars) == 0 || !has_other && manifest.zone == wanted.zone {
            return None;
        }
        let found = manifest
            .origin
            .as_ref()
            .map_or_else(|| "an unnamed source".to_owned(), Origin::to_string);
        let (found, wanted) = if manifest.zone == wanted.zone {
            (found, wanted.origin.to_string())
        } else {
            (
                format!("{found} in {}", manifest.zone),
                format!("{} in {}", wanted.origin, wanted.zone),
            )
        };
        let Manifest {
            symbol, spec, date, ..
        } = *manifest;
        Some(MixedBarsError {
            symbol,
            spec,
            date,
            found,
            wanted,
        })
    }
}

impl Plan {
    /// Plans to fetch everything.
    pub(super) fn anew(symbols: &[Symbol], days: &[RequestedDay]) -> Plan {
        let mut plan = Plan::default();
        for day in days {
            plan.steps
                .extend(symbols.iter().map(|&symbol| step(symbol, *day, day.from)));
        }
        plan
    }

    /// Plans to fetch what the sink does not have, or everything; refuses to put bars among those of another label.
    pub(super) async fn made(
        symbols: &[Symbol],
        days: &[RequestedDay],
        specs: &[BarSpec],
        (reader, label): (&BarReader, Label<'_>),
        is_forced: bool,
    ) -> Result<Plan, CommandError> {
        let mut plan = Plan::default();
        for day in days {
            let mut stored = Vec::new();
            for &spec in specs {
                stored.extend(present(reader, symbols, spec, (*day, label.zone)).await?);
            }
            if let Some(mixed) = stored.iter().find_map(|one| MixedBarsError::of(one, label)) {
                return Err(usage(mixed));
            }
            // What does not say what it was made from, or lacks bars, proves nothing.
            let is_proof = |one: &Stored| {
                let has_all = one.count.is_some_and(|count| one.manifest.bars <= count);
                has_all && one.manifest.gapless && one.manifest.origin.is_some() && !is_forced
            };
            let stored: Vec<Stored> = stored.into_iter().filter(is_proof).collect();
            for &symbol in symbols {
                let is_own = |one: &&Stored| one.manifest.symbol == symbol;
                let own: Vec<&Stored> = stored.iter().filter(is_own).collect();
                plan.add((symbol, *day), specs, &own, label.is_filled);
            }
        }
        Ok(plan)
    }

    fn add(
        &mut self,
        (symbol, day): (Symbol, RequestedDay),
        specs: &[BarSpec],
        own: &[&Stored],
        is_filled: bool,
    ) {
        let manifests: Vec<Manifest> = own.iter().map(|one| one.manifest.clone()).collect();
        let resumed = resume(specs, &manifests, day.from, day.to);
        let mut next = match resumed.rest {
            Rest::Nothing => Step {
                symbol,
                day,
                range: None,
                trades_before: 0,
            },
            Rest::From(from) if is_filled && day.from < from => {
                let mut traded = Vec::new();
                for one in own {
                    traded.extend(one.traded.iter().map(|&at| (one.manifest.spec, at)));
                }
                step(symbol, day, with_close(specs, (day.from, from), &traded))
            }
            Rest::From(from) => step(symbol, day, from),
        };
        next.trades_before = resumed
            .earlier
            .iter()
            .map(|one| one.trades)
            .max()
            .unwrap_or(0);
        if next.range.is_some() {
            self.earlier.extend(resumed.earlier);
        }
        self.steps.push(next);
    }

    /// What to fetch, in the order of the steps.
    pub(super) fn ranges(&self) -> Vec<SymbolRange> {
        self.steps.iter().filter_map(|step| step.range).collect()
    }
}

fn step(symbol: Symbol, day: RequestedDay, from: Timestamp) -> Step {
    let range = SymbolRange {
        symbol,
        from,
        to: day.to,
    };
    Step {
        symbol,
        day,
        range: Some(range),
        trades_before: 0,
    }
}

/// A manifest and what the store has of its bars.
#[derive(Debug)]
struct Stored {
    manifest: Manifest,
    /// How many, which may have expired before it; `None` where the keys of bars cannot be known, or are in another zone.
    count: Option<u64>,
    /// Starts of those with trades and prices.
    traded: Vec<Timestamp>,
}

/// The manifests of some symbols on a day.
async fn present(
    reader: &BarReader,
    symbols: &[Symbol],
    spec: BarSpec,
    (day, zone): (RequestedDay, &str),
) -> Result<Vec<Stored>, CommandError> {
    let stored = reader.manifests(spec, day.date).await?;
    let mut manifests: Vec<Manifest> = stored.into_iter().map(|stored| stored.manifest).collect();
    manifests.retain(|manifest| symbols.contains(&manifest.symbol));
    if manifests.is_empty() {
        return Ok(Vec::new());
    }
    let own = manifests.iter().filter(|manifest| manifest.zone == zone);
    let names: Vec<Symbol> = own.map(|manifest| manifest.symbol).collect();
    let bars = match reader.days(&names, spec, day.date).await {
        Ok(bars) => Some(bars),
        Err(ReadError::Unlisted(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let stored = |manifest: Manifest| {
        let is_own = |start| manifest.from <= start && start < manifest.to;
        let of_day = manifest.spec.interval_ns().is_none();
        let is_counted =
            |bar: &&StoredBar| bar.symbol == manifest.symbol && (of_day || is_own(bar.start));
        let bars = bars.as_ref().filter(|_| manifest.zone == zone);
        let own: Option<Vec<&StoredBar>> =
            bars.map(|bars| bars.iter().filter(is_counted).collect());
        let traded = own
            .iter()
            .flatten()
            .filter(|bar| bar.prices.is_some() && bar.volume > Volume::ZERO);
        let traded = traded.map(|bar| bar.start);
        let (count, traded) = (own.as_ref().map(|own| own.len() as u64), traded.collect());
        Stored {
            manifest,
            count,
            traded,
        }
    };
    Ok(manifests.into_iter().map(stored).collect())
}
