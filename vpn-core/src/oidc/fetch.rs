//! Asking the issuer for its keys, over HTTPS.

use std::time::Duration;

use reqwest::{Client, Url, redirect::Policy};
use serde_json::Value;

use super::ProviderError;

/// Bytes of an answer, at most.
const MAX_ANSWER: usize = 256 * 1024;

/// Where keys come from.
pub(super) struct Source {
    client: Client,
    issuer: String,
    /// `None`: where the issuer's configuration says.
    keys_url: Option<Url>,
}

/// A URL that keys may be fetched from: `https`, or `http` on this machine.
pub fn check_url(text: &str) -> Result<(), String> {
    safe(text).map(drop)
}

fn safe(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    let here = url.host_str().is_some_and(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    });
    match url.scheme() {
        "https" => Ok(url),
        "http" if here => Ok(url),
        _ => {
            Err("is neither https:// nor http:// on this machine: keys that come in the clear can be exchanged"
                .to_owned())
        }
    }
}

impl Source {
    pub(super) fn new(issuer: &str, keys_url: Option<&str>, answer: Duration) -> Result<Self, ProviderError> {
        safe(issuer).map_err(|why| ProviderError(format!("the issuer {why}")))?;
        let keys_url = keys_url.map(safe).transpose();
        let keys_url = keys_url.map_err(|why| ProviderError(format!("the URL of the keys {why}")))?;
        let client = Client::builder().timeout(answer).redirect(Policy::none()).build().map_err(|error| {
            ProviderError(format!("no HTTPS on this machine ({}): install ca-certificates", chain(&error)))
        })?;
        Ok(Self { client, issuer: issuer.to_owned(), keys_url })
    }

    /// The keys as they are published (RFC 7517).
    pub(super) async fn keys(&self) -> Result<Vec<Value>, ProviderError> {
        let url = match &self.keys_url {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        match self.get(url).await?.get_mut("keys").map(Value::take) {
            Some(Value::Array(keys)) => Ok(keys),
            _ => Err(ProviderError("there is no set of keys where there should be one".to_owned())),
        }
    }

    /// OpenID Connect Discovery 1.0, section 4.
    async fn discover(&self) -> Result<Url, ProviderError> {
        let at = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let url = safe(&at).map_err(|why| ProviderError(format!("`{at}` {why}")))?;
        let told = self.get(url).await?;
        let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        if text("issuer") != self.issuer {
            return Err(ProviderError(format!("the configuration at `{at}` is of another issuer")));
        }
        safe(&text("jwks_uri")).map_err(|why| ProviderError(format!("its `jwks_uri` {why}")))
    }

    async fn get(&self, url: Url) -> Result<Value, ProviderError> {
        let failed = |why: String| ProviderError(format!("GET {url}: {why}"));
        let mut answer = self.client.get(url.clone()).send().await.map_err(|error| failed(chain(&error)))?;
        if !answer.status().is_success() {
            return Err(failed(format!("answered with status {}", answer.status().as_u16())));
        }
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| failed(chain(&error)))? {
            if body.len() + part.len() > MAX_ANSWER {
                return Err(failed(format!("answered with more than {MAX_ANSWER} bytes")));
            }
            body.extend_from_slice(&part);
        }
        serde_json::from_slice(&body).map_err(|_| failed("answered with something that is not JSON".to_owned()))
    }
}

/// The error and its causes, in one line, without the URL, which stands in front already.
fn chain(error: &reqwest::Error) -> String {
    let first = std::error::Error::source(error);
    let causes = std::iter::successors(first, |error: &&(dyn std::error::Error + 'static)| error.source());
    let kind = if error.is_timeout() { "no answer in time" } else { "no connection" };
    causes.fold(kind.to_owned(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_encrypted_or_from_this_machine() {
        for good in ["https://id.example.org/a", "http://127.0.0.1:8080/keys", "http://[::1]/", "http://localhost:1/"] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        for bad in ["http://id.example.org/", "ftp://127.0.0.1/", "id.example.org", "", "http://localhost.example.org/"]
        {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }
}
