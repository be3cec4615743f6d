//! `[status]`: the status pages of the daemon.

use super::secret::{SecretError, find_secret};
use super::section::section;
use super::value::{Setting, Show, Value, VariableName, quoted};
use super::{Environment, ValueError};
use secrecy::SecretString;
use std::net::SocketAddr;

section! {
    /// The pages that tell how the daemon stands.
    Status, "status" {
        /// Where `/healthz`, `/readyz` and `/metrics` are served.
        listen: Listen = Listen(Some(SocketAddr::from(([127, 0, 0, 1], 9464))));
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

/// An address to listen on, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen(Option<SocketAddr>);

impl Listen {
    /// The address; `None` serves no pages.
    pub const fn address(self) -> Option<SocketAddr> {
        self.0
    }
}

impl Show for Listen {
    fn show(&self) -> String {
        quoted(
            &self
                .0
                .map(|address| address.to_string())
                .unwrap_or_default(),
        )
    }
}

impl Setting for Listen {
    fn read(value: &Value) -> Result<Listen, ValueError> {
        let text = value.text()?;
        if text.is_empty() {
            return Ok(Listen(None));
        }
        text.parse()
            .map(|address| Listen(Some(address)))
            .map_err(|_| ValueError::NotAllowed {
                value: text.to_owned(),
                allowed: "ADDRESS:PORT, or \"\" for none".to_owned(),
                nearest: None,
            })
    }
}

/// Host names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// The names.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl Show for Hosts {
    fn show(&self) -> String {
        let names: Vec<String> = self.0.iter().map(|name| quoted(name)).collect();
        format!("[{}]", names.join(", "))
    }
}

impl Setting for Hosts {
    fn read(value: &Value) -> Result<Hosts, ValueError> {
        let names = value.texts()?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        match names
            .iter()
            .find(|name| name.is_empty() || !name.bytes().all(is_name))
        {
            Some(name) => Err(ValueError::NotAllowed {
                value: (*name).to_owned(),
                allowed: "a host name without a port".to_owned(),
                nearest: None,
            }),
            None => Ok(Hosts(names.into_iter().map(ToOwned::to_owned).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Hosts, Listen, Setting, Show, Value};

    #[test]
    fn address_has_a_port_and_none_serves_nothing() {
        let read = |text: &str| Listen::read(&Value::Given(text.to_owned()));
        assert_eq!(read("").unwrap().address(), None);
        assert_eq!(read("[::1]:9000").unwrap().show(), "\"[::1]:9000\"");
        assert!(read("localhost").is_err() && read("127.0.0.1").is_err());
        assert!(Hosts::read(&Value::Given("a b".to_owned())).is_err());
    }
}
