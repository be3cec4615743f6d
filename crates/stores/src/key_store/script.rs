//! Scripts that run inside the store.
//!
//! A script goes by its SHA-1 (`EVALSHA`); where the store does not know it (`NOSCRIPT`: the first
//! time, after a restart, a failover, `SCRIPT FLUSH`) it goes again with its text. Every script may be run twice without harm. All keys of a
//! script are declared; on a cluster they would have to share one slot.

/// A script and its digest.
#[derive(Debug, PartialEq, Eq)]
pub struct Script {
    /// The Lua text.
    pub text: &'static str,
    /// SHA-1 of the text, in hexadecimal.
    pub sha: &'static str,
}

impl Script {
    /// The first argument of `EVAL` or `EVALSHA`.
    pub(crate) const fn name_or_text(&self, has_text: bool) -> &'static [u8] {
        if has_text {
            self.text.as_bytes()
        } else {
            self.sha.as_bytes()
        }
    }
}

/// Appends to a stream what is not in it yet.
pub(crate) static APPEND: Script = Script {
    text: concat!(
        include_str!("lua/stream.lua"),
        include_str!("lua/append.lua")
    ),
    sha: "578e6df86da6f8a4fd2ffcb5d182945c165f1f9a",
};

/// Claims bars, writes them, and manifests behind them when all are written.
pub(crate) static CLOSE: Script = Script {
    text: include_str!("lua/close.lua"),
    sha: "e20a374fd1ff0169d5476518db983e4dff679bdf",
};

/// Takes, renews and releases the lease of a writer.
pub(crate) static LEASE: Script = Script {
    text: concat!(include_str!("lua/fence.lua"), include_str!("lua/lease.lua")),
    sha: "b439149689afb61f2dbc2386271db2fc79a00a50",
};

/// Writes a batch of the writer whose fencing number is not stale.
pub(crate) static GUARD: Script = Script {
    text: concat!(
        include_str!("lua/stream.lua"),
        include_str!("lua/fence.lua"),
        include_str!("lua/guard.lua")
    ),
    sha: "9c1ebbf97c4e125c79e77a99f9d3159a94b11f49",
};
