//! Bars as candles with their volume, drawn with characters.
//!
//! Pure: the caller says how wide and high the drawing is and whether it has colours. All arithmetic is on whole
//! numbers; where several bars share a column they are merged, none is left out.

use crate::model::{Price, Symbol, Timestamp, Volume};
use barmill_stores::StoredBar;

/// Columns that the axis takes: a blank, and a price of up to 19 characters.
const AXIS_WIDTH: usize = 20;
/// Columns of the narrowest drawing that is still readable.
const PLOT_WIDTH_MIN: usize = 10;
/// Rows of volume below the candles.
const VOLUME_ROWS: usize = 4;
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";

/// What there is to draw on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Canvas {
    /// Characters in a line, the axis included.
    pub(super) width: usize,
    /// Rows of candles; volume comes below.
    pub(super) height: usize,
    /// Whether colours may be used.
    pub(super) is_coloured: bool,
}

/// One or more bars in one column, in units of the exact numbers.
#[derive(Debug, Clone, Copy)]
struct Candle {
    prices: Option<[u64; 4]>,
    volume: u128,
}

/// Draws the bars of each symbol, in order of time, one drawing below the other.
pub(super) fn chart(rows: &[StoredBar], canvas: Canvas) -> String {
    let mut symbols: Vec<Symbol> = rows.iter().map(|row| row.symbol).collect();
    symbols.dedup();
    let drawing = |symbol| {
        let own: Vec<&StoredBar> = rows.iter().filter(|row| row.symbol == symbol).collect();
        draw(&own, canvas)
    };
    symbols.into_iter().map(drawing).collect()
}

fn draw(rows: &[&StoredBar], canvas: Canvas) -> String {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return String::new();
    };
    let mut text = title(rows, first, last.window_end()) + "\n";
    let width = canvas.width.saturating_sub(AXIS_WIDTH).max(PLOT_WIDTH_MIN);
    let candles: Vec<Candle> = rows.chunks(rows.len().div_ceil(width)).map(merge).collect();
    let prices = candles.iter().filter_map(|candle| candle.prices);
    let low = prices.clone().map(|[_, _, low, _]| low).min();
    let high = prices.map(|[_, high, _, _]| high).max();
    if let (Some(low), Some(high)) = (low, high) {
        let scale = Scale {
            low,
            high,
            rows: canvas.height.max(2),
        };
        for row in (0..scale.rows).rev() {
            let cells = line(&candles, canvas, |candle| scale.cell(candle, row));
            let label = Price::from_raw(scale.price(row));
            text.extend([cells, format!(" {label}\n")]);
        }
    }
    let volumes = candles.iter().map(|candle| candle.volume);
    let volume_max = volumes.max().unwrap_or(0);
    for row in (0..VOLUME_ROWS).rev() {
        let cell = |candle: &Candle| volume_cell(candle.volume, volume_max, row);
        let cells = line(&candles, canvas, cell);
        let label = if row + 1 == VOLUME_ROWS {
            " volume"
        } else {
            ""
        };
        text.extend([format!("{cells}{label}").trim_end(), "\n"]);
    }
    text
}

fn title(rows: &[&StoredBar], first: &StoredBar, end: Timestamp) -> String {
    let volume = rows
        .iter()
        .fold(0u128, |sum, row| sum.saturating_add(row.volume.raw()));
    let all = merge(rows);
    let prices = all.prices.map_or_else(String::new, |prices| {
        let [open, high, low, close] = prices.map(Price::from_raw);
        format!("  open {open}  high {high}  low {low}  close {close}")
    });
    let volume = Volume::from_raw(volume);
    format!(
        "{} {} {} to {end}{prices}  volume {volume}",
        first.symbol, first.spec, first.start
    )
}

fn merge(rows: &[&StoredBar]) -> Candle {
    let mut candle = Candle {
        prices: None,
        volume: 0,
    };
    for row in rows {
        candle.volume = candle.volume.saturating_add(row.volume.raw());
        let Some(new) = row.prices else { continue };
        let [open, high, low, close] = [new.open, new.high, new.low, new.close].map(Price::raw);
        candle.prices = Some(match candle.prices {
            Some([first, top, bottom, _]) => [first, top.max(high), bottom.min(low), close],
            None => [open, high, low, close],
        });
    }
    candle
}

fn line(candles: &[Candle], canvas: Canvas, cell: impl Fn(&Candle) -> char) -> String {
    let mut line = String::new();
    for candle in candles {
        let cell = cell(candle);
        match colour(candle).filter(|_| canvas.is_coloured && cell != ' ') {
            Some(colour) => line.extend([colour, cell.encode_utf8(&mut [0; 4]), PLAIN]),
            None => line.push(cell),
        }
    }
    line
}

fn colour(candle: &Candle) -> Option<&'static str> {
    let [open, _, _, close] = candle.prices?;
    Some(if open <= close { GREEN } else { RED })
}

