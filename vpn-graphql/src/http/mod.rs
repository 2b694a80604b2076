//! GraphQL over HTTP: `POST /graphql`, and `GET /graphql` for queries; in events for whoever wants that.

mod accept;
pub(crate) mod body;
mod params;
mod refusal;
mod reply;
mod sse;

use async_graphql::{Request as GraphQlRequest, parser::types::OperationType};
use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{Method, Request, Response, StatusCode, request},
};
use vpn_core::domain::{Caller, RequestId};

pub(crate) use self::params::Params;
use self::{accept::Media, refusal::Refusal};
use crate::{address, answer, auth, guard, server::Server};

/// The handler of `/graphql`, for every method.
pub(crate) async fn graphql(
    State(server): State<Server>,
    Extension(id): Extension<RequestId>,
    request: Request<Body>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let limits = &server.options.limits;
    let body = body::read(body, limits.body_bytes, limits.body_wait).await;
    let media = Media::wanted(&head.headers);
    let outcome = match media {
        Some(media) => serve(&server, id, media, &head, body).await,
        None => Err(Refusal::not_acceptable(
            "accept application/graphql-response+json, application/json or text/event-stream",
        )),
    };
    outcome.unwrap_or_else(|refusal| refusal.into_response(media.unwrap_or(Media::Json), id))
}

/// From the cheapest check to the dearest: nothing is parsed for a caller who is not known.
async fn serve(
    server: &Server,
    id: RequestId,
    media: Media,
    head: &request::Parts,
    body: Result<Vec<u8>, Refusal>,
) -> Result<Response<Body>, Refusal> {
    let post = method(head)?;
    let body = body?;
    if post && !params::is_json(&head.headers) {
        let message = "send `Content-Type: application/json`, in UTF-8";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message));
    }
    let address = address::origin(&head.extensions, &head.headers, &server.options.trusted_proxies);
    let asked = server.api.authenticate(auth::of_headers(&head.headers), address, id);
    let caller = asked.await.map_err(Refusal::caller)?;
    let params = if post { Params::of_body(&body) } else { Params::of_uri(&head.uri) };
    let params = params.map_err(Refusal::bad_request)?;
    let mut request = params.into_request(server.options.operations.as_ref()).map_err(Refusal::document)?;
    let kind = guard::admit(&mut request, &server.options.limits.document).map_err(Refusal::document)?;
    match kind {
        OperationType::Mutation if !post => Err(Refusal::method_not_allowed("a mutation needs POST", "POST")),
        OperationType::Subscription if Media::takes_events(&head.headers) => {
            sse::serve(server, id, request, caller, kind)
        }
        OperationType::Subscription => {
            let message = "a subscription needs `Accept: text/event-stream`, or a WebSocket: /graphql/ws, subprotocol graphql-transport-ws";
            Err(Refusal::not_acceptable(message))
        }
        _ if media == Media::Events => sse::serve(server, id, request, caller, kind),
        _ => execute(server, id, media, request, caller).await,
    }
}

async fn execute(
    server: &Server,
    id: RequestId,
    media: Media,
    request: GraphQlRequest,
    caller: Caller,
) -> Result<Response<Body>, Refusal> {
    let running = server.api.execute(request, caller);
    let Ok(mut response) = tokio::time::timeout(server.options.limits.operation, running).await else {
        let message = "the operation took too long; a mutation may have been done all the same: repeat it with the same idempotencyKey";
        return Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, "TIMEOUT", message));
    };
    answer::label(&mut response, id);
    let refused = answer::is_request_error(&response);
    let status = if refused { reply::status_of_refused_document(media) } else { StatusCode::OK };
    Ok(reply::json(media, status, answer::encode(&response)))
}

/// Whether it is a POST.
fn method(head: &request::Parts) -> Result<bool, Refusal> {
    match head.method {
        Method::POST => Ok(true),
        Method::GET | Method::HEAD => Ok(false),
        _ => Err(Refusal::method_not_allowed("use POST, or GET for queries", "GET, HEAD, POST")),
    }
}
