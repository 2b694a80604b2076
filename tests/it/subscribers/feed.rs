//! A subscription to the audit log, over either transport.

use anyhow::{Context as _, Result, bail};
use reqwest::Response;
use serde_json::{Value, json};
use vpn_examples::{Api, Events};

const DOCUMENT: &str = "subscription($after: String) { auditEntries(after: $after) { cursor entry { seq } } }";

/// How events travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    WebSocket,
    ServerSentEvents,
}

/// An open subscription.
pub(super) enum Feed {
    WebSocket(Events),
    ServerSentEvents(Response, Vec<u8>),
}

impl Feed {
    /// Opens it at this server, behind this cursor.
    pub(super) async fn open(way: Way, server: &str, token: &str, after: &str) -> Result<Self> {
        let variables = json!({ "after": after });
        if way == Way::WebSocket {
            return Ok(Self::WebSocket(Api::new(server, token).subscribe(DOCUMENT, variables).await?));
        }
        let request = reqwest::Client::new().post(format!("{server}/graphql")).bearer_auth(token);
        let request = request.header("accept", "text/event-stream");
        let response = request.json(&json!({ "query": DOCUMENT, "variables": variables })).send().await?;
        Ok(Self::ServerSentEvents(response.error_for_status()?, Vec::new()))
    }

    /// The next event: its cursor, and the number of its entry.
    pub(super) async fn next(&mut self) -> Result<(String, i64)> {
        let data = match self {
            Self::WebSocket(events) => events.next().await?.context("it is complete")?,
            Self::ServerSentEvents(response, buffer) => loop {
                if let Some(event) = take(buffer)? {
                    break event;
                }
                buffer.extend(response.chunk().await?.context("the connection was closed")?);
            },
        };
        let text = |at: &str| data.pointer(at).and_then(Value::as_str).with_context(|| format!("{at} in {data}"));
        Ok((text("/auditEntries/cursor")?.to_owned(), text("/auditEntries/entry/seq")?.parse()?))
    }
}

/// The first event that is whole, without the comments before it.
fn take(buffer: &mut Vec<u8>) -> Result<Option<Value>> {
    while let Some(end) = buffer.windows(2).position(|two| two == b"\n\n") {
        let block: Vec<u8> = buffer.drain(..end + 2).collect();
        let block = String::from_utf8(block)?;
        if let Some(data) = block.strip_prefix("event: next\ndata: ") {
            let answer: Value = serde_json::from_str(data)?;
            return answer.get("data").cloned().map(Some).with_context(|| format!("no data in {answer}"));
        }
        if !block.starts_with(':') {
            bail!("instead of an event: {block}");
        }
    }
    Ok(None)
}
