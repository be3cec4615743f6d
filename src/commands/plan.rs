//! What a backfill will fetch: what is asked for less what the sink has.

use super::dispatch::CommandError;
use barmill::adapter::history::SymbolRange;
use barmill::adapter::store::{BarReader, ReadError, StoredBar};
use barmill::engine::asked::AskedDay;
use barmill::engine::resume::{Rest, resume};
use barmill::{BarSpec, Manifest, Origin, Symbol};
use jiff::civil::Date;

/// One symbol and day.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) symbol: Symbol,
    pub(super) day: AskedDay,
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
pub(super) struct Mixed {
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
}

impl Mixed {
    /// Says so where bars of another label are there, or may be.
    fn of(Stored { manifest, count }: &Stored, wanted: Label<'_>) -> Option<Mixed> {
        let has_other = manifest.origin.as_ref().is_some_and(|found| found != wanted.origin);
        if count.unwrap_or(manifest.bars) == 0 || !has_other && manifest.zone == wanted.zone {
            return None;
        }
        let found =
            manifest.origin.as_ref().map_or_else(|| "an unnamed source".to_owned(), Origin::to_string);
        let (found, wanted) = if manifest.zone == wanted.zone {
            (found, wanted.origin.to_string())
        } else {
            (format!("{found} in {}", manifest.zone), format!("{} in {}", wanted.origin, wanted.zone))
        };
        let Manifest { symbol, spec, date, .. } = *manifest;
        Some(Mixed { symbol, spec, date, found, wanted })
    }
}

impl Plan {
    /// Plans to fetch everything.
    pub(super) fn anew(symbols: &[Symbol], days: &[AskedDay]) -> Plan {
        let mut plan = Plan::default();
        for day in days {
            plan.steps.extend(symbols.iter().map(|&symbol| step(symbol, *day, day.from)));
        }
        plan
    }

    /// Plans to fetch what the sink does not have, or everything; refuses to put bars among those of another label.
    pub(super) async fn made(
        symbols: &[Symbol],
        days: &[AskedDay],
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
            if let Some(mixed) = stored.iter().find_map(|one| Mixed::of(one, label)) {
                return Err(mixed.into());
            }
            // What does not say what it was made from, or lacks bars, proves nothing.
            let is_proof = |one: &Stored| {
                let has_all = one.count.is_some_and(|count| one.manifest.bars <= count);
                has_all && one.manifest.gapless && one.manifest.origin.is_some() && !is_forced
            };
            let stored: Vec<Manifest> = stored.into_iter().filter(is_proof).map(|one| one.manifest).collect();
            for &symbol in symbols {
                let own: Vec<Manifest> = stored.iter().filter(|one| one.symbol == symbol).cloned().collect();
                plan.add(symbol, *day, specs, &own);
            }
        }
        Ok(plan)
    }

    fn add(&mut self, symbol: Symbol, day: AskedDay, specs: &[BarSpec], own: &[Manifest]) {
        let resumed = resume(specs, own, day.from, day.to);
        let mut next = match resumed.rest {
            Rest::Nothing => Step { symbol, day, range: None, trades_before: 0 },
            Rest::From(from) => step(symbol, day, from),
        };
        next.trades_before = resumed.earlier.iter().map(|one| one.trades).max().unwrap_or(0);
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

fn step(symbol: Symbol, day: AskedDay, from: barmill::Timestamp) -> Step {
    let range = SymbolRange { symbol, from, to: day.to };
    Step { symbol, day, range: Some(range), trades_before: 0 }
}

/// A manifest, and how many of its bars are in the store, which may have expired before it; `None` where the keys of
/// bars cannot be known, or are in another zone.
#[derive(Debug)]
struct Stored {
    manifest: Manifest,
    count: Option<u64>,
}

/// The manifests of some symbols on a day.
async fn present(
    reader: &BarReader,
    symbols: &[Symbol],
    spec: BarSpec,
    (day, zone): (AskedDay, &str),
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
    let count = |manifest: &Manifest| {
        let is_own = |start| manifest.from <= start && start < manifest.to;
        let of_day = manifest.spec.interval_ns().is_none();
        let is_counted = |bar: &&StoredBar| bar.symbol == manifest.symbol && (of_day || is_own(bar.start));
        let bars = bars.as_ref().filter(|_| manifest.zone == zone);
        bars.map(|bars| bars.iter().filter(is_counted).count() as u64)
    };
    Ok(manifests.into_iter().map(|manifest| Stored { count: count(&manifest), manifest }).collect())
}
