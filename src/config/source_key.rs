//! The keys of a source, read from the environment when the run starts.

use super::Environment;
use super::secret::{SecretError, find_secret};
use super::source::{SourceName, Sources};
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
            let mut found = find_secret(environment, variable)?;
            if let (None, Some(older)) = (&found, secret.older)
                && variable == secret.variable
            {
                found = find_secret(environment, older)?;
            }
            match found {
                Some(found) => keys.0.push((secret.setting, found.into())),
                None if secret.is_needed && source.is_own_host() => {
                    return Err(SecretError::Missing {
                        user: format!("source {name}"),
                        name: variable.to_string(),
                    });
                }
                None => {}
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

#[cfg(test)]
mod tests;
