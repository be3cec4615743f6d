//! Addresses of Redis servers.

use crate::url::SinkUrlError;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use std::fmt;

/// A checked `redis://` or `rediss://` URL.
#[derive(Clone)]
pub struct RedisUrl(pub(super) ConnectionInfo);

impl RedisUrl {
    /// Parses a URL of either scheme.
    pub(crate) fn parse(text: &str) -> Result<RedisUrl, SinkUrlError> {
        let info = text
            .into_connection_info()
            .map_err(|_| SinkUrlError::Redis)?;
        let is_tcp = matches!(
            info.addr(),
            ConnectionAddr::Tcp(_, _) | ConnectionAddr::TcpTls { .. }
        );
        if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
            return Err(SinkUrlError::Insecure);
        }
        if is_tcp {
            Ok(RedisUrl(info))
        } else {
            Err(SinkUrlError::Redis)
        }
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.0.redis_settings();
        let scheme = if matches!(self.0.addr(), ConnectionAddr::TcpTls { .. }) {
            "rediss"
        } else {
            "redis"
        };
        let hidden = if settings.password().is_some() || settings.username().is_some() {
            "***@"
        } else {
            ""
        };
        // The own colons of an IPv6 address would hide where the port begins.
        let address = if let ConnectionAddr::Tcp(host, port)
        | ConnectionAddr::TcpTls { host, port, .. } = self.0.addr()
            && host.contains(':')
        {
            format!("[{host}]:{port}")
        } else {
            self.0.addr().to_string()
        };
        write!(f, "{scheme}://{hidden}{address}/{}", settings.db())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
