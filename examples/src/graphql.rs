//! GraphQL over HTTP, and subscriptions over graphql-transport-ws.

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};

/// The API, as one principal.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    /// `http://127.0.0.1:8080`
    url: String,
    token: String,
}

/// What the API refused, in a form that a caller can act on.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// Such as `PROFILE_GONE`.
    pub code: String,
    /// For people.
    pub message: String,
}

impl Api {
    /// At this base URL, with this token.
    #[must_use]
    pub fn new(url: &str, token: &str) -> Self {
        Self { http: reqwest::Client::new(), url: url.trim_end_matches('/').to_owned(), token: token.to_owned() }
    }

    /// Runs a query and gives its `data`. Errors of the request come back as [`Refusal`].
    pub async fn query(&self, document: &str, variables: Value) -> Result<Value> {
        self.run(document, None, variables).await
    }

    /// The same, for a document with several operations, one of which is named.
    pub async fn run(&self, document: &str, operation: Option<&str>, variables: Value) -> Result<Value> {
        let body = json!({ "query": document, "operationName": operation, "variables": variables });
        let request = self.http.post(format!("{}/graphql", self.url)).bearer_auth(&self.token);
        let response = request.header("accept", "application/graphql-response+json").json(&body).send().await?;
        let mut answer: Value = response.json().await.context("the answer is no JSON")?;
        if let Some(error) = answer.pointer("/errors/0") {
            return Err(refusal(error.pointer("/extensions/code"), error.get("message")).into());
        }
        Ok(answer.get_mut("data").map(Value::take).unwrap_or_default())
    }

    /// Runs a mutation `name(input: …)`, selecting `fields` of its payload. Its `userErrors` come back
    /// as [`Refusal`].
    pub async fn mutate(&self, name: &str, input_type: &str, fields: &str, input: Value) -> Result<Value> {
        let document = format!(
            "mutation($input: {input_type}!) {{ payload: {name}(input: $input) {{ {fields} userErrors {{ code message }} }} }}"
        );
        let mut data = self.query(&document, json!({ "input": input })).await?;
        let payload = data.get_mut("payload").map(Value::take).unwrap_or_default();
        match payload.pointer("/userErrors/0") {
            None => Ok(payload),
            Some(error) => Err(refusal(error.get("code"), error.get("message")).into()),
        }
    }

    /// Subscribes; what comes is the `data` of each event.
    pub async fn subscribe(&self, document: &str, variables: Value) -> Result<Events> {
        self.subscribe_to(document, None, variables).await
    }

    /// The same, for a document with several operations, one of which is named.
    pub async fn subscribe_to(&self, document: &str, operation: Option<&str>, variables: Value) -> Result<Events> {
        let mut request = format!("{}/graphql/ws", self.url.replacen("http", "ws", 1)).into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
        let (mut socket, _) = connect_async(request).await?;
        let authorization = format!("Bearer {}", self.token);
        send(&mut socket, json!({ "type": "connection_init", "payload": { "authorization": authorization } })).await?;
        let mut events = Events { socket };
        let ready = events.message().await?.context("the connection was closed before it began")?;
        ensure!(ready.get("type") == Some(&json!("connection_ack")), "instead of connection_ack: {ready}");
        let payload = json!({ "query": document, "operationName": operation, "variables": variables });
        send(&mut events.socket, json!({ "type": "subscribe", "id": "1", "payload": payload })).await?;
        Ok(events)
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn send(socket: &mut Socket, message: Value) -> Result<()> {
    Ok(socket.send(Message::text(message.to_string())).await?)
}

fn refusal(code: Option<&Value>, message: Option<&Value>) -> Refusal {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    Refusal { code: text(code), message: text(message) }
}

/// The events of a subscription.
pub struct Events {
    socket: Socket,
}

impl Events {
    /// The next event; `None` when the subscription is complete.
    pub async fn next(&mut self) -> Result<Option<Value>> {
        while let Some(mut message) = self.message().await? {
            match message.get("type").and_then(Value::as_str) {
                Some("next") => {
                    let mut payload = message.get_mut("payload").map(Value::take).unwrap_or_default();
                    if let Some(error) = payload.pointer("/errors/0") {
                        return Err(refusal(error.pointer("/extensions/code"), error.get("message")).into());
                    }
                    return Ok(payload.get_mut("data").map(Value::take));
                }
                Some("error") => {
                    let error = message.pointer("/payload/0");
                    return Err(refusal(
                        error.and_then(|it| it.pointer("/extensions/code")),
                        error.and_then(|it| it.get("message")),
                    )
                    .into());
                }
                Some("complete") => return Ok(None),
                Some("ping") => send(&mut self.socket, json!({ "type": "pong" })).await?,
                _ => {}
            }
        }
        Ok(None)
    }

    async fn message(&mut self) -> Result<Option<Value>> {
        while let Some(message) = self.socket.next().await {
            match message? {
                Message::Text(text) => return Ok(Some(serde_json::from_str(&text)?)),
                Message::Close(Some(frame)) => {
                    bail!("the server closed the connection: {} {}", frame.code, frame.reason)
                }
                Message::Close(None) => return Ok(None),
                _ => {}
            }
        }
        Ok(None)
    }
}
