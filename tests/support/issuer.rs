//! An identity provider on loopback: it publishes keys and signs tokens with them, takes others, goes away,
//! and counts how often it was asked.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};
use vpn_core::clock::Ambient;

/// A key that signs.
pub struct SigningKey {
    id: String,
    algorithm: Algorithm,
    secret: EncodingKey,
}

impl SigningKey {
    /// For `ES256`.
    pub fn p256(id: &str) -> Result<Self> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let secret = EncodingKey::from_ec_der(pkcs8.ok().context("a key")?.as_ref());
        Ok(Self { id: id.to_owned(), algorithm: Algorithm::ES256, secret })
    }

    /// Its public half (RFC 7517).
    pub fn public(&self) -> Result<Value> {
        let mut jwk = Jwk::from_encoding_key(&self.secret, self.algorithm)?;
        jwk.common.key_id = Some(self.id.clone());
        Ok(serde_json::to_value(jwk)?)
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> Result<String> {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(self.algorithm) };
        Ok(encode(&header, claims, &self.secret)?)
    }
}

#[derive(Default)]
struct State {
    keys: Vec<Value>,
    away: bool,
    asked: usize,
}

/// The identity provider. It ends when it is dropped.
pub struct Issuer {
    /// What stands in `iss`.
    pub url: String,
    state: Arc<Mutex<State>>,
    task: AbortHandle,
}

impl Issuer {
    /// With these keys.
    pub async fn start(keys: &[&SigningKey]) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::<Mutex<State>>::default();
        let (shared, issuer) = (Arc::clone(&state), url.clone());
        let serving = tokio::spawn(async move {
            while let Ok((peer, _)) = listener.accept().await {
                // Whoever goes away before the answer is no concern of the issuer's.
                let _ = answer(peer, &issuer, &shared).await;
            }
        });
        let this = Self { url, state, task: serving.abort_handle() };
        this.publish(keys)?;
        Ok(this)
    }

    /// From now on it publishes these keys, and no others.
    pub fn publish(&self, keys: &[&SigningKey]) -> Result<()> {
        self.lock().keys = keys.iter().map(|key| key.public()).collect::<Result<_>>()?;
        Ok(())
    }

    /// The same with keys as others have made them.
    pub fn publish_raw(&self, keys: &[Value]) {
        self.lock().keys = keys.to_vec();
    }

    /// From now on it fails, or works again.
    pub fn go_away(&self, away: bool) {
        self.lock().away = away;
    }

    /// How often its keys were asked for.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.lock().asked
    }

    /// Claims of a token that is for `vpn` and holds for so many seconds, which may be fewer than none.
    #[must_use]
    pub fn claims(&self, sub: &str, role: &str, seconds: i64) -> Value {
        let now = Ambient::system().now().micros() / 1_000_000;
        json!({ "iss": self.url, "aud": "vpn", "sub": sub, "roles": [role], "iat": now - 60, "exp": now + seconds })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut peer: TcpStream, issuer: &str, state: &Mutex<State>) -> Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if peer.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let (status, body) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_keys = request.starts_with(b"GET /keys ");
        state.asked += usize::from(is_keys);
        match (state.away, is_keys) {
            (true, _) => ("503 Service Unavailable", json!({})),
            (false, true) => ("200 OK", json!({ "keys": state.keys })),
            (false, false) => ("200 OK", json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") })),
        }
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    peer.write_all((head + &body).as_bytes()).await?;
    Ok(peer.shutdown().await?)
}
