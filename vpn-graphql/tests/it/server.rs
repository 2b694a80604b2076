//! The whole server over a database file, and callers of every role.

use std::{net::SocketAddr, sync::Mutex, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};
use vpn_core::{
    audit::{Action, Entry},
    clock::Ambient,
    domain::{Caller, Operation, RequestId, Role, Scopes},
    error::Error,
    secrecy::{ExposeSecret as _, SecretString},
    service::{CreateToken, Platform, RegisterServer, RevokeClient, TwoPersonRule},
    store::{Opened, Store, StoreOptions},
    vault::Vault,
};
use vpn_graphql::{HttpOptions, Lifetime, router};

use crate::support::{post, send};

const HOST_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

pub(crate) struct Server {
    store: Store,
    platform: Platform,
    router: axum::Router,
    admin: Caller,
    lifetime: Lifetime,
    servers: Mutex<u32>,
    _folder: TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(HttpOptions::default()).await
    }

    pub(crate) async fn with(options: HttpOptions) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}/platform.db", folder.path().display());
        let store = Store::connect_lazy(&StoreOptions::new(url)).expect("a store");
        store.migrate(Opened::Production).await.expect("a schema");
        let vault = Vault::new(&SecretString::from("5e".repeat(32))).expect("a vault");
        // Nothing listens there: what is asked for is accepted, and waits.
        let redis = SecretString::from("redis://127.0.0.1:1/".to_owned());
        let ambient = Ambient::system();
        let platform = Platform::connect(store.clone(), &redis, vault, ambient.clone(), 8).expect("a platform");
        let admin = Caller::embedded("root".parse().expect("a name"), Role::Admin, RequestId::generate(&ambient));
        let lifetime = Lifetime::default();
        let router = router(platform.clone(), options, lifetime.clone());
        Self { store, platform, router, admin, lifetime, servers: Mutex::new(0), _folder: folder }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// An entry for changes that only a test makes.
    pub(crate) fn told(&self) -> Entry {
        Entry::by(&self.admin, Action::ServerReconciled)
    }

    /// The id of a new VPN server.
    pub(crate) async fn register(&self) -> String {
        let name = {
            let mut servers = self.servers.lock().expect("no panic");
            *servers += 1;
            format!("vpn{servers}")
        };
        let input = RegisterServer {
            name,
            host: "vpn1.example.org".into(),
            port: 22,
            user: "vpn-host".into(),
            host_key: Some(HOST_KEY.into()),
            idempotency_key: None,
        };
        self.platform.register_server(&self.admin, input).await.expect("a server").id.to_string()
    }

    /// Something waits for a second person.
    pub(crate) async fn ask_for_approval(&self, client: &str) {
        let rule = TwoPersonRule { operations: vec![Operation::RevokeClient], ..TwoPersonRule::default() };
        let input = RevokeClient { client_id: client.to_owned(), reason: "lost".into(), idempotency_key: None };
        let asked = self.platform.clone().with_two_person_rule(rule).revoke_client(&self.admin, input).await;
        assert!(matches!(asked, Err(Error::AwaitsApproval(_))), "{asked:?}");
    }

    /// Where it can be reached, from now on.
    pub(crate) async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (router, lifetime) = (self.router.clone(), self.lifetime.clone());
        tokio::spawn(vpn_graphql::serve(listener, router, lifetime, Duration::from_secs(1)));
        address
    }

    /// The close code for a WebSocket that comes with this.
    pub(crate) async fn refused_socket(&self, address: SocketAddr, bearer: &str) -> u16 {
        let mut socket = socket(address).await;
        let init = json!({ "type": "connection_init", "payload": { "authorization": bearer } });
        socket.send(Message::text(init.to_string())).await.expect("sent");
        loop {
            let heard = timeout(Duration::from_mins(1), socket.next()).await.expect("a message in time");
            if let Message::Close(frame) = heard.expect("a message").expect("no error") {
                return frame.expect("a close code").code.into();
            }
        }
    }

    /// Somebody with a token of this role.
    pub(crate) async fn as_(&self, role: Role) -> Person<'_> {
        self.narrowed(role, Scopes::ALL).await
    }

    /// Somebody with a token of this role and these scopes.
    pub(crate) async fn narrowed(&self, role: Role, scopes: Scopes) -> Person<'_> {
        let input = CreateToken { principal: role.as_str().into(), role, scopes, valid_for_days: 1 };
        let made = self.platform.create_token(&self.admin, input).await.expect("a token");
        self.with_token(made.secret.expose_secret())
    }

    pub(crate) fn with_token(&self, token: &str) -> Person<'_> {
        Person { server: self, bearer: format!("Bearer {token}") }
    }
}

pub(crate) struct Person<'a> {
    server: &'a Server,
    bearer: String,
}

impl Person<'_> {
    /// The answer to a document, over HTTP.
    pub(crate) async fn ask(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables }).to_string();
        send(&self.server.router, post(body, &[("authorization", Some(&self.bearer))])).await.json()
    }

    pub(crate) fn bearer(&self) -> &str {
        &self.bearer
    }

    /// The events of a subscription, over a WebSocket.
    pub(crate) async fn follow(&self, query: &str, variables: Value) -> Events {
        let mut socket = socket(self.server.listen().await).await;
        for message in [
            json!({ "type": "connection_init", "payload": { "authorization": self.bearer } }),
            json!({ "type": "subscribe", "id": "1", "payload": { "query": query, "variables": variables } }),
        ] {
            socket.send(Message::text(message.to_string())).await.expect("sent");
        }
        Events(socket)
    }
}

async fn socket(address: SocketAddr) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
    let mut request = format!("ws://{address}/graphql/ws").into_client_request().expect("a request");
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a header"));
    connect_async(request).await.expect("a socket").0
}

pub(crate) struct Events(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Events {
    async fn message(&mut self) -> Value {
        loop {
            let heard = timeout(Duration::from_secs(10), self.0.next()).await.expect("a message in time");
            let Message::Text(text) = heard.expect("a message").expect("no error") else { continue };
            let message: Value = serde_json::from_str(&text).expect("JSON");
            if message["type"] != "connection_ack" {
                return message;
            }
        }
    }

    /// The data of the next event.
    pub(crate) async fn next(&mut self) -> Value {
        let message = self.message().await;
        assert_eq!(message["type"], "next", "{message}");
        message["payload"]["data"].clone()
    }

    /// The first message, whatever it is.
    pub(crate) async fn first(mut self) -> Value {
        self.message().await
    }

    /// The code with which the subscription was refused.
    pub(crate) async fn error(&mut self) -> String {
        let message = self.message().await;
        assert_eq!(message["type"], "error", "{message}");
        message["payload"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned()
    }
}
