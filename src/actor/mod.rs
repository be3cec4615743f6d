//! The actors: tokio shells, each around one engine, and the supervisor that spawns them.
