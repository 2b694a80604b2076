//! What is taken from the claims of a token that is signed, in its time, and for us.

use serde_json::{Map, Value};

use crate::{
    clock::Timestamp,
    domain::{Principal, Role},
};

/// A NumericDate (RFC 7519): seconds since the epoch, perhaps with a fraction.
pub(super) fn instant(claims: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    let value = claims.get(name)?;
    let seconds = value.as_i64().or_else(|| {
        // Whole seconds are exact enough, and all that there are fit.
        #[expect(clippy::cast_possible_truncation, reason = "saturates, as it should")]
        value.as_f64().map(|seconds| seconds as i64)
    })?;
    Some(Timestamp::from_micros(seconds.saturating_mul(1_000_000)))
}

/// The name of whoever comes. An address that the provider has not verified is anybody's to claim.
pub(super) fn principal(claims: &Map<String, Value>, claim: &str) -> Result<Principal, &'static str> {
    let verified = claims.get("email_verified").is_some_and(|it| it == &Value::Bool(true) || it == "true");
    if claim == "email" && !verified {
        return Err("signed token with an e-mail address that is not verified");
    }
    let name = find(claims, claim).and_then(Value::as_str).ok_or("signed token without a principal")?;
    name.parse().map_err(|_| "signed token whose principal has an unusable name")
}

/// The first role of the list that the token has. In the claim stand texts, or one text with spaces.
pub(super) fn role(claims: &Map<String, Value>, claim: &str, roles: &[(String, Role)]) -> Result<Role, &'static str> {
    let has = |wanted: &str| match find(claims, claim) {
        Some(Value::Array(values)) => values.iter().any(|value| value == wanted),
        Some(Value::String(text)) => text == wanted || text.split(' ').any(|word| word == wanted),
        _ => false,
    };
    roles.iter().find(|(value, _)| has(value)).map(|(_, role)| *role).ok_or("signed token without a role here")
}

/// A claim by its name, or, with `/` in front, by a JSON pointer (RFC 6901). Names may have dots and
/// slashes in them, as in `https://example.org/roles`.
fn find<'c>(claims: &'c Map<String, Value>, claim: &str) -> Option<&'c Value> {
    let Some(path) = claim.strip_prefix('/') else { return claims.get(claim) };
    let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let top = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
    rest.map_or(Some(top), |rest| top.pointer(&format!("/{rest}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: &Value) -> &Map<String, Value> {
        value.as_object().expect("an object")
    }

    #[test]
    fn roles_are_found_wherever_providers_put_them() {
        let roles = [("vpn-admin".to_owned(), Role::Admin), ("ops".to_owned(), Role::Operator)];
        for (token, claim, found) in [
            (json!({ "roles": ["x", "ops"] }), "roles", Some(Role::Operator)),
            (json!({ "roles": ["ops", "vpn-admin"] }), "roles", Some(Role::Admin)),
            (json!({ "realm_access": { "roles": ["ops"] } }), "/realm_access/roles", Some(Role::Operator)),
            (json!({ "https://example.org/roles": ["ops"] }), "https://example.org/roles", Some(Role::Operator)),
            (json!({ "scope": "openid ops" }), "scope", Some(Role::Operator)),
            (json!({ "roles": "ops-not" }), "roles", None),
            (json!({ "roles": [["ops"]] }), "roles", None),
            (json!({ "roles": { "ops": true } }), "roles", None),
            (json!({}), "/realm_access/roles", None),
        ] {
            assert_eq!(role(claims(&token), claim, &roles).ok(), found, "{token} {claim}");
        }
    }

    #[test]
    fn a_principal_is_a_text_that_fits_and_an_address_has_to_be_verified() {
        for (token, claim, name) in [
            (json!({ "sub": "ada" }), "sub", Ok("ada")),
            (json!({ "sub": "auth0|1" }), "sub", Err("signed token whose principal has an unusable name")),
            (json!({ "sub": "system:worker" }), "sub", Err("signed token whose principal has an unusable name")),
            (json!({ "sub": 7 }), "sub", Err("signed token without a principal")),
            (json!({ "email": "a@b.org", "email_verified": true }), "email", Ok("a@b.org")),
            (json!({ "email": "a@b.org" }), "email", Err("signed token with an e-mail address that is not verified")),
        ] {
            let found = principal(claims(&token), claim);
            assert_eq!(found.as_ref().map(Principal::as_str).map_err(|why| *why), name, "{token}");
        }
    }
}
