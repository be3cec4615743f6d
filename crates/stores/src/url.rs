//! What can be wrong with the URL of a store.

/// Why a text is no sink URL. No variant repeats the text, since it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkUrlError {
    /// No known scheme.
    #[error(
        "sink scheme {scheme:?} is not one of redis:// rediss:// https:// http:// embedded:DIR stdout: null:"
    )]
    Scheme {
        /// What stands before the first colon, at most 16 characters.
        scheme: String,
    },
    /// A Redis URL that does not parse.
    #[error("sink is not a redis URL such as redis://user:password@host:6379/0")]
    Redis,
    /// Certificates that would not be verified.
    #[error("sink URL must not contain #insecure; name the private CA file instead")]
    Insecure,
    /// A REST URL that does not parse, or has more than scheme, host, port and path.
    #[error(
        "sink is not a REST URL such as https://name.upstash.io; the token goes into UPSTASH_REDIS_REST_TOKEN"
    )]
    Rest,
    /// Plain text over a network.
    #[error(
        "sink host {host} is not this machine, so https:// is needed; plain http:// would expose the token"
    )]
    Plain {
        /// The host.
        host: String,
    },
    /// A store that this build was made without.
    #[error("sink needs the Cargo feature {name:?}, which this build of barmill does not include")]
    Feature {
        /// The feature.
        name: &'static str,
    },
    /// No folder.
    #[error("sink embedded: needs a folder, such as embedded:./bars")]
    Folder,
    /// Something after `stdout:` or `null:`.
    #[error("sink {scheme}: must have nothing after the colon")]
    Extra {
        /// The scheme.
        scheme: &'static str,
    },
}
