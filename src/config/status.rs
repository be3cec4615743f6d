//! `[status]`: the status pages of the daemon.

use super::secret::{SecretError, find_secret};
use super::section::section;
use super::value::{Setting, Value, VariableName, not_allowed, quoted};
use super::{Environment, ValueError};
use secrecy::SecretString;
use std::net::SocketAddr;

section! {
    /// The pages that tell how the daemon stands.
    Status, "status" {
        /// Where `/healthz`, `/readyz` and `/metrics` are served.
        listen: Option<SocketAddr> = Some(SocketAddr::from(([127, 0, 0, 1], 9464)));
        /// The variable that holds the token which visitors must give; needed beyond this machine.
        token_env: VariableName = VariableName::known("BARMILL_STATUS_TOKEN");
        /// Names by which visitors may ask, beside those of this machine and the address itself.
        hosts: Hosts = Hosts::default();
        /// Seconds without a trade of a source, while its market is open, until the daemon is not ready, 1 to one day.
        stale_s: u64 = 120, 1..=86_400;
    }
}

impl Status {
    /// The token that visitors must give, from the environment.
    ///
    /// # Errors
    /// [`SecretError`] when the variable is doubled or its file cannot be read.
    pub fn token(&self, environment: &Environment) -> Result<Option<SecretString>, SecretError> {
        Ok(find_secret(environment, self.token_env.as_str())?.map(SecretString::from))
    }
}

impl Setting for SocketAddr {
    fn read(value: &Value) -> Result<SocketAddr, ValueError> {
        let text = value.text()?;
        text.parse()
            .map_err(|_| not_allowed(text, "ADDRESS:PORT, or \"\" for none"))
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

/// Host names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hosts(pub Vec<String>);

impl Setting for Hosts {
    fn read(value: &Value) -> Result<Hosts, ValueError> {
        let names = value.texts()?;
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(is_part);
        match names.iter().find(|name| !is_name(name)) {
            Some(name) => Err(not_allowed(name, "a host name without a port")),
            None => Ok(Hosts(names.into_iter().map(ToOwned::to_owned).collect())),
        }
    }

    fn show(&self) -> String {
        let names: Vec<String> = self.0.iter().map(|name| quoted(name)).collect();
        format!("[{}]", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::{Hosts, Setting, Value};
    use std::net::SocketAddr;

    #[test]
    fn address_has_a_port_and_none_serves_nothing() {
        let read = |text: &str| Option::<SocketAddr>::read(&Value::Given(text.to_owned()));
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("[::1]:9000").unwrap().show(), "\"[::1]:9000\"");
        assert!(read("localhost").is_err() && read("127.0.0.1").is_err());
        assert!(Hosts::read(&Value::Given("a b".to_owned())).is_err());
    }
}
