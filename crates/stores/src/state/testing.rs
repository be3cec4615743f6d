//! Values that several tests of the state store build.

use super::{StateDb, StateSettings};
use barmill_core::model::{
    Bar, BarFlags, BarSpec, BarState, BarUpdate, Manifest, Notional, Ohlc, Origin, Price,
    Timestamp, Volume, WriteItem,
};
use barmill_core::port::{Changes, Clock, StateError, StateStore};
use proptest::prelude::*;
use std::num::NonZeroU64;
use std::sync::Arc;

/// A clock that stands still.
#[derive(Debug)]
pub(super) struct Still(pub(super) Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// The state in its folder, opened or made by an empty commit.
pub(super) async fn opened(
    settings: &StateSettings,
    now: Timestamp,
) -> Result<StateDb, StateError> {
    let state = StateDb::new(settings.clone(), Arc::new(Still(now)));
    state.commit(Changes::default()).await.map(|_| state)
}

/// The bar of minute `number`; two numbers never give equal bars.
pub(super) fn update(number: u64) -> BarUpdate {
    let start = Timestamp::EPOCH.saturating_add(i64::try_from(number).unwrap() * 60_000_000_000);
    let price = Price::from_raw(10_000_000_000 + number);
    let volume = Volume::from_raw(1_000_000 + u128::from(number));
    let bar = Bar {
        symbol: "AAPL".parse().unwrap(),
        spec: BarSpec::MINUTE,
        start,
        end: start.saturating_add(60_000_000_000),
        prices: Some(Ohlc {
            open: price,
            high: price,
            low: price,
            close: price,
        }),
        volume,
        notional: Notional::from_raw(0, 7),
        notional_volume: volume,
        trades: number,
        buy_volume: Volume::ZERO,
        sell_volume: Volume::ZERO,
        first_sequence: 1,
        last_sequence: 2,
        flags: BarFlags::default(),
    };
    BarUpdate {
        bar,
        state: BarState::Final,
        revision: 0,
        trades_added: number,
    }
}

/// The bar of minute `number` as an item.
pub(super) fn bar_item(number: u64) -> WriteItem {
    WriteItem::Bar(update(number))
}

/// The bars of minutes `range` as items.
pub(super) fn bar_items(range: std::ops::Range<u64>) -> Vec<WriteItem> {
    range.map(bar_item).collect()
}

/// The instant `seconds` after the epoch.
pub(super) fn second(seconds: i64) -> Timestamp {
    Timestamp::EPOCH.saturating_add(seconds * 1_000_000_000)
}

fn specs() -> impl Strategy<Value = BarSpec> {
    let count = || (1u64..).prop_map(|count| NonZeroU64::new(count).unwrap());
    prop_oneof![
        count().prop_map(BarSpec::Time),
        Just(BarSpec::Day),
        Just(BarSpec::Session),
        count().prop_map(BarSpec::Tick),
        any::<u128>().prop_map(|raw| BarSpec::Volume(Volume::from_raw(raw))),
        any::<u64>().prop_map(|raw| BarSpec::Value(Price::from_raw(raw))),
    ]
}

fn symbols() -> impl Strategy<Value = barmill_core::model::Symbol> {
    prop_oneof![
        Just("A"),
        Just("BRK.B"),
        Just("BTC/USD"),
        Just("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345")
    ]
    .prop_map(|name| name.parse().unwrap())
}

fn times() -> impl Strategy<Value = Timestamp> {
    (0i64..).prop_map(|nanos| Timestamp::from_nanos(nanos).unwrap())
}

fn bars() -> impl Strategy<Value = Bar> {
    let prices = proptest::option::of(any::<[u64; 4]>()).prop_map(|raw| {
        raw.map(|raw| raw.map(Price::from_raw))
            .map(|[open, high, low, close]| Ohlc {
                open,
                high,
                low,
                close,
            })
    });
    let sums = (any::<[u128; 5]>(), any::<[u64; 4]>());
    (symbols(), specs(), times(), times(), prices, sums, 0u8..8).prop_map(
        |(symbol, spec, start, end, prices, (sums, counts), bits)| Bar {
            symbol,
            spec,
            start,
            end,
            prices,
            volume: Volume::from_raw(sums[0]),
            notional: Notional::from_raw(counts[0], sums[1]),
            notional_volume: Volume::from_raw(sums[2]),
            trades: counts[1],
            buy_volume: Volume::from_raw(sums[3]),
            sell_volume: Volume::from_raw(sums[4]),
            first_sequence: counts[2],
            last_sequence: counts[3],
            flags: BarFlags::from_bits(bits),
        },
    )
}

fn manifests() -> impl Strategy<Value = Manifest> {
    let date = (-9999i16..=9999, 1i8..=12, 1i8..=28)
        .prop_map(|(year, month, day)| jiff::civil::Date::new(year, month, day).unwrap());
    let zone = "[A-Za-z_/]{0,40}";
    let origin = proptest::option::of(("[a-z ]{0,20}", "[a-z ,-]{0,20}"))
        .prop_map(|parts| parts.map(|(source, rules)| Origin { source, rules }));
    let counts = (any::<[bool; 2]>(), any::<[u64; 2]>(), any::<u32>());
    (
        specs(),
        date,
        symbols(),
        zone,
        times(),
        times(),
        counts,
        origin,
    )
        .prop_map(
            |(
                spec,
                date,
                symbol,
                zone,
                from,
                to,
                ([complete, gapless], [bars, trades], revision),
                origin,
            )| {
                Manifest {
                    spec,
                    date,
                    symbol,
                    zone,
                    from,
                    to,
                    complete,
                    gapless,
                    bars,
                    trades,
                    revision,
                    origin,
                }
            },
        )
}

/// Any item at all.
pub(super) fn items() -> impl Strategy<Value = WriteItem> {
    let states = prop_oneof![
        Just(BarState::Forming),
        Just(BarState::Final),
        Just(BarState::Revised)
    ];
    let updates = (bars(), states, any::<u32>(), any::<u64>()).prop_map(
        |(bar, state, revision, trades_added)| {
            WriteItem::Bar(BarUpdate {
                bar,
                state,
                revision,
                trades_added,
            })
        },
    );
    prop_oneof![updates, manifests().prop_map(WriteItem::Manifest)]
}
