//! The keys of a source, taken from the environment when the run starts.

use super::secret::{SecretError, find_secret};
use super::source::{SourceName, Sources};
use super::{Environment, VariableName};
use secrecy::SecretString;

/// The older name of Massive's key, from when the vendor was Polygon.
const POLYGON: &str = "POLYGON_API_KEY";

/// The keys of one source; what it does not need, or nobody has set, is absent.
#[derive(Debug, Clone, Default)]
pub struct SourceKeys {
    /// The id that goes with the key.
    pub id: Option<SecretString>,
    /// The key.
    pub key: Option<SecretString>,
}

impl SourceKeys {
    /// Looks for the keys of a source.
    ///
    /// # Errors
    /// [`SecretError`] when a variable is doubled or its file cannot be read, and when the vendor's own host needs
    /// a key that nobody has set; a proxy may add it by itself.
    pub fn resolve(
        sources: &Sources,
        name: SourceName,
        environment: &Environment,
    ) -> Result<SourceKeys, SecretError> {
        match name {
            SourceName::Massive => {
                let massive = &sources.massive;
                let mut key = find(environment, &massive.key_env)?;
                let default = Sources::default().massive;
                if key.is_none() && massive.key_env == default.key_env {
                    key = find_secret(environment, POLYGON)?.map(SecretString::from);
                }
                let is_own_host = massive.base_url == default.base_url;
                Ok(SourceKeys {
                    id: None,
                    key: need(key, is_own_host, name, &massive.key_env)?,
                })
            }
            SourceName::Alpaca => {
                let alpaca = &sources.alpaca;
                let is_own_host = alpaca.base_url == Sources::default().alpaca.base_url;
                let id = find(environment, &alpaca.key_id_env)?;
                let key = find(environment, &alpaca.secret_key_env)?;
                Ok(SourceKeys {
                    id: need(id, is_own_host, name, &alpaca.key_id_env)?,
                    key: need(key, is_own_host, name, &alpaca.secret_key_env)?,
                })
            }
            SourceName::Binance => Ok(SourceKeys {
                id: None,
                key: find(environment, &sources.binance.key_env)?,
            }),
            SourceName::Coinbase | SourceName::Kraken => Ok(SourceKeys::default()),
        }
    }
}

fn find(
    environment: &Environment,
    name: &VariableName,
) -> Result<Option<SecretString>, SecretError> {
    Ok(find_secret(environment, name.as_str())?.map(SecretString::from))
}

fn need(
    key: Option<SecretString>,
    is_needed: bool,
    source: SourceName,
    name: &VariableName,
) -> Result<Option<SecretString>, SecretError> {
    if key.is_none() && is_needed {
        let user = format!("source {source}");
        return Err(SecretError::Missing {
            user,
            name: name.as_str().to_owned(),
        });
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::{SourceKeys, SourceName, Sources};
    use crate::config::Environment;
    use secrecy::ExposeSecret;

    fn key(name: SourceName, pairs: &[(&str, &str)]) -> Result<Option<String>, String> {
        let environment = Environment::from_pairs(pairs.iter().copied());
        let keys = SourceKeys::resolve(&Sources::default(), name, &environment);
        let keys = keys.map_err(|error| error.to_string())?;
        assert!(!format!("{keys:?}").contains("hunter"));
        Ok(keys.key.map(|key| key.expose_secret().to_owned()))
    }

    #[test]
    fn older_name_of_a_key_still_works_and_the_newer_counts_over_it() {
        let old = ("POLYGON_API_KEY", "hunter1");
        assert_eq!(
            key(SourceName::Massive, &[old]).unwrap().unwrap(),
            "hunter1"
        );
        let both = [old, ("MASSIVE_API_KEY", "hunter2")];
        assert_eq!(key(SourceName::Massive, &both).unwrap().unwrap(), "hunter2");
    }

    #[test]
    fn missing_key_of_a_vendor_is_named_and_a_public_venue_needs_none() {
        let error = key(SourceName::Alpaca, &[("APCA_API_KEY_ID", "hunter")]).unwrap_err();
        insta::assert_snapshot!(error, @"the source alpaca needs the environment variable APCA_API_SECRET_KEY, or APCA_API_SECRET_KEY_FILE naming a file that holds its value");
        for name in [
            SourceName::Binance,
            SourceName::Coinbase,
            SourceName::Kraken,
        ] {
            assert_eq!(key(name, &[]).unwrap(), None);
        }
    }
}
