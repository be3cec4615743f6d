//! The gaps of all symbols of a feed, and the questions to the archive in the order they fall due.
//!
//! Pure: time is an argument. What one symbol does is in `symbol_gaps`.

use super::settings::GapSettings;
use super::symbol_gaps::{GapContext, GapOutput, GapRules, GapStats, Now, SymbolGaps};
use barmill_core::model::{Symbol, Timestamp, Trade, TradeKey};
use barmill_core::port::{Gap, GapError, GapFill, Remedy};
use std::collections::BTreeSet;
use std::time::Duration;

/// Finds and fills the gaps of a feed. What is told of a symbol that is not followed changes nothing.
#[derive(Debug)]
pub(crate) struct GapManager {
    rules: GapRules,
    /// By the number of the symbol; those that are not followed any more stay, so that they can go on where they ended.
    symbols: Vec<Option<SymbolGaps>>,
    /// When to ask for which symbol, by its number.
    due: BTreeSet<(Duration, usize)>,
    /// Symbols that miss something.
    open: usize,
    /// Trades held by all symbols.
    held: usize,
    output: GapOutput,
}

impl GapManager {
    pub(crate) fn new(
        settings: &GapSettings,
        is_contiguous: bool,
        resolution_ns: i64,
    ) -> GapManager {
        let overlap_ns = i64::try_from(settings.overlap.as_nanos()).unwrap_or(i64::MAX / 2);
        GapManager {
            rules: GapRules {
                settings: settings.clone(),
                is_contiguous,
                overlap_ns,
                resolution_ns,
            },
            symbols: Vec::new(),
            due: BTreeSet::new(),
            open: 0,
            held: 0,
            output: GapOutput::default(),
        }
    }

    /// Follows a symbol from a known trade or instant on, or from what comes; one that was followed before goes on
    /// where it ended, and what it missed since is fetched.
    pub(crate) fn follow(&mut self, symbol: Symbol, after: Option<TradeKey>) {
        let index = symbol.index();
        if self.symbols.len() <= index {
            self.symbols.resize_with(index + 1, || None);
        }
        let known = self.symbols[index].get_or_insert_with(|| {
            self.open += 1;
            SymbolGaps::new(symbol, after)
        });
        if known.is_left() {
            known.set_followed(true);
            self.open += 1;
        }
    }

    /// Follows a symbol no longer.
    pub(crate) fn leave(&mut self, symbol: Symbol, now: Now) {
        self.change(symbol, now, |gaps, _| gaps.set_followed(false));
    }

    pub(crate) fn is_followed(&self, symbol: Symbol) -> bool {
        self.get(symbol).is_some()
    }

    /// Whether a symbol was followed before, and is not now.
    pub(crate) fn was_left(&self, symbol: Symbol) -> bool {
        let known = self.symbols.get(symbol.index());
        matches!(known, Some(Some(gaps)) if gaps.is_left())
    }

    /// The symbols that are followed.
    pub(crate) fn symbols(&self) -> Vec<Symbol> {
        let followed = self.symbols.iter().flatten().filter(|gaps| !gaps.is_left());
        followed.map(SymbolGaps::symbol).collect()
    }

    /// Their connection is gone.
    pub(crate) fn on_down(&mut self, symbols: &[Symbol], now: Now) {
        for symbol in symbols {
            self.change(*symbol, now, |gaps, cx| gaps.on_down(cx.rules));
        }
    }

    /// Their subscription is confirmed.
    pub(crate) fn on_live(&mut self, symbols: &[Symbol], now: Now) {
        for symbol in symbols {
            self.change(*symbol, now, |gaps, cx| gaps.on_live(cx));
        }
    }

    /// The venue tells the newest identity of a symbol.
    pub(crate) fn on_newest(&mut self, symbol: Symbol, sequence: u64, now: Now) {
        self.change(symbol, now, |gaps, cx| gaps.on_newest(sequence, cx));
    }

    /// Takes a trade; `false` when its symbol is not followed.
    pub(crate) fn on_trade(&mut self, trade: &Trade, now: Now) -> bool {
        let change = self.change(trade.symbol, now, |gaps, cx| gaps.on_trade(trade, cx));
        change.is_some()
    }

