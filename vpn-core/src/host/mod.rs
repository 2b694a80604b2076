//! The VPN host: what is asked of it, what it answers, and what that means.
//!
//! [`Hosts`] speaks the protocol `vpn-host 1` (vpn-scripts/README.md) over a [`Transport`]: SSH in
//! production (feature `worker`), and a transport that fails on demand in front of it for tests. Every
//! call that changes something takes a [`Fence`]: without a lock it cannot be made.

mod certificate;
mod csr;
mod error;
mod evidence;
#[cfg(feature = "sandbox")]
mod faulty;
#[cfg(feature = "worker")]
mod key;
mod reply;
mod request;
#[cfg(feature = "worker")]
mod ssh;

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::{
    Client, Fence, HostFacts, HostRecord, HostView, Invalid, JobId, OpenVpnState, ProvisionInput, Serial, Server,
    Session, Sessions,
};

pub use certificate::{CertificateFault, certificate_of_profile, check_validity};
pub use csr::check_csr;
pub use error::{HostError, HostErrorKind};
pub use evidence::Evidence;
#[cfg(feature = "sandbox")]
pub use faulty::{Fault, FaultyTransport};
#[cfg(feature = "worker")]
pub use key::{HostKeyVerdict, fingerprint, judge};
pub use request::Request;
#[cfg(feature = "worker")]
pub use ssh::{SshOptions, SshTransport};

use reply::Reply;

/// What came back from a host, before anybody looked into it.
pub struct Output {
    /// The exit status of the command.
    pub exit: u32,
    /// Standard output, at most [`Output::MAX`] bytes. May hold a private key: never log it.
    pub stdout: zeroize::Zeroizing<Vec<u8>>,
    /// Standard error, at most [`Output::MAX`] bytes.
    pub stderr: Vec<u8>,
    /// From sending the request to the exit status.
    pub duration: Duration,
}

impl Output {
    /// The most that is read of either stream, in bytes. A profile has about 6,000, a session 80.
    pub const MAX: usize = 1024 * 1024;
}

/// A future in a box.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Brings a request to a host and its output back.
pub trait Transport: Send + Sync {
    /// Runs one request. An error means that the outcome on the host is unknown, unless its kind says
    /// that nothing was sent.
    fn run<'a>(&'a self, server: &'a Server, request: &'a Request) -> Boxed<'a, Result<Output, HostErrorKind>>;
}

/// On whose behalf the host is asked to change something.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Where.
    pub server: &'a Server,
    /// For which client.
    pub client: &'a Client,
    /// By which job.
    pub job: JobId,
    /// The proof of ownership.
    pub fence: &'a Fence,
}

/// The host made a certificate, or had made it before.
pub struct Issued {
    /// The whole connection profile. Holds the private key unless [`KeyState`] says otherwise.
    pub profile: SecretString,
    /// Where the private key is.
    pub key: KeyState,
    /// Whether the host had done this before.
    pub replayed: bool,
    /// What ran.
    pub evidence: Evidence,
}

/// Where the private key of a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// In the profile.
    Present,
    /// The host was told to forget it, and the profile's tls-crypt-v2 key.
    Forgotten,
    /// The host never had it: the certificate answers a CSR. The tls-crypt-v2 key is in the profile.
    Absent,
}

/// The host revoked a certificate and published it.
#[derive(Debug)]
pub struct Revoked {
    /// The number of the CRL that has the serial.
    pub crl_number: String,
    /// When that CRL ends, in seconds since the epoch; unknown from a host whose scripts are older.
    pub crl_next_update: Option<i64>,
    /// The user that OpenVPN runs as, who can read it; a host whose scripts are older does not say who.
    pub readable_by: Option<String>,
    /// Whether the tombstone had been there before.
    pub replayed: bool,
    /// What ran.
    pub evidence: Evidence,
}

/// The host made a new CRL.
#[derive(Debug)]
pub struct NewCrl {
    /// Its number: the time it was made at, in seconds since the epoch, or a higher one.
    pub number: u64,
    /// Since when it is valid, in seconds since the epoch; unknown from a host whose scripts are older.
    pub this_update: Option<i64>,
    /// When it ends, in seconds since the epoch.
    pub next_update: i64,
    /// What ran.
    pub evidence: Evidence,
}

/// Sessions were ended.
#[derive(Debug)]
pub struct Killed {
    /// The state of the OpenVPN server.
    pub server: OpenVpnState,
    /// How many sessions were ended.
    pub killed: u32,
    /// How many were still there afterwards.
    pub open: u32,
    /// Whether the host has looked that OpenVPN's configuration names the CRL in force. A host whose scripts
    /// are older does not look.
    pub checks_crl: bool,
    /// What ran.
    pub evidence: Evidence,
}

impl Killed {
    /// Whether it is proven that no session is left.
    #[must_use]
    pub fn proves_no_session(&self) -> bool {
        self.open == 0 && self.server != OpenVpnState::Unreachable
    }
}