/// Rows of equal height between the lowest and the highest price.
#[derive(Debug, Clone, Copy)]
struct Scale {
    low: u64,
    high: u64,
    rows: usize,
}

impl Scale {
    /// The row of a price, 0 at the bottom; halves round up.
    fn row(self, price: u64) -> usize {
        let span = u128::from(self.high - self.low).max(1);
        let above = u128::from(price.clamp(self.low, self.high) - self.low);
        usize::try_from((above * self.top() + span / 2) / span).unwrap_or(0)
    }

    /// The price of a row, rounded down.
    fn price(self, row: usize) -> u64 {
        let above = u128::from(self.high - self.low) * (row as u128) / self.top();
        self.low.saturating_add(u64::try_from(above).unwrap_or(0))
    }

    /// The number of the highest row, at least 1.
    fn top(self) -> u128 {
        (self.rows as u128).saturating_sub(1).max(1)
    }

    /// A body that rose is full, one that fell is shaded, so that they differ without colours too.
    fn cell(self, candle: &Candle, row: usize) -> char {
        let Some([open, high, low, close]) = candle.prices else {
            return ' ';
        };
        let body = self.row(open.min(close))..=self.row(open.max(close));
        let wick = self.row(low)..=self.row(high);
        match (body.contains(&row), wick.contains(&row)) {
            (true, _) if open == close => '─',
            (true, _) if open < close => '█',
            (true, _) => '▒',
            (false, true) => '│',
            (false, false) => ' ',
        }
    }
}

fn volume_cell(volume: u128, volume_max: u128, row: usize) -> char {
    let steps = (VOLUME_ROWS * 8) as u128;
    // Any volume at all shows.
    let filled = if volume > 0 {
        (volume.saturating_mul(steps) / volume_max.max(1)).max(1)
    } else {
        0
    };
    let here = filled.saturating_sub((row * 8) as u128).min(8);
    usize::try_from(here)
        .ok()
        .and_then(|here| EIGHTHS.get(here))
        .copied()
        .unwrap_or(' ')
}

#[cfg(test)]
mod tests {
    use super::super::render::tests::{empty_row, row};
    use super::{AXIS_WIDTH, Canvas, chart};
    use crate::model::Ohlc;
    use barmill_stores::StoredBar;

    fn candle(minute: u32, prices: [&str; 4], volume: &str) -> StoredBar {
        let [open, high, low, close] = prices.map(|price| price.parse().unwrap());
        let prices = Some(Ohlc {
            open,
            high,
            low,
            close,
        });
        StoredBar {
            prices,
            volume: volume.parse().unwrap(),
            ..row("AAPL", minute, "1", "1")
        }
    }

    fn drawn(rows: &[StoredBar], width: usize, is_coloured: bool) -> String {
        let canvas = Canvas {
            width,
            height: 6,
            is_coloured,
        };
        chart(rows, canvas)
    }

    fn sample() -> Vec<StoredBar> {
        vec![
            candle(30, ["10", "12", "9", "11"], "100"),
            candle(31, ["11", "14", "11", "13.5"], "400"),
            candle(32, ["13.5", "13.5", "10", "10.5"], "50"),
            candle(33, ["10.5", "10.5", "10.5", "10.5"], "0"),
        ]
    }

    #[test]
    fn candles_stand_over_their_volume_and_the_axis_tells_prices() {
        insta::assert_snapshot!(drawn(&sample(), 60, false), @r"
    AAPL 1m 2025-10-15T13:30:00Z to 2025-10-15T13:34:00Z  open 10  high 14  low 9  close 10.5  volume 550
     █▒  14
     █▒  13
    │█▒  12
    ██▒─ 11
    █ │  10
    │    9
     █   volume
     █
     █
    ██▄
    ");
    }

    #[test]
    fn no_line_is_wider_than_asked_and_no_bar_is_left_out() {
        let rows: Vec<StoredBar> = (0..40)
            .map(|index| candle(index, ["10", "12", "9", "11"], "1"))
            .collect();
        let text = drawn(&rows, AXIS_WIDTH + 15, false);
        assert!(
            text.lines()
                .skip(1)
                .all(|line| line.chars().count() <= AXIS_WIDTH + 15),
            "{text}"
        );
        assert!(text.contains("volume 40"), "{text}");
    }

    #[test]
    fn colours_are_used_only_where_asked_for() {
        assert!(!drawn(&sample(), 60, false).contains('\u{1b}'));
        let coloured = drawn(&sample(), 60, true);
        assert!(
            coloured.contains("\u{1b}[32m█\u{1b}[0m") && coloured.contains("\u{1b}[31m▒\u{1b}[0m")
        );
    }

    #[test]
    fn bar_without_prices_has_volume_and_no_candle() {
        let text = drawn(&[empty_row()], 60, false);
        assert!(text.contains('█') && !text.contains('─'), "{text}");
        assert_eq!(drawn(&[], 60, false), "");
    }
}
