//! `client list | show | create | provision | profile | revoke`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use crate::{
    api::{self, Api},
    cli::{Key, Limit, Wait},
    failure::Failure,
    input,
    operations::{
        Clients, CreateClient, DeliverProfile, ProvisionClient, RevokeClient, clients, create_client, deliver_profile,
        provision_client, revoke_client,
    },
    output::{self, Column, Output},
    page::{self, page},
    private::Handed,
    wait,
};

const ROW: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("STATUS", "/status"),
    ("SERVER", "/server/name"),
    ("JOB", "/currentJob/state"),
    ("REVOKE ASKED", "/revokeRequestedAt"),
    ("CERTIFICATE UNTIL", "/certificate/notAfter"),
    ("CREATED BY", "/createdBy"),
    ("CREATED", "/createdAt"),
];

const WHOLE: &[Column] = &[
    ("id", "/id"),
    ("name", "/name"),
    ("status", "/status"),
    ("server", "/server/name"),
    ("job", "/currentJob/id"),
    ("job's state", "/currentJob/state"),
    ("serial", "/certificate/serial"),
    ("fingerprint", "/certificate/sha256Fingerprint"),
    ("valid from", "/certificate/notBefore"),
    ("valid until", "/certificate/notAfter"),
    ("created by", "/createdBy"),
    ("created", "/createdAt"),
    ("activated", "/activatedAt"),
    ("revoke asked", "/revokeRequestedAt"),
    ("revoke reason", "/revokeReason"),
    ("revoked", "/revokedAt"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Client {
    /// List clients, newest first.
    List(List),
    /// Show one client.
    Show {
        /// Its name or id.
        client: String,
    },
    /// Record a client. It cannot connect yet.
    Create(Create),
    /// Let a client connect: queues the job that issues its certificate.
    Provision(Provision),
    /// Take a client's profile, once: afterwards the platform no longer has the private key.
    Profile(Profile),
    /// Take a client's access away, for good.
    Revoke(Revoke),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Status {
    Pending,
    Active,
    Revoked,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those with this status.
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// Only those of this server, by its name or id.
    #[arg(long)]
    server: Option<String>,
    /// Only those with exactly this name.
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    limit: Limit,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The certificate's common name: 1 to 64 letters, digits, `-` or `_`; not `DEFAULT`, `UNDEF` or `server`.
    name: String,
    /// The server that it will connect to, by its name or id.
    #[arg(long)]
    server: String,
    #[command(flatten)]
    key: Key,
}

#[derive(Debug, Args)]
pub(crate) struct Provision {
    /// Its name or id.
    client: String,
    /// A certificate signing request, PEM: the private key never leaves its owner then.
    #[arg(long, value_name = "FILE")]
    csr: Option<PathBuf>,
    /// How long the certificate is valid, in days; a year when it is left out.
    #[arg(long)]
    days: Option<u32>,
    /// Its own address in the VPN, of those that the host keeps for this.
    #[arg(long)]
    address: Option<String>,
    /// A network that it reaches through the tunnel beside the VPN's own; may be given several times.
    #[arg(long = "route", value_name = "CIDR")]
    routes: Vec<String>,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    key: Key,
}

#[derive(Debug, Args)]
pub(crate) struct Profile {
    /// Its name or id.
    client: String,
    /// The file to write, mode 0600. One that exists is never overwritten. `-` is standard output.
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// Its name or id.
    client: String,
    /// Why: 1 to 500 characters. It goes into the audit log.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    key: Key,
}

impl Client {
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(api, output).await,
            Self::Show { client } => {
                let id = input::client_id(api, &client).await?;
                output.one(&input::client(api, &id).await?, WHOLE)
            }
            Self::Create(create) => create.run(api, output).await,
            Self::Provision(provision) => provision.run(api, output).await,
            Self::Profile(profile) => profile.run(api).await,
            Self::Revoke(revoke) => revoke.run(api, output).await,
        }
    }
}

impl List {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let server_id = match self.server {
            Some(server) => Some(input::server_id(api, &server).await?),
            None => None,
        };
        let status = self.status.map(|status| match status {
            Status::Pending => clients::ClientStatus::PENDING,
            Status::Active => clients::ClientStatus::ACTIVE,
            Status::Revoked => clients::ClientStatus::REVOKED,
        });
        let filter = clients::ClientFilter { status, server_id, name: self.name, created_at: None };
        let ask = async |first, after| {
            let variables = clients::Variables { filter: Some(filter.clone()), first: Some(first), after };
            Ok(page!(api.ask::<Clients>(variables).await?.clients))
        };
        output.list(&page::all(&self.limit, ask).await?, ROW)
    }
}

impl Create {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let server_id = input::server_id(api, &self.server).await?;
        let key = self.key.or_new()?;
        let input = create_client::CreateClientInput { name: self.name, server_id, idempotency_key: Some(key.clone()) };
        let payload = api.change::<CreateClient>(&key, create_client::Variables { input }).await?.create_client;
        output.one(&api::taken(payload.client, &payload.approval, &payload.user_errors)?, WHOLE)
    }
}

impl Provision {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let csr = self.csr.map(|file| std::fs::read_to_string(&file).map_err(Failure::file("reading", &file)));
        let csr = csr.transpose()?;
        let client_id = input::client_id(api, &self.client).await?;
        let key = self.key.or_new()?;
        let input = provision_client::ProvisionClientInput {
            client_id,
            csr,
            validity_days: self.days.map(i64::from),
            address: self.address,
            routes: Some(self.routes),
            idempotency_key: Some(key.clone()),
        };
        let variables = provision_client::Variables { input };
        let payload = api.change::<ProvisionClient>(&key, variables).await?.provision_client;
        let job = api::taken(payload.job, &payload.approval, &payload.user_errors)?;
        wait::show(api, output, &job.id, &self.wait).await
    }
}

impl Revoke {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let client_id = input::client_id(api, &self.client).await?;
        let key = self.key.or_new()?;
        let input =
            revoke_client::RevokeClientInput { client_id, reason: self.reason, idempotency_key: Some(key.clone()) };
        let payload = api.change::<RevokeClient>(&key, revoke_client::Variables { input }).await?.revoke_client;
        let job = api::taken(payload.job, &payload.approval, &payload.user_errors)?;
        wait::show(api, output, &job.id, &self.wait).await
    }
}

impl Profile {
    /// The file is made before the profile is asked for: the platform gives it only once.
    async fn run(self, api: &Api) -> Result<(), Failure> {
        let client_id = input::client_id(api, &self.client).await?;
        let path = self.file;
        if path == Path::new("-") {
            return output::print(&deliver(api, client_id).await?);
        }
        let file = Handed::open(&path)?;
        let profile = file.or_gone(deliver(api, client_id).await)?;
        file.write(&profile, "the profile was delivered and is lost: revoke the client, and make a new one; writing")?;
        output::note(&format!("written to {}; the platform has it no longer", path.display()));
        Ok(())
    }
}

async fn deliver(api: &Api, client_id: String) -> Result<String, Failure> {
    let input = deliver_profile::DeliverProfileInput { client_id };
    let asked = api.ask::<DeliverProfile>(deliver_profile::Variables { input }).await;
    let advice = "It may have been delivered all the same. Ask again: PROFILE_GONE says that it was, and is lost; \
                  then revoke the client, and make a new one";
    let payload = asked.map_err(|failure| failure.if_perhaps_done(advice))?.deliver_profile;
    if payload.has_private_key == Some(false) {
        output::note("The private key is not in this profile: put in the one that the request was made with");
    }
    api::taken(payload.profile, &(), &payload.user_errors)
}