/// The VPN hosts.
#[derive(Clone)]
pub struct Hosts {
    transport: Arc<dyn Transport>,
    owner: Option<Arc<str>>,
}

impl Hosts {
    /// Over this transport.
    #[must_use]
    pub fn over(transport: Arc<dyn Transport>) -> Self {
        Self { transport, owner: None }
    }

    /// In the name of this platform, 32 hexadecimal digits. A host lets the first platform that comes
    /// with a name change something, and no other.
    #[must_use]
    pub fn owned_by(self, platform: &str) -> Self {
        Self { owner: Some(platform.into()), ..self }
    }

    /// Ensures that the client's certificate exists, and gives the profile. Idempotent: the same order
    /// gives the same bytes.
    pub async fn issue(&self, order: Order<'_>, input: &ProvisionInput) -> Result<Issued, HostError> {
        self.issued(order, Request::issue(order, input)).await
    }

    /// What [`issue`](Self::issue) gave, for whoever does not know any more what was asked for. An error
    /// when nothing was issued.
    pub async fn issue_again(&self, order: Order<'_>) -> Result<Issued, HostError> {
        self.issued(order, Request::issue_again(order)).await
    }

    async fn issued(&self, order: Order<'_>, request: Request) -> Result<Issued, HostError> {
        let (reply, evidence) = self.call(order.server, request).await?;
        let key = match reply.field("key") {
            Some("present") => KeyState::Present,
            Some("forgotten") => KeyState::Forgotten,
            Some("absent") => KeyState::Absent,
            _ => return Err(evidence.unexpected("the reply does not say where the key is")),
        };
        let replayed = reply.field("replayed") == Some("1");
        match reply.into_payload() {
            Some(profile) => Ok(Issued { profile, key, replayed, evidence }),
            None => Err(evidence.unexpected("the reply has no profile")),
        }
    }

    /// Tells the host to forget the private key. Idempotent.
    pub async fn acknowledge(&self, order: Order<'_>) -> Result<Evidence, HostError> {
        let (reply, evidence) = self.call(order.server, Request::acknowledge(order)).await?;
        match reply.field("key") {
            Some("forgotten" | "absent") => Ok(evidence),
            _ => Err(evidence.unexpected("the host does not say that the key is forgotten")),
        }
    }

    /// Ensures that the client's serial is revoked and that the CRL in force says so. Idempotent; works
    /// for a serial that was never issued, and then none ever will be.
    pub async fn revoke(&self, order: Order<'_>) -> Result<Revoked, HostError> {
        let (reply, evidence) = self.call(order.server, Request::revoke(order)).await?;
        match (reply.field("published"), reply.field("crl_number")) {
            (Some("yes"), Some(number)) => {
                let crl_next_update = reply.field("crl_next_update").and_then(|seconds| seconds.parse().ok());
                let readable_by = reply.field("readable_by").map(str::to_owned);
                let (crl_number, replayed) = (number.to_owned(), reply.field("replayed") == Some("1"));
                Ok(Revoked { crl_number, crl_next_update, readable_by, replayed, evidence })
            }
            _ => Err(evidence.unexpected("the host does not say that the CRL is published")),
        }
    }

    /// Ends the sessions of a revoked client, and counts what is left.
    pub async fn kill(&self, order: Order<'_>) -> Result<Killed, HostError> {
        let (reply, evidence) = self.call(order.server, Request::kill(order)).await?;
        let Some(server) = reply.field("server").and_then(OpenVpnState::named) else {
            return Err(evidence.unexpected("the reply does not tell the state of the OpenVPN server"));
        };
        match (reply.number("killed"), reply.number("open")) {
            (Some(killed), Some(open)) => {
                Ok(Killed { server, killed, open, checks_crl: reply.field("crl_checked") == Some("yes"), evidence })
            }
            _ => Err(evidence.unexpected("the reply does not count the sessions")),
        }
    }

    /// Has the host make a new CRL of the same serials. The host needs no fence for that: two new lists in a row
    /// are as good as one. It is asked for by who has the lock of the server, because only that is on record.
    pub async fn renew_crl(&self, server: &Server, fence: &Fence) -> Result<NewCrl, HostError> {
        debug_assert_eq!(fence.resource(), Server::resource(server.id), "the lock of this server");
        let (reply, evidence) = self.call(server, Request::crl()).await?;
        let number = reply.field("crl_number").and_then(|number| number.parse().ok());
        let this_update = reply.seconds("crl_this_update");
        match (number, reply.seconds("crl_next_update")) {
            (Some(number), Some(next_update)) => Ok(NewCrl { number, this_update, next_update, evidence }),
            _ => Err(evidence.unexpected("the reply does not tell number and end of the new CRL")),
        }
    }

    /// What the host knows of every serial that the platform has chosen: all that an older one can tell. Many pages
    /// for a host with many; changes nothing.
    pub async fn inventory(&self, server: &Server) -> Result<Vec<HostRecord>, HostError> {
        self.pages(server, Serial::LOWEST_CHOSEN, Request::inventory, str::parse).await
    }

