//! Checkpoints: the position of each feed from which a restart must read.
//!
//! A shard tells the event time from which a feed must be read again so that every bar not yet sent comes about. Once
//! all shards have told theirs and everything received is durable, the earliest of each feed is saved.

use crate::model::Timestamp;
use crate::port::Position;

/// The places of all shards since the last save.
#[derive(Debug)]
pub(super) struct Checkpoints {
    /// Under which name each feed's place is saved.
    names: Vec<String>,
    shards: Vec<Option<Vec<Option<Timestamp>>>>,
}

impl Checkpoints {
    pub(super) fn new(names: Vec<String>, shards: usize) -> Checkpoints {
        Checkpoints {
            names,
            shards: vec![None; shards],
        }
    }

    /// Takes one shard's word; the latest counts.
    pub(super) fn receive(&mut self, shard: usize, feeds: Vec<Option<Timestamp>>) {
        if let Some(place) = self.shards.get_mut(shard) {
            *place = Some(feeds);
        }
    }

    /// Whether every shard has told its places.
    pub(super) fn are_told(&self) -> bool {
        !self.names.is_empty() && self.shards.iter().all(Option::is_some)
    }

    /// The places to save now that nothing is outstanding; feeds of which a shard knows none are left out.
    pub(super) fn take(&mut self) -> Vec<(String, Position)> {
        if !self.are_told() {
            return Vec::new();
        }
        let shards: Vec<Vec<Option<Timestamp>>> = self
            .shards
            .iter_mut()
            .map(|shard| shard.take().unwrap_or_default())
            .collect();
        let mut places = Vec::new();
        for (feed, name) in self.names.iter().enumerate() {
            let told = shards
                .iter()
                .map(|feeds| feeds.get(feed).copied().flatten());
            let earliest = told
                .collect::<Option<Vec<Timestamp>>>()
                .and_then(|told| told.into_iter().min());
            if let Some(Ok(nanos)) = earliest.map(|time| u64::try_from(time.as_nanos())) {
                places.push((name.clone(), Position(nanos)));
            }
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::Checkpoints;
    use crate::model::Timestamp;
    use crate::port::Position;

    fn at(nanos: i64) -> Option<Timestamp> {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn earliest_place_of_all_shards_is_saved_once_all_have_told_theirs() {
        let mut places = Checkpoints::new(vec!["a".to_owned(), "b".to_owned()], 2);
        places.receive(0, vec![at(5), at(9)]);
        assert!(!places.are_told() && places.take().is_empty());
        places.receive(1, vec![at(7), None]);
        assert!(places.are_told());
        assert_eq!(
            places.take(),
            [("a".to_owned(), Position(5))],
            "of b a shard knows nothing yet"
        );
        assert!(!places.are_told());
    }
}
