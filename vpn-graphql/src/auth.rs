//! Where a request carries its token.

use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

/// The token of an `Authorization: Bearer …` header.
pub(crate) fn of_headers(headers: &HeaderMap) -> Option<&str> {
    bearer(headers.get(header::AUTHORIZATION)?.to_str().ok()?)
}

/// The token in the payload of a WebSocket's `connection_init`: `{"authorization": "Bearer …"}`.
/// Browsers cannot send headers with a WebSocket.
pub(crate) fn of_payload(payload: &Map<String, Value>) -> Option<&str> {
    let value = payload.get("authorization").or_else(|| payload.get("Authorization"))?;
    bearer(value.as_str()?)
}

/// The scheme's letter case does not matter (RFC 9110 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bearer_scheme_is_taken() {
        for (value, token) in [
            ("Bearer a.b", Some("a.b")),
            ("bearer  a", Some("a")),
            ("Basic a", None),
            ("Bearer", None),
            ("Bearera", None),
            ("a", None),
        ] {
            assert_eq!(bearer(value), token, "{value}");
        }
    }

    #[test]
    fn both_spellings_of_the_payload_are_taken() {
        for key in ["authorization", "Authorization"] {
            let payload = Map::from_iter([(key.to_owned(), Value::from("Bearer a"))]);
            assert_eq!(of_payload(&payload), Some("a"));
        }
        assert_eq!(of_payload(&Map::new()), None);
    }
}
