//! `barmill run` as its users start it, against a venue on loopback and a real Redis.

#[cfg(test)]
mod daemon;
#[cfg(test)]
mod operation;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod packaging;
#[cfg(test)]
mod script;
#[cfg(test)]
mod sources;
mod stage;
#[cfg(test)]
mod updates;
