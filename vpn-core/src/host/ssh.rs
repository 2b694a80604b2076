//! SSH to the VPN hosts: one kept connection per host, a channel per request, the host key pinned,
//! everything bounded in time and size.

mod connection;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use russh::{ChannelMsg, ChannelWriteHalf, client, keys::PrivateKey};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

use super::{Boxed, HostErrorKind, Output, Request, Transport};
use crate::{
    boundary::{Boundary, Struck, reach},
    domain::{Server, ServerId},
};
use connection::{Connection, Session};

/// How to log in, and how long to wait.
#[derive(Clone, Debug)]
pub struct SshOptions {
    /// The platform's private key, in OpenSSH's format, without a passphrase. Ed25519 or ECDSA.
    pub key: SecretString,
    /// For TCP, key exchange and login together.
    pub connect_timeout: Duration,
    /// For one request, from opening the channel to the exit status.
    pub command_timeout: Duration,
    /// Requests under way on one host at once. OpenSSH's `MaxSessions` is 10 unless it is raised.
    pub channels_per_host: usize,
}

impl SshOptions {
    /// The usual: 10 seconds, 45 seconds, 8 channels.
    #[must_use]
    pub const fn new(key: SecretString) -> Self {
        Self {
            key,
            connect_timeout: Duration::from_secs(10),
            command_timeout: Duration::from_secs(45),
            channels_per_host: 8,
        }
    }
}

/// The key that was configured is of no use.
#[derive(Debug, thiserror::Error)]
#[error(
    "the platform's SSH key cannot be used ({0}): give an Ed25519 or ECDSA private key in OpenSSH's format without a passphrase, as `ssh-keygen -t ed25519 -N ''` makes it"
)]
pub struct BadKey(String);

/// The SSH transport.
pub struct SshTransport {
    options: SshOptions,
    key: Arc<PrivateKey>,
    hosts: Mutex<HashMap<ServerId, Arc<Link>>>,
}

impl fmt::Debug for SshTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshTransport").field("options", &self.options).finish_non_exhaustive()
    }
}

/// What is kept for one host.
struct Link {
    /// What the connection was made for: when it changes, so does the link.
    server: Server,
    /// At most one connection is made at a time.
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
    /// When a connection could not be made, and why.
    failed: Mutex<Option<(Instant, String)>>,
    slots: Semaphore,
}

impl Link {
    fn note_failure(&self, kind: &HostErrorKind) {
        if let HostErrorKind::Unreachable(why) = kind {
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), why.clone()));
        }
    }

    fn failed_since(&self, asked: Instant) -> Option<String> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().filter(|(at, _)| *at > asked).map(|(_, why)| why.clone())
    }
}

impl SshTransport {
    /// Reads the key. Nothing is connected yet.
    pub fn new(options: SshOptions) -> Result<Self, BadKey> {
        let key = russh::keys::decode_secret_key(options.key.expose_secret(), None)
            .map_err(|error| BadKey(error.to_string()))?;
        if key.algorithm().is_rsa() {
            return Err(BadKey("RSA keys are not supported".to_owned()));
        }
        Ok(Self { options, key: Arc::new(key), hosts: Mutex::default() })
    }

