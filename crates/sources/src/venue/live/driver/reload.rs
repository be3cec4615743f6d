//! Other symbols while the feed runs: their connections are made anew, and what that misses is fetched like any hole.

use super::super::connection::Connection;
use super::super::feed::{Reload, partway};
use super::super::settings::LiveSymbol;
use super::LiveDriver;
use barmill_core::model::Symbol;
use barmill_core::port::Gap;
use std::collections::BTreeSet;
use tokio::sync::watch;

impl LiveDriver {
    /// Adds connections for symbols, each with as many as it may carry.
    pub(super) fn connect(&mut self, symbols: &[LiveSymbol]) {
        for part in symbols.chunks(self.settings.symbols_per_connection_max) {
            let places = part
                .iter()
                .map(|one| self.continuity.follow(one.symbol, one.after))
                .collect();
            let (names, view) = watch::channel(part.iter().map(|one| one.symbol).collect());
            let index = self.carried.len();
            self.carried.push(Some(places));
            self.wanted.push(names);
            self.connections
                .push(Connection::reports(self.shared.clone(), index, Some(view)));
        }
    }

    /// Follows these symbols and no others; those that stay keep their place, new ones begin at theirs.
    pub(super) fn on_reload(&mut self, reload: &Reload) {
        let symbols = &reload.symbols;
        if self.carried.contains(&None) {
            return;
        }
        let wanted: BTreeSet<Symbol> = symbols.iter().map(|one| one.symbol).collect();
        let removed = self.drop_symbols(&wanted);
        let is_new = |one: &&LiveSymbol| self.continuity.place(one.symbol).is_none();
        let mut added: Vec<LiveSymbol> = symbols.iter().filter(is_new).copied().collect();
        let count = added.len();
        if reload.is_partway {
            let is_new = |one: &&LiveSymbol| !self.continuity.was_left(one.symbol);
            let new: Vec<LiveSymbol> = added.iter().filter(is_new).copied().collect();
            let gaps: Vec<Gap> = new.iter().filter_map(partway).collect();
            self.start_partway(&new);
            for gap in gaps {
                self.continuity.tell(gap);
            }
        }
        for index in 0..self.wanted.len() {
            let room = self
                .settings
                .symbols_per_connection_max
                .saturating_sub(self.wanted[index].borrow().len());
            let part: Vec<LiveSymbol> = added.drain(..added.len().min(room)).collect();
            if part.is_empty() {
                continue;
            }
            let places: Vec<usize> = part
                .iter()
                .map(|one| self.continuity.follow(one.symbol, one.after))
                .collect();
            if let Some(Some(carried)) = self.carried.get_mut(index) {
                carried.extend(places);
            }
            self.wanted[index].send_modify(|names| names.extend(part.iter().map(|one| one.symbol)));
        }
        self.connect(&added);
        tracing::info!(
            venue = self.settings.name(),
            added = count,
            removed,
            "symbols reloaded"
        );
    }

    fn drop_symbols(&mut self, wanted: &BTreeSet<Symbol>) -> usize {
        let mut removed = 0;
        for (names, carried) in self.wanted.iter().zip(&mut self.carried) {
            let gone: Vec<Symbol> = names
                .borrow()
                .iter()
                .copied()
                .filter(|symbol| !wanted.contains(symbol))
                .collect();
            if gone.is_empty() {
                continue;
            }
            removed += gone.len();
            for symbol in &gone {
                let place = self.continuity.leave(*symbol);
                if let (Some(place), Some(carried)) = (place, carried.as_mut()) {
                    carried.retain(|other| *other != place);
                }
            }
            names.send_modify(|names| names.retain(|symbol| wanted.contains(symbol)));
        }
        removed
    }
}
