//! The keys of a source, read from the environment when the run starts.

use super::secret::{SecretError, find_secret};
use super::source::{SourceName, Sources};
use super::{Environment, VariableName};
use barmill_sources::venue::VenueSettings;
use secrecy::SecretString;

/// The secrets of one source, by the settings that name their variables.
#[derive(Debug, Clone, Default)]
pub struct SourceKeys(Vec<(&'static str, SecretString)>);

impl SourceKeys {
    /// Looks for the secrets of a source; what it does not need, or nobody has set, is absent.
    ///
    /// # Errors
    /// [`SecretError`] when a variable is doubled or its file cannot be read, and when the vendor's own host needs
    /// a secret that nobody has set; a proxy may add it by itself.
    pub fn resolve(
        sources: &Sources,
        name: SourceName,
        environment: &Environment,
    ) -> Result<SourceKeys, SecretError> {
        let source = sources.of(name);
        let mut keys = SourceKeys::default();
        for (secret, variable) in source.secrets() {
            let mut found = find(environment, variable)?;
            if let (None, Some(older)) = (&found, secret.older)
                && variable.as_str() == secret.variable
            {
                found = find_secret(environment, older)?.map(SecretString::from);
            }
            let is_needed = secret.is_needed && source.is_own_host();
            if let Some(found) = need(found, is_needed, name, variable)? {
                keys.0.push((secret.setting, found));
            }
        }
        Ok(keys)
    }

    /// What only this venue has, with its secrets.
    pub fn give(self, mut settings: VenueSettings) -> VenueSettings {
        for (name, secret) in self.0 {
            // The venue has the secret, since it was looked for by its own declaration.
            let _known = settings.set_secret(name, secret);
        }
        settings
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

    fn key(name: &str, pairs: &[(&str, &str)]) -> Result<Option<String>, String> {
        let environment = Environment::from_pairs(pairs.iter().copied());
        let name = SourceName::parse(name).unwrap();
        let keys = SourceKeys::resolve(&Sources::default(), name, &environment);
        let keys = keys.map_err(|error| error.to_string())?;
        assert!(!format!("{keys:?}").contains("hunter"));
        let last = keys.0.last();
        Ok(last.map(|(_, key)| key.expose_secret().to_owned()))
    }

    #[test]
    fn older_name_of_a_key_still_works_and_the_newer_counts_over_it() {
        let old = ("POLYGON_API_KEY", "hunter1");
        assert_eq!(key("massive", &[old]).unwrap().unwrap(), "hunter1");
        let both = [old, ("MASSIVE_API_KEY", "hunter2")];
        assert_eq!(key("massive", &both).unwrap().unwrap(), "hunter2");
    }

    #[test]
    fn missing_key_of_a_vendor_is_named_and_a_public_venue_needs_none() {
        let error = key("alpaca", &[("APCA_API_KEY_ID", "hunter")]).unwrap_err();
        insta::assert_snapshot!(error, @"the source alpaca needs the environment variable APCA_API_SECRET_KEY, or APCA_API_SECRET_KEY_FILE naming a file that holds its value");
        for name in ["binance", "coinbase", "kraken"] {
            assert_eq!(key(name, &[]).unwrap(), None);
        }
    }
}
