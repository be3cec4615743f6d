//! Files of trades, through the public reader.
//!
//! Claims for every input: the trades, the counts and the error do not depend on how the bytes arrive, on the size of
//! batches or on a start in the middle; skipping bad rows changes nothing before the first of them; an error names the
//! file and, for a row, line or row number and the field; no text of an error holds a control character.

mod container;
mod csv;
mod pack;
mod read;
mod recording;
mod rows;

pub use container::{container, container_seeds, zip, zip_seeds};
pub use csv::{binance_csv, binance_csv_seeds, lean, lean_seeds, massive_csv, massive_csv_seeds};
pub use pack::gzip;
pub use recording::{recording, recording_seeds};
pub use rows::{auto, auto_seeds, json, json_seeds};