    fn link(&self, server: &Server) -> Arc<Link> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = hosts
            .get(&server.id)
            .filter(|link| link.server.address == server.address && link.server.host_key == server.host_key);
        if let Some(link) = known {
            return Arc::clone(link);
        }
        let link = Arc::new(Link {
            server: server.clone(),
            connection: tokio::sync::Mutex::default(),
            failed: Mutex::default(),
            slots: Semaphore::new(self.options.channels_per_host),
        });
        hosts.insert(server.id, Arc::clone(&link));
        link
    }

    async fn run_on(&self, link: &Link, request: &Request) -> Result<Output, HostErrorKind> {
        let closed = |_| HostErrorKind::Interrupted("the worker is stopping".to_owned());
        let _slot = link.slots.acquire().await.map_err(closed)?;
        let (connection, session) = self.open(link).await?;
        let begun = Instant::now();
        let limit = self.options.command_timeout;
        // The library may leave a channel open whose connection has ended: both are watched.
        let exchanged = async {
            tokio::select! {
                biased;
                streams = exchange(session, request) => streams,
                () = connection.ended() => Err(HostErrorKind::Interrupted("the connection ended".to_owned())),
            }
        };
        match tokio::time::timeout(limit, exchanged).await {
            Ok(Ok((exit, stdout, stderr))) => Ok(Output { exit, stdout, stderr, duration: begun.elapsed() }),
            Ok(Err(kind)) => Err(kind),
            Err(_) => {
                // The connection may be dead without knowing it: the next request makes a new one.
                *link.connection.lock().await = None;
                Err(HostErrorKind::Timeout(limit.as_secs()))
            }
        }
    }

    /// A channel on the kept connection, or on a new one. Nothing was sent yet, so a kept connection
    /// that turns out to be dead may be replaced once.
    async fn open(&self, link: &Link) -> Result<(Arc<Connection>, Session), HostErrorKind> {
        let asked = Instant::now();
        let mut kept = link.connection.lock().await;
        // Tried, in vain, while this one waited: a host that is away is waited for once, not once for
        // each of its jobs.
        if let Some(why) = link.failed_since(asked) {
            return Err(HostErrorKind::Unreachable(why));
        }
        if let Some(connection) = kept.as_ref().filter(|connection| connection.is_open())
            && let Ok(session) = connection.session(self.options.connect_timeout).await
        {
            return Ok((Arc::clone(connection), session));
        }
        *kept = None;
        let opened = Connection::open(&link.server, &self.key, self.options.connect_timeout).await;
        let opened = opened.inspect_err(|kind| link.note_failure(kind))?;
        let connection = Arc::new(opened);
        let session = connection.session(self.options.connect_timeout).await?;
        *kept = Some(Arc::clone(&connection));
        Ok((connection, session))
    }
}

impl Transport for SshTransport {
    fn run<'a>(&'a self, server: &'a Server, request: &'a Request) -> Boxed<'a, Result<Output, HostErrorKind>> {
        Box::pin(async move {
            let link = self.link(server);
            self.run_on(&link, request).await
        })
    }
}

type Streams = (u32, zeroize::Zeroizing<Vec<u8>>, Vec<u8>);

/// A channel, until it has ended. The connection outlives whoever gives an exchange up, and a script that waits for
/// the rest of its request would wait as long: so the channel is closed then.
struct Open {
    channel: Arc<ChannelWriteHalf<client::Msg>>,
    ended: bool,
}

impl Drop for Open {
    fn drop(&mut self) {
        if let (false, Ok(runtime)) = (self.ended, tokio::runtime::Handle::try_current()) {
            let channel = Arc::clone(&self.channel);
            runtime.spawn(async move {
                // If that fails, the connection has ended, and the channel with it.
                let _ended = channel.close().await;
            });
        }
    }
}

/// Sends the request and reads until the host closes. From here on the outcome is unknown unless
/// there is an exit status.
async fn exchange(session: Session, request: &Request) -> Result<Streams, HostErrorKind> {
    let (mut messages, channel) = session.split();
    let mut open = Open { channel: Arc::new(channel), ended: false };
    let struck = |_: Struck| HostErrorKind::Interrupted("as planned by a test".to_owned());
    let broke = |error: russh::Error| HostErrorKind::Interrupted(error.to_string());
    reach(Boundary::RequestSending).map_err(struck)?;
    open.channel.exec(true, Request::COMMAND).await.map_err(broke)?;
    open.channel.data(request.as_bytes()).await.map_err(broke)?;
    open.channel.eof().await.map_err(broke)?;
    reach(Boundary::RequestSent).map_err(struck)?;
    let (mut exit, mut stdout, mut stderr) = (None, zeroize::Zeroizing::new(Vec::with_capacity(16 * 1024)), Vec::new());
    while let Some(message) = messages.wait().await {
        match message {
            ChannelMsg::Data { data } => take(&mut stdout, &data)?,
            ChannelMsg::ExtendedData { data, .. } => take(&mut stderr, &data)?,
            ChannelMsg::ExitStatus { exit_status } => exit = Some(exit_status),
            ChannelMsg::ExitSignal { signal_name, .. } => {
                return Err(HostErrorKind::Interrupted(format!("the script was ended by {signal_name:?}")));
            }
            ChannelMsg::Failure => {
                return Err(HostErrorKind::BadRequest("the account does not run the forced command".to_owned()));
            }
            _ => {}
        }
    }
    open.ended = true;
    let exit = exit.ok_or_else(|| HostErrorKind::Interrupted("no exit status came back".to_owned()))?;
    Ok((exit, stdout, stderr))
}

fn take(into: &mut Vec<u8>, data: &[u8]) -> Result<(), HostErrorKind> {
    if into.len() + data.len() > Output::MAX {
        return Err(HostErrorKind::Unintelligible(format!("more than {} bytes", Output::MAX)));
    }
    into.extend_from_slice(data);
    Ok(())
}
