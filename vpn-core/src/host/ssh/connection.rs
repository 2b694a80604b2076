//! One SSH connection: made, checked against the pinned key, logged in.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
    time::Duration,
};

use russh::{
    Preferred,
    client::{self, AuthResult, Handle, Handler},
    keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate},
};

use crate::{
    domain::Server,
    host::{HostErrorKind, HostKeyVerdict, judge},
};

/// How often a request looks whether its connection is still there.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A channel for one request.
pub(super) type Session = russh::Channel<client::Msg>;

pub(super) struct Connection {
    handle: Handle<PinnedKey>,
}

/// Judges the host key during the key exchange, and keeps the verdict for the error message.
struct PinnedKey {
    pinned: String,
    verdict: Arc<OnceLock<HostKeyVerdict>>,
}

impl Handler for PinnedKey {
    type Error = russh::Error;

    async fn check_server_key(&mut self, presented: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        // Certificates are not offered by us, and one that comes all the same is not the pinned key.
        let PublicKeyOrCertificate::PublicKey { key, .. } = presented else { return Ok(false) };
        let verdict = judge(&self.pinned, key);
        let valid = verdict == HostKeyVerdict::Valid;
        let _first = self.verdict.set(verdict);
        Ok(valid)
    }
}

impl Connection {
    pub(super) async fn open(server: &Server, key: &Arc<PrivateKey>, limit: Duration) -> Result<Self, HostErrorKind> {
        let verdict = Arc::new(OnceLock::new());
        let opened = tokio::time::timeout(limit, Self::handshake(server, key, Arc::clone(&verdict))).await;
        let result = opened
            .unwrap_or_else(|_| Err(HostErrorKind::Unreachable(format!("no connection within {} s", limit.as_secs()))));
        // Whatever error the library made of a refused key: the verdict is the reason.
        match verdict.get() {
            Some(HostKeyVerdict::Mismatch { pinned, presented, key }) => Err(HostErrorKind::HostKeyMismatch {
                pinned: pinned.clone(),
                presented: presented.clone(),
                key: key.clone(),
            }),
            Some(HostKeyVerdict::Unknown { presented, key }) => {
                Err(HostErrorKind::HostKeyUnknown { presented: presented.clone(), key: key.clone() })
            }
            Some(HostKeyVerdict::Valid) | None => result,
        }
    }

    async fn handshake(
        server: &Server,
        key: &Arc<PrivateKey>,
        verdict: Arc<OnceLock<HostKeyVerdict>>,
    ) -> Result<Self, HostErrorKind> {
        let unreachable = |error: russh::Error| HostErrorKind::Unreachable(error.to_string());
        let address = (server.address.host(), server.address.port());
        let pinned = server.host_key.clone().unwrap_or_default();
        let guard = PinnedKey { pinned: pinned.clone(), verdict };
        let mut handle =
            client::connect(Arc::new(config(&pinned)), address, guard).await.map_err(|error| match error {
                russh::Error::NoCommonAlgo { kind: russh::AlgorithmKind::Key, .. } => HostErrorKind::HostKeyMismatch {
                    pinned: super::super::fingerprint(&pinned).unwrap_or_default(),
                    presented: "of another algorithm only".to_owned(),
                    key: None,
                },
                other => unreachable(other),
            })?;
        let user = server.address.user();
        let login = handle
            .authenticate_publickey(user, PrivateKeyWithHashAlg::new(Arc::clone(key), None))
            .await
            .map_err(unreachable)?;
        match login {
            AuthResult::Success => Ok(Self { handle }),
            // What the library makes of a connection that broke: a refusal names what may be tried instead.
            AuthResult::Failure { remaining_methods, .. } if remaining_methods.is_empty() => {
                Err(HostErrorKind::Unreachable("the connection broke during the login".to_owned()))
            }
            AuthResult::Failure { .. } => Err(HostErrorKind::LoginRefused(user.to_owned())),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.handle.is_closed()
    }

    /// Waits until it has ended, and what had come before has been read.
    pub(super) async fn ended(&self) {
        while self.is_open() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }

    pub(super) async fn session(&self, limit: Duration) -> Result<Session, HostErrorKind> {
        match tokio::time::timeout(limit, self.handle.channel_open_session()).await {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(error)) => Err(HostErrorKind::Unreachable(format!("no channel: {error}"))),
            Err(_) => Err(HostErrorKind::Unreachable(format!("no channel within {} s", limit.as_secs()))),
        }
    }
}

fn config(pinned: &str) -> client::Config {
    let mut preferred = Preferred::default();
    // A host has several keys: only the pinned one's algorithm is asked for, or a host that prefers
    // another would look like an impostor.
    if let Ok(key) = PublicKey::from_openssh(pinned) {
        preferred.key = Cow::Owned(vec![key.algorithm()]);
    }
    client::Config {
        preferred,
        nodelay: true,
        keepalive_interval: Some(Duration::from_secs(15)),
        keepalive_max: 3,
        ..client::Config::default()
    }
}
