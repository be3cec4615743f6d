//! A plain HTTP client for the test server's own tests: no retries, nothing hidden.

use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Version};
use serde_json::Value;

use super::upstash::{TOKEN, UpstashServer};

/// Long enough for any true answer on loopback.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// What came back: status, version and JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) version: Version,
    pub(crate) json: Value,
}

/// A client that knows the server's authority; with TLS it offers both HTTP versions.
pub(crate) fn client(server: &UpstashServer) -> Client {
    builder(server).build().expect("a client")
}

/// A client of HTTP/2 without TLS.
pub(crate) fn client_h2c(server: &UpstashServer) -> Client {
    builder(server)
        .http2_prior_knowledge()
        .build()
        .expect("a client")
}

/// A client to be set up further.
pub(crate) fn builder(server: &UpstashServer) -> ClientBuilder {
    // A second installation is refused, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let authorities = server
        .ca_pem()
        .map(|pem| Certificate::from_pem(pem.as_bytes()).expect("a certificate"));
    Client::builder()
        .no_proxy()
        .timeout(ANSWER_TIMEOUT)
        .retry(reqwest::retry::never())
        .tls_certs_only(authorities)
}

/// Posts a body with the full token and reads the answer whole.
///
/// # Errors
/// What the client met instead of a whole answer in JSON.
pub(crate) async fn post(
    client: &Client,
    server: &UpstashServer,
    path: &str,
    body: &Value,
) -> reqwest::Result<Got> {
    let request = client
        .post(format!("{}{path}", server.url()))
        .bearer_auth(TOKEN)
        .body(body.to_string());
    let response = request.send().await?;
    let (status, version) = (response.status().as_u16(), response.version());
    let text = response.text().await?;
    // Not every answer is JSON; the text itself says what it was.
    let json = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Got {
        status,
        version,
        json,
    })
}
