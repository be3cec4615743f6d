//! The integration tests of barmill: one binary, on the public API, with real servers on loopback.

#[cfg(test)]
mod api;
#[cfg(test)]
mod backfill;
#[cfg(test)]
mod budget;
#[cfg(test)]
mod damage;
mod docs;
#[cfg(test)]
mod exactly_once;
#[cfg(test)]
mod fault_matrix;
#[cfg(test)]
mod formats;
mod full_disk;
#[cfg(test)]
mod history;
#[cfg(test)]
mod kill9;
#[cfg(test)]
mod lean;
#[cfg(test)]
mod live;
#[cfg(test)]
mod owners;
#[cfg(test)]
mod pipeline;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod proxy_kit;
#[cfg(test)]
mod reconcile;
#[cfg(test)]
mod redis_kit;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod run;
#[cfg(test)]
mod simulate;
#[cfg(test)]
mod spool;
#[cfg(test)]
mod support;
#[cfg(test)]
mod targets;
#[cfg(test)]
mod trades_kit;
#[cfg(test)]
mod upstash_faults;
#[cfg(test)]
mod upstash_kit;
#[cfg(test)]
mod upstash_oracle;
