//! The command budget: commands used per day and month, and what may still be sent.
//!
//! Owns the counts and the verdicts. Days and months are those of the UTC calendar, by which stores bill.
//! Knows neither the clock nor where the counts are kept: the caller restores them and saves them.

use super::zone_cache::{date_of, day_span};
use crate::model::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Percent of a limit at which the owner is warned and forming bars are left out.
pub const FINALS_ONLY_PERCENT: u64 = 80;

/// Commands that may be sent; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BudgetLimits {
    /// Commands in one UTC day.
    pub per_day: Option<u64>,
    /// Commands in one UTC month.
    pub per_month: Option<u64>,
}

/// Commands sent so far in a day and in its month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetUse {
    /// The UTC day, which also names the month.
    pub day: Date,
    /// Commands sent in the day.
    pub day_commands: u64,
    /// Commands sent in the month of the day.
    pub month_commands: u64,
}

/// What may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetVerdict {
    /// Anything.
    Spend,
    /// Final and revised bars; what is left is kept for them.
    FinalsOnly,
    /// Nothing before this instant, at which the period that is used up ends.
    Exhausted(Timestamp),
}

/// The span of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetPeriod {
    /// The UTC day.
    Day,
    /// The UTC month.
    Month,
}

/// Most of a limit is spent; reported once a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetWarning {
    /// Whose limit.
    pub period: BudgetPeriod,
    /// Commands sent in the period.
    pub commands: u64,
    /// Commands allowed in the period.
    pub limit: u64,
}

/// The commands of one store.
#[derive(Debug)]
pub struct Budget {
    limits: BudgetLimits,
    used: BudgetUse,
    /// The periods of which a warning was given.
    warned: Vec<BudgetPeriod>,
}

impl Budget {
    /// Goes on from the counts of an earlier run, if there are any.
    pub fn new(limits: BudgetLimits, used: Option<BudgetUse>, now: Timestamp) -> Budget {
        let fresh = BudgetUse {
            day: day_of(now),
            day_commands: 0,
            month_commands: 0,
        };
        Budget {
            limits,
            used: used.unwrap_or(fresh),
            warned: Vec::new(),
        }
    }

    /// What may be sent when the next send costs `commands`.
    ///
    /// A send that costs more than a whole limit is never allowed; the config keeps limits above a batch.
    pub fn verdict(&mut self, commands: u64, now: Timestamp) -> BudgetVerdict {
        self.roll(now);
        let passed = |share: fn(u64) -> u64| {
            let passes = |limit, used: u64| used.saturating_add(commands) > share(limit);
            let mut periods = self.periods().into_iter();
            periods.find(|(_, limit, used, _)| limit.is_some_and(|limit| passes(limit, *used)))
        };
        if let Some((_, _, _, last)) = passed(|limit| limit) {
            let end = day_span(&TimeZone::UTC, last).end;
            BudgetVerdict::Exhausted(Timestamp::from_nanos(end).unwrap_or(Timestamp::MAX))
        } else if passed(share).is_some() {
            BudgetVerdict::FinalsOnly
        } else {
            BudgetVerdict::Spend
        }
    }

    /// The limit of each period, what was sent in it, and its last day. The month is first: when both are used up, the
    /// end of the day changes nothing.
    fn periods(&self) -> [(BudgetPeriod, Option<u64>, u64, Date); 2] {
        let (limits, used) = (self.limits, self.used);
        let last = used.day.last_of_month();
        [
            (
                BudgetPeriod::Month,
                limits.per_month,
                used.month_commands,
                last,
            ),
            (
                BudgetPeriod::Day,
                limits.per_day,
                used.day_commands,
                used.day,
            ),
        ]
    }

    /// Counts commands that are sent, retries included; warns once per period when most of a limit is spent.
    pub fn spend(&mut self, commands: u64, now: Timestamp) -> Option<BudgetWarning> {
        self.roll(now);
        self.used.day_commands = self.used.day_commands.saturating_add(commands);
        self.used.month_commands = self.used.month_commands.saturating_add(commands);
        for (period, limit, commands, _) in self.periods() {
            let limit = limit.filter(|limit| share(*limit) <= commands);
            if let Some(limit) = limit.filter(|_| !self.warned.contains(&period)) {
                self.warned.push(period);
                return Some(BudgetWarning {
                    period,
                    commands,
                    limit,
                });
            }
        }
        None
    }

    /// The counts, to be saved.
    pub fn used(&self) -> BudgetUse {
        self.used
    }

    /// Starts a new day or month. A clock that steps back does not give spent commands back.
    fn roll(&mut self, now: Timestamp) {
        let day = day_of(now);
        if day <= self.used.day {
            return;
        }
        if day.first_of_month() != self.used.day.first_of_month() {
            self.used.month_commands = 0;
            self.warned.clear();
        }
        self.used.day = day;
        self.used.day_commands = 0;
        self.warned.retain(|period| *period != BudgetPeriod::Day);
    }
}

fn share(limit: u64) -> u64 {
    limit / 100 * FINALS_ONLY_PERCENT + limit % 100 * FINALS_ONLY_PERCENT / 100
}

