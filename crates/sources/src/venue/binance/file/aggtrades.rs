//! Binance public data, aggregated trades, spot or futures.
//!
//! Wire format (binance-public-data README): spot files have no header, `a, p, q, f, l, T, m, M`; futures files have a
//! header that names the columns. Times and sides are those of [`super::trades`], which has the decoder.

use super::trades::{Columns, Layout};
use crate::file::format::{Descriptor, Open, Sample, column};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "binance-aggtrades",
    summary: "Binance public data, aggregated trades, spot or futures",
    columns: &[
        column("agg_trade_id", "identity and order"),
        column("price", "exact decimal"),
        column("quantity", "exact decimal"),
        column(
            "transact_time",
            "event time, ms, us or ns since the Unix epoch by its magnitude",
        ),
        column("is_buyer_maker", "`true` or `false`"),
    ],
    vendor: Some("binance"),
    is_us_equity: false,
    needs_symbol: true,
    is_like,
    open: Open::Lines(|text| AGG_TRADES.open(text)),
};

/// The columns of aggregated trades.
pub(super) static AGG_TRADES: Layout = Layout {
    ids: &["agg_trade_id", "a"],
    spot: Columns {
        count: 0,
        id: 0,
        price: 1,
        size: 2,
        time: 5,
        buyer_is_maker: 6,
    },
};

fn is_like(sample: &Sample<'_>) -> bool {
    sample.has_column(&["agg_trade_id", "first_trade_id"])
        || sample.has_word_in(AGG_TRADES.spot.buyer_is_maker)
}
