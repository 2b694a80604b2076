//! The platform's main job with types that `graphql_client` makes from the schema: a client is created,
//! let in, given its profile, and shut out again.
//!
//! ```sh
//! make dev                                                              # in another terminal
//! TOKEN_FILE=token cargo run -p vpn-examples --example typed            # with its token, in a file
//! ```
//!
//! `URL` is the API's address, `http://127.0.0.1:8080/graphql` when it is not set. The profile is written
//! to `NAME.ovpn` in the current directory, for its owner alone.

use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};

use anyhow::{Context as _, Result, bail, ensure};
use graphql_client::GraphQLQuery;
use vpn_examples::{Api, Events};

use self::operations::{
    CreateClient, DeliverProfile, ProvisionClient, RevokeClient, Servers, WatchClient, create_client, deliver_profile,
    provision_client, revoke_client, servers, watch_client,
};

/// Made from `operations.graphql`; what does not fit the schema does not compile.
mod operations {
    use graphql_client::GraphQLQuery;

    macro_rules! operations {
        ($($name:ident),*) => {$(
            #[derive(GraphQLQuery)]
            #[graphql(
                schema_path = "../vpn-graphql/schema.graphql",
                query_path = "operations.graphql",
                variables_derives = "Default",
                response_derives = "Debug, Clone, PartialEq",
                skip_serializing_none
            )]
            pub(crate) struct $name;
        )*};
    }

    operations!(Servers, CreateClient, ProvisionClient, DeliverProfile, RevokeClient, WatchClient);
}

/// Runs a query or a mutation: the document has all operations of the file, and one is named.
async fn ask<Q: GraphQLQuery>(api: &Api, variables: Q::Variables) -> Result<Q::ResponseData> {
    let body = Q::build_query(variables);
    let data = api.run(body.query, Some(body.operation_name), serde_json::to_value(body.variables)?).await?;
    Ok(serde_json::from_value(data)?)
}

/// Fails with what the caller can put right, if there is something.
macro_rules! done {
    ($payload:expr) => {{
        let payload = $payload;
        if let Some(error) = payload.user_errors.first() {
            bail!("{:?}: {}", error.code, error.message);
        }
        payload
    }};
}

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::var("URL").unwrap_or_else(|_| "http://127.0.0.1:8080/graphql".to_owned());
    let token =
        std::fs::read_to_string(std::env::var("TOKEN_FILE").context("TOKEN_FILE names the file with the token")?)?;
    let name = std::env::var("NAME").unwrap_or_else(|_| format!("rust-{}", std::process::id()));
    let api = Api::new(url.trim_end_matches("/graphql"), token.trim());

    let servers = ask::<Servers>(&api, servers::Variables).await?.servers;
    let server_id = servers.into_iter().next().context("there is no VPN server yet")?.id;

    // The key makes a repeat safe: it gives the first answer again.
    let idempotency_key = Some(format!("create-{name}"));
    let input = create_client::CreateClientInput { name: name.clone(), server_id, idempotency_key };
    let created = done!(ask::<CreateClient>(&api, create_client::Variables { input }).await?.create_client);
    let client = created.client.context("no client")?;
    println!("created      {} ({})", client.name, client.id);

    let mut events = follow(&api, &client.id).await?;

    let input = provision_client::ProvisionClientInput {
        client_id: client.id.clone(),
        csr: None,
        address: None,
        routes: None,
        validity_days: Some(30),
        idempotency_key: None,
    };
    done!(ask::<ProvisionClient>(&api, provision_client::Variables { input }).await?.provision_client);
    until(&mut events, watch_client::ClientStatus::ACTIVE).await?;

    let input = deliver_profile::DeliverProfileInput { client_id: client.id.clone() };
    let delivered = done!(ask::<DeliverProfile>(&api, deliver_profile::Variables { input }).await?.deliver_profile);
    let path = format!("{name}.ovpn");
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(delivered.profile.context("no profile")?.as_bytes())?;
    println!("delivered    {path}, once");

    let reason = "the end of the walk-through".to_owned();
    let input = revoke_client::RevokeClientInput { client_id: client.id.clone(), reason, idempotency_key: None };
    done!(ask::<RevokeClient>(&api, revoke_client::Variables { input }).await?.revoke_client);
    until(&mut events, watch_client::ClientStatus::REVOKED).await
}

/// The client's status at every change from now on. Its present state comes first: once that is there,
/// nothing is missed.
async fn follow(api: &Api, id: &str) -> Result<Events> {
    let body = WatchClient::build_query(watch_client::Variables { id: id.to_owned(), after: None });
    let variables = serde_json::to_value(body.variables)?;
    let mut events = api.subscribe_to(body.query, Some(body.operation_name), variables).await?;
    events.next().await?.context("the events ended")?;
    Ok(events)
}

/// Waits for the client to have this status.
async fn until(events: &mut Events, wanted: watch_client::ClientStatus) -> Result<()> {
    while let Some(event) = events.next().await? {
        let event: watch_client::ResponseData = serde_json::from_value(event)?;
        let event = event.client_status;
        let job = event.job.as_ref();
        let told = job.map(|job| format!("{:?} {:?} {}", job.kind, job.state, job.step.as_deref().unwrap_or("")));
        println!("{:<12} {}", format!("{:?}", event.status), told.unwrap_or_default());
        if event.status == wanted {
            return Ok(());
        }
        let failed = job.filter(|job| job.state == watch_client::JobState::FAILED);
        ensure!(failed.is_none(), "{:?}", failed.and_then(|job| job.last_error.as_ref()));
    }
    bail!("the events ended")
}
