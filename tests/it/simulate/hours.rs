//! An hour of live trades under every fault gives, byte for byte, the bars of a plain replay of the same trades.
//!
//! The program listens to a simulated venue at hundreds of times the speed of the clock and writes into a real Redis. All
//! that may differ is how often a bar was revised. `BARMILL_SEED` sets the seed of trades, faults and kills.

use crate::simulate::proof::{Proof, seed};
use crate::support::program::{Ended, Running};
use crate::support::redis::{RedisOptions, RedisServer};
use barmill_sources::simulate::Numbering;
use barmill_sources::venue::{VENUES, Venue};
use std::future::Future;
use std::thread;

/// How often each venue's daemon is killed.
const KILLS: u64 = 5;

/// Proves something of all venues at the same time, each on threads of its own, as programs are waited for.
fn each<F: Future<Output = ()>>(prove: impl Fn(&'static Venue) -> F + Sync) {
    thread::scope(|scope| {
        for venue in VENUES {
            let prove = &prove;
            scope.spawn(move || {
                let mut runtime = tokio::runtime::Builder::new_multi_thread();
                runtime
                    .worker_threads(2)
                    .enable_all()
                    .build()
                    .unwrap()
                    .block_on(prove(venue));
            });
        }
    });
}

/// Ends a run in order when the store holds every bar, and checks that nothing was counted out.
async fn end(proof: &Proof, redis: &RedisServer, running: Running) -> Ended {
    proof.wait(redis).await;
    running.signal("TERM");
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}: {}", proof.venue, ended.err);
    assert_eq!(
        proof.difference(redis),
        None,
        "{}: {}",
        proof.venue,
        ended.err
    );
    let counts = ended.json();
    assert!(
        counts["trades"].as_u64() <= Some(proof.len),
        "{}: {counts}",
        proof.venue
    );
    assert_eq!(
        (&counts["late"], &counts["malformed"]),
        (&0.into(), &0.into()),
        "{}: {counts}",
        proof.venue
    );
    ended
}

async fn undisturbed(venue: &'static Venue) {
    let (redis, proof) = (RedisServer::start(), Proof::new(venue).await);
    let running = proof.start(&redis.url(), &[]);
    let ended = end(&proof, &redis, running).await;
    let stats = proof.stage.view.stats();
    assert!(
        stats.broken > 50 && stats.twisted > 100 && stats.spoiled > 5,
        "{venue}: {stats:?}"
    );
    println!(
        "{}: {} bars; {stats:?}; {}",
        venue.name,
        proof.expected.len(),
        ended.json()
    );
}

async fn killed(venue: &'static Venue) {
    let (redis, proof) = (RedisServer::start(), Proof::new(venue).await);
    let mut random = fastrand::Rng::with_seed(seed() ^ venue.name.len() as u64);
    let mut moments: Vec<u64> = (0..KILLS).map(|_| random.u64(20..980)).collect();
    moments.sort_unstable();
    for moment in moments {
        let running = proof.start(&redis.url(), &[]);
        proof.played(moment).await;
        running.signal("KILL");
        assert_eq!(running.wait().code, None);
        // Elsewhere a bar may wait for its revision.
        if venue.simulation.numbering == Numbering::Contiguous {
            assert_eq!(proof.stray(&redis), None, "{venue} killed at {moment}");
        }
    }
    let running = proof.start(&redis.url(), &[]);
    end(&proof, &redis, running).await;
}

async fn out_of_store(venue: &'static Venue) {
    let (mut redis, proof) = (
        RedisOptions::default().durable().start(),
        Proof::new(venue).await,
    );
    let brisk = [
        "writer.attempts_max=2",
        "writer.probe_ms=100",
        "writer.probe_max_ms=200",
    ];
    let running = proof.start(&redis.url(), &brisk);
    proof.played(200).await;
    redis.kill9();
    proof.played(400).await;
    // What waits in the spool outlives the daemon too.
    running.signal("KILL");
    assert_eq!(running.wait().code, None);
    let running = proof.start(&redis.url(), &brisk);
    proof.played(600).await;
    redis.restart();
    let ended = end(&proof, &redis, running).await;
    assert!(
        ended.err.contains("is reachable again; sending the spool"),
        "{venue}: {}",
        ended.err
    );
    assert_eq!(ended.json()["spooled"], 0, "{venue}");
}

#[test]
fn an_hour_of_every_venue_under_faults_gives_the_bars_of_a_replay() {
    each(undisturbed);
}

#[test]
fn a_daemon_killed_at_random_moments_of_the_hour_ends_as_if_never_killed() {
    each(killed);
}

#[test]
fn a_store_that_is_out_for_a_part_of_the_hour_misses_nothing() {
    each(out_of_store);
}