fn day_of(now: Timestamp) -> Date {
    date_of(&TimeZone::UTC, now.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::{Budget, BudgetLimits, BudgetPeriod, BudgetUse, BudgetVerdict, BudgetWarning};
    use crate::model::Timestamp;
    use proptest::prelude::*;

    const LIMITS: BudgetLimits = BudgetLimits {
        per_day: Some(100),
        per_month: Some(150),
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn spent(commands: u64, now: Timestamp) -> Budget {
        let mut budget = Budget::new(LIMITS, None, now);
        let _warning = budget.spend(commands, now);
        budget
    }

    #[test]
    fn last_fifth_is_kept_for_finals() {
        let now = at("2025-10-15T12:00:00Z");
        let mut budget = spent(79, now);
        assert_eq!(budget.verdict(1, now), BudgetVerdict::Spend);
        assert_eq!(budget.verdict(2, now), BudgetVerdict::FinalsOnly);
        assert_eq!(budget.verdict(21, now), BudgetVerdict::FinalsOnly);
        assert_eq!(
            budget.verdict(22, now),
            BudgetVerdict::Exhausted(at("2025-10-16T00:00:00Z"))
        );
    }

    #[test]
    fn next_day_has_a_fresh_count_and_the_month_goes_on() {
        let mut budget = spent(100, at("2025-10-15T23:59:59.999999999Z"));
        let next = at("2025-10-16T00:00:00Z");
        assert_eq!(budget.verdict(20, next), BudgetVerdict::Spend);
        assert_eq!(
            budget.verdict(21, next),
            BudgetVerdict::FinalsOnly,
            "the month is at 120 of 150"
        );
        assert_eq!(
            budget.verdict(51, next),
            BudgetVerdict::Exhausted(at("2025-11-01T00:00:00Z"))
        );
        assert_eq!(budget.used().day_commands, 0);
    }

    #[test]
    fn used_up_month_ends_at_the_month_also_in_december_and_february() {
        for (now, end) in [
            ("2025-12-31T23:00:00Z", "2026-01-01T00:00:00Z"),
            ("2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            ("2025-10-31T05:00:00Z", "2025-11-01T00:00:00Z"),
        ] {
            let mut budget = spent(150, at(now));
            assert_eq!(
                budget.verdict(1, at(now)),
                BudgetVerdict::Exhausted(at(end))
            );
            assert_eq!(budget.verdict(1, at(end)), BudgetVerdict::Spend);
        }
    }

    #[test]
    fn same_day_a_year_later_is_another_month() {
        let mut budget = spent(150, at("2025-10-15T12:00:00Z"));
        assert_eq!(
            budget.verdict(1, at("2026-10-15T12:00:00Z")),
            BudgetVerdict::Spend
        );
    }

    #[test]
    fn warning_comes_once_a_period() {
        let now = at("2025-10-15T12:00:00Z");
        let mut budget = Budget::new(LIMITS, None, now);
        assert_eq!(budget.spend(79, now), None);
        let warned = BudgetWarning {
            period: BudgetPeriod::Day,
            commands: 80,
            limit: 100,
        };
        assert_eq!(budget.spend(1, now), Some(warned));
        assert_eq!(budget.spend(1, now), None);
        let next = at("2025-10-16T12:00:00Z");
        let warned = BudgetWarning {
            period: BudgetPeriod::Month,
            commands: 121,
            limit: 150,
        };
        assert_eq!(budget.spend(40, next), Some(warned));
        assert_eq!(budget.spend(1, next), None);
    }

    #[test]
    fn restored_counts_go_on() {
        let now = at("2025-10-15T12:00:00Z");
        let used = spent(95, now).used();
        assert_eq!(
            used,
            BudgetUse {
                day: "2025-10-15".parse().unwrap(),
                day_commands: 95,
                month_commands: 95
            }
        );
        let mut budget = Budget::new(LIMITS, Some(used), now);
        assert_eq!(budget.verdict(5, now), BudgetVerdict::FinalsOnly);
        assert_eq!(
            budget.verdict(6, now),
            BudgetVerdict::Exhausted(at("2025-10-16T00:00:00Z"))
        );
    }

    #[test]
    fn clock_that_steps_back_gives_nothing_back() {
        let mut budget = spent(100, at("2025-10-16T00:00:01Z"));
        assert_eq!(
            budget.verdict(1, at("2025-10-15T23:59:59Z")),
            BudgetVerdict::Exhausted(at("2025-10-17T00:00:00Z"))
        );
    }

    #[test]
    fn no_limit_allows_everything_and_still_counts() {
        let now = at("2025-10-15T12:00:00Z");
        let mut budget = Budget::new(BudgetLimits::default(), None, now);
        assert_eq!(budget.spend(u64::MAX, now), None);
        assert_eq!(budget.verdict(u64::MAX, now), BudgetVerdict::Spend);
        assert_eq!(budget.used().month_commands, u64::MAX);
    }

    proptest! {
        #[test]
        fn no_period_passes_its_limit(
            sends in proptest::collection::vec((0i64..200_000, 1u64..40), 1..200),
            day in 40u64..300,
            month in 40u64..3_000,
        ) {
            let limits = BudgetLimits { per_day: Some(day), per_month: Some(month) };
            let mut now = at("2025-10-30T00:00:00Z");
            let mut budget = Budget::new(limits, None, now);
            for (seconds, commands) in sends {
                now = now.saturating_add(seconds * 1_000_000_000);
                match budget.verdict(commands, now) {
                    BudgetVerdict::Spend | BudgetVerdict::FinalsOnly => {
                        let _warning = budget.spend(commands, now);
                    }
                    BudgetVerdict::Exhausted(until) => prop_assert!(now < until),
                }
                prop_assert!(budget.used().day_commands <= day);
                prop_assert!(budget.used().month_commands <= month);
            }
        }
    }
}