    /// The serials that the CRL in force has, and when each was revoked, in seconds since the epoch. Read from the
    /// list itself, whatever the host knows besides; changes nothing.
    pub async fn published(&self, server: &Server) -> Result<HashMap<Serial, i64>, HostError> {
        let bad = || Invalid::new("a line of the published serials is not `SERIAL SECONDS`");
        let entry = |line: &str| -> Result<(Serial, i64), Invalid> {
            let (serial, seconds) = line.split_once(' ').ok_or_else(bad)?;
            Ok((serial.parse()?, seconds.parse().map_err(|_| bad())?))
        };
        Ok(self.pages(server, Serial::LOWEST, Request::published, entry).await?.into_iter().collect())
    }

    /// Everything that can be held against the database. An error when the host's scripts are too old to tell;
    /// changes nothing.
    pub async fn view(&self, server: &Server) -> Result<HostView, HostError> {
        let (reply, evidence) = self.call(server, Request::hello()).await?;
        let facts = reply.facts().filter(HostFacts::tells_what_is_published);
        let Some(configuration) = facts.and_then(|facts| facts.config_sha256) else {
            return Err(evidence.unexpected(
                "its scripts are too old to tell what its CRL has: run this version's install.sh on the host",
            ));
        };
        Ok(HostView {
            configuration,
            records: self.pages(server, Serial::LOWEST, Request::inventory, str::parse).await?,
            published: self.published(server).await?,
            sessions: self.sessions(server).await?,
        })
    }

    /// Lines that come in pages, each page with a field `next`: the serial that the following one begins with.
    async fn pages<T>(
        &self,
        server: &Server,
        from: &str,
        ask: impl Fn(&str) -> Request,
        read: impl Fn(&str) -> Result<T, Invalid>,
    ) -> Result<Vec<T>, HostError> {
        let (mut lines, mut from) = (Vec::new(), from.to_owned());
        loop {
            let (reply, evidence) = self.call(server, ask(&from)).await?;
            let Some(next) = reply.field("next").map(str::to_owned) else {
                return Err(evidence.unexpected("the reply does not say where the next page begins"));
            };
            let Some(page) = reply.into_payload() else { return Err(evidence.unexpected("the reply has no payload")) };
            for line in page.expose_secret().lines().filter(|line| !line.is_empty()) {
                match read(line) {
                    Ok(line) => lines.push(line),
                    Err(error) => return Err(evidence.unexpected(&format!("{error}"))),
                }
            }
            match next.parse::<Serial>() {
                // Every page goes on behind the last one, or this would never end.
                Ok(_) if next > from => from = next,
                Err(_) if next == "none" => return Ok(lines),
                _ => return Err(evidence.unexpected("the next page begins nowhere")),
            }
        }
    }

    /// What the host says of itself. Changes nothing.
    pub async fn hello(&self, server: &Server) -> Result<HostFacts, HostError> {
        let (reply, evidence) = self.call(server, Request::hello()).await?;
        reply.facts().ok_or_else(|| evidence.unexpected("the reply to `hello` lacks a field, or has a bad one"))
    }

    /// Who is connected. Changes nothing.
    pub async fn sessions(&self, server: &Server) -> Result<Sessions, HostError> {
        let (reply, evidence) = self.call(server, Request::sessions()).await?;
        let Some(state) = reply.field("server").and_then(OpenVpnState::named) else {
            return Err(evidence.unexpected("the reply does not tell the state of the OpenVPN server"));
        };
        let Some(payload) = reply.into_payload() else { return Err(evidence.unexpected("the reply has no payload")) };
        let lines = payload.expose_secret().lines().filter(|line| !line.is_empty());
        match lines.map(str::parse::<Session>).collect() {
            Ok(list) => Ok(Sessions { server: state, list }),
            Err(bad) => Err(evidence.unexpected(&bad.to_string())),
        }
    }

    async fn call(&self, server: &Server, request: Request) -> Result<(Reply, Evidence), HostError> {
        let request = request.owned_by(self.owner.as_deref()).close();
        let ran = self.transport.run(server, &request).await;
        let output = ran.map_err(|kind| HostError::before_reply(server, kind))?;
        let parsed = Reply::parse(&output.stdout);
        let evidence = Evidence::of(server, &request, &output, parsed.as_ref().ok());
        match parsed {
            Ok(reply) if output.exit == 0 && reply.is_ok() => Ok((reply, evidence)),
            Ok(reply) if !reply.is_ok() && reply.number("code") == Some(output.exit) => {
                let said = reply.field("error").unwrap_or_default().to_owned();
                Err(evidence.refused(output.exit, said, &request))
            }
            Ok(_) => Err(evidence.unexpected("the exit status does not fit the reply")),
            Err(fault) => Err(evidence.unexpected(&fault.to_string())),
        }
    }
}