    /// Takes a trade from before the subscription.
    pub(crate) fn on_snapshot(&mut self, trade: &Trade, now: Now) {
        self.change(trade.symbol, now, |gaps, cx| gaps.on_snapshot(trade, cx));
    }

    /// The next question that is due.
    pub(crate) fn ask(&mut self, now: Now) -> Option<Gap> {
        while let Some(&(at, index)) = self.due.first()
            && at <= now.elapsed
        {
            self.due.pop_first();
            let symbol = self.symbols.get(index)?.as_ref()?.symbol();
            let gap = self.change(symbol, now, |gaps, cx| gaps.ask(cx));
            if let Some(gap) = gap.flatten() {
                return Some(gap);
            }
        }
        None
    }

    /// When the next question is due.
    pub(crate) fn ask_at(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The archive's answer to a question.
    pub(crate) fn on_fill(&mut self, symbol: Symbol, fill: &Result<GapFill, GapError>, now: Now) {
        let is_final = matches!(
            fill,
            Err(GapError {
                remedy: Remedy::Refuse | Remedy::Fatal,
                ..
            })
        );
        self.change(symbol, now, |gaps, cx| {
            gaps.on_fill(fill.as_ref().ok(), cx);
            if is_final || gaps.is_exhausted(cx.rules) {
                gaps.give_up(cx);
            }
        });
    }

    /// Has the archive asked whether there is really nothing new.
    pub(crate) fn check(&mut self, symbol: Symbol, now: Now) {
        self.change(symbol, now, |gaps, _| gaps.check(now));
    }

    /// Tells of a gap that nobody will fill.
    pub(crate) fn tell(&mut self, gap: Gap) {
        self.output.unfilled.push(gap);
    }

    /// Takes the trades that are ready, in order per symbol.
    pub(crate) fn take_ready(&mut self) -> Vec<Trade> {
        std::mem::take(&mut self.output.trades)
    }

    /// Takes the gaps that stay open.
    pub(crate) fn take_unfilled(&mut self) -> Vec<Gap> {
        std::mem::take(&mut self.output.unfilled)
    }

    pub(crate) fn has_unfilled(&self) -> bool {
        !self.output.unfilled.is_empty()
    }

    /// Whether a symbol misses nothing, as far as is known.
    pub(crate) fn is_live(&self, symbol: Symbol) -> bool {
        self.get(symbol).is_some_and(SymbolGaps::is_live)
    }

    /// Event time of a symbol's newest trade, or of the start, where nothing is missed.
    pub(crate) fn live_to(&self, symbol: Symbol) -> Option<Timestamp> {
        let live = self.get(symbol).filter(|gaps| gaps.is_live());
        live.and_then(SymbolGaps::last)
    }

    /// Whether no symbol misses anything, as far as is known.
    pub(crate) fn is_whole(&self) -> bool {
        self.open == 0
    }

    pub(crate) fn stats(&self) -> GapStats {
        self.output.stats
    }

    fn get(&self, symbol: Symbol) -> Option<&SymbolGaps> {
        let known = self.symbols.get(symbol.index())?.as_ref();
        known.filter(|gaps| !gaps.is_left())
    }

    /// Lets one symbol act, and keeps the order of the questions and the counts of all symbols true.
    fn change<R>(
        &mut self,
        symbol: Symbol,
        now: Now,
        act: impl FnOnce(&mut SymbolGaps, &mut GapContext<'_>) -> R,
    ) -> Option<R> {
        let index = symbol.index();
        let gaps = self.symbols.get_mut(index)?.as_mut()?;
        if gaps.is_left() {
            return None;
        }
        let (asked_at, was_open) = (gaps.ask_at(), gaps.is_open());
        let held_by_others = self.held - gaps.held_len();
        let mut context = GapContext {
            rules: &self.rules,
            now,
            room: self.rules.settings.held_sum_max.saturating_sub(self.held),
            output: &mut self.output,
        };
        let acted = act(gaps, &mut context);
        self.held = held_by_others + gaps.held_len();
        let ask_at = gaps.ask_at();
        if ask_at != asked_at {
            if let Some(at) = asked_at {
                self.due.remove(&(at, index));
            }
            if let Some(at) = ask_at {
                self.due.insert((at, index));
            }
        }
        self.open = self.open + usize::from(gaps.is_open()) - usize::from(was_open);
        Some(acted)
    }
}

#[cfg(test)]
mod tests;
