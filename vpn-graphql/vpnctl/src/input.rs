//! What people name: a client or a server by its name or its id.

use crate::{
    api::Api,
    failure::Failure,
    operations::{Client, Clients, Servers, client, clients, servers},
};

/// How many clients can share a name and still be told apart in one answer.
const MOST: i64 = 100;

/// The id of the client with this id or name. A name may be that of several: on other servers, or revoked.
/// One that is not revoked is meant rather than those that are.
pub(crate) async fn client_id(api: &Api, named: &str) -> Result<String, Failure> {
    if named.starts_with("cli_") {
        return Ok(named.to_owned());
    }
    let filter =
        clients::ClientFilter { status: None, server_id: None, name: Some(named.to_owned()), created_at: None };
    let variables = clients::Variables { filter: Some(filter), first: Some(MOST), after: None };
    let edges = api.ask::<Clients>(variables).await?.clients.edges;
    let found: Vec<_> = edges.into_iter().map(|edge| edge.node).collect();
    let alive: Vec<_> = found.iter().filter(|one| one.status != clients::ClientStatus::REVOKED).collect();
    match (alive.as_slice(), found.as_slice()) {
        ([one], _) => Ok(one.id.clone()),
        ([], [one]) => Ok(one.id.clone()),
        ([], []) => Err(Failure::Refused(format!("there is no client `{named}`: see `vpnctl client list`"))),
        _ => {
            let ids = found.iter().map(|one| format!("{} ({:?} on {})", one.id, one.status, one.server.name));
            let ids = ids.collect::<Vec<_>>().join(", ");
            Err(Failure::Refused(format!("`{named}` is the name of several clients, say which: {ids}")))
        }
    }
}

/// The client with this id.
pub(crate) async fn client(api: &Api, id: &str) -> Result<client::ClientRow, Failure> {
    let found = api.ask::<Client>(client::Variables { id: id.to_owned() }).await?.client;
    found.ok_or_else(|| Failure::Refused(format!("there is no client {id}")))
}

/// The id of the server with this id or name.
pub(crate) async fn server_id(api: &Api, named: &str) -> Result<String, Failure> {
    if named.starts_with("srv_") {
        return Ok(named.to_owned());
    }
    let servers = api.ask::<Servers>(servers::Variables).await?.servers;
    let found = servers.into_iter().find(|server| server.name == named);
    let unknown = || Failure::Refused(format!("there is no server `{named}`: see `vpnctl server list`"));
    found.map(|server| server.id).ok_or_else(unknown)
}
