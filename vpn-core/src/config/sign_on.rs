//! The keys of single sign-on.

use std::time::Duration;

use super::Given;
use crate::{
    domain::Role,
    oidc::{Algorithms, Patience, ProviderOptions, check_url},
};

const REST: [&str; 7] = [
    "oidc_audience",
    "oidc_jwks_url",
    "oidc_algorithms",
    "oidc_clock_skew_seconds",
    "oidc_principal_claim",
    "oidc_role_claim",
    "oidc_roles",
];

/// `None` without `oidc_issuer`; then none of the other keys may be given either.
pub(super) fn provider(given: &mut Given) -> Option<ProviderOptions> {
    let issuer = given.text("oidc_issuer", "");
    if issuer.is_empty() {
        for key in REST {
            if !given.text(key, "").is_empty() {
                given.problem(key, "is given without oidc_issuer: give both, or neither");
            }
        }
        return None;
    }
    let audience = given.words("oidc_audience");
    if audience.is_empty() {
        given.problem("oidc_audience", "is missing: without it, tokens for any other service would be taken");
    }
    let keys_url = Some(given.text("oidc_jwks_url", "")).filter(|url| !url.is_empty());
    for (key, url) in [("oidc_issuer", Some(&issuer)), ("oidc_jwks_url", keys_url.as_ref())] {
        if let Some(Err(why)) = url.map(|url| check_url(url)) {
            given.problem(key, &why);
        }
    }
    let roles = roles(given);
    let algorithms = given.parsed(
        "oidc_algorithms",
        Algorithms::default(),
        "a list of asymmetric algorithms, such as RS256,ES256,EdDSA",
    );
    Some(ProviderOptions {
        issuer,
        audience,
        keys_url,
        algorithms,
        clock_skew: Duration::from_secs(given.within("oidc_clock_skew_seconds", 30, 0, 300)),
        principal_claim: given.text("oidc_principal_claim", "sub"),
        role_claim: given.text("oidc_role_claim", "roles"),
        roles,
        patience: Patience::default(),
    })
}

fn roles(given: &mut Given) -> Vec<(String, Role)> {
    let mut roles = Vec::new();
    for pair in given.words("oidc_roles") {
        let parsed = pair.rsplit_once('=').and_then(|(value, role)| Some((value.trim(), role.trim().parse().ok()?)));
        match parsed.filter(|(value, _)| !value.is_empty()) {
            Some((value, role)) => roles.push((value.to_owned(), role)),
            None => given.problem("oidc_roles", "is not a list such as `vpn-admins=admin, vpn-staff=operator`"),
        }
    }
    if roles.is_empty() {
        given.problem("oidc_roles", "names no role: without it, nobody could come in");
    }
    roles
}
