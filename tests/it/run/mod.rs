//! `barmill run` as its users start it, against a venue on loopback and a real Redis.

#[cfg(test)]
mod daemon;
#[cfg(test)]
mod operation;
#[cfg(test)]
mod outage;
mod stage;
