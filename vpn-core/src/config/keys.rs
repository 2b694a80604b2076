//! The keys there are. Documentation and checks go by this table.

/// One key of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// In the file; in the environment it is `VPN_` and this in capitals.
    pub name: &'static str,
    /// Whether it is a secret, and may come as a file.
    pub secret: bool,
    /// Who reads it.
    pub reader: &'static str,
    /// What it is, with its unit and default.
    pub what: &'static str,
}

const fn key(name: &'static str, reader: &'static str, what: &'static str) -> Key {
    Key { name, secret: false, reader, what }
}

const fn secret(name: &'static str, reader: &'static str, what: &'static str) -> Key {
    Key { name, secret: true, reader, what }
}

/// All of them.
pub const KEYS: &[Key] = &[
    secret("database_url", "both", "`postgres://…`, `mysql://…` or `sqlite://…`; required"),
    secret("redis_url", "both", "`redis://…`; required. That Redis must have `maxmemory-policy noeviction`"),
    secret("profile_key", "both", "seals profiles: 64 hexadecimal digits (`openssl rand -hex 32`); required"),
    secret("ssh_key", "worker", "private key for the VPN hosts, Ed25519 or ECDSA in OpenSSH's format; required"),
    secret(
        "checkpoint_key",
        "`audit checkpoint`",
        "signs checkpoints of the audit log, as `audit keygen` makes it; several, one a line, all sign. Keep it from server and worker",
    ),
    key("listen", "server", "address and port; `127.0.0.1:8080`"),
    key(
        "metrics_listen",
        "server",
        "where Prometheus may ask for `/metrics`, without a token, so keep it on loopback or a private network: address and port; nowhere",
    ),
    key(
        "allowed_origins",
        "server",
        "origins whose pages may open WebSockets, separated by commas; only the server's own",
    ),
    key("graphiql", "server", "whether GraphiQL is served; `true`"),
    key("introspection", "server", "whether the schema can be asked for; `true`"),
    key(
        "operations",
        "server",
        "a JSON file of the only operations that are run, each named by its SHA-256; all are run",
    ),
    key(
        "trusted_proxies",
        "server",
        "addresses and networks of proxies whose `X-Forwarded-For` is believed, separated by commas; none",
    ),
    key(
        "oidc_issuer",
        "server",
        "single sign-on: the identity provider's URL, exactly as `iss` has it in its tokens; only our own tokens are taken",
    ),
    key("oidc_audience", "server", "what has to be in `aud`, separated by commas; required with `oidc_issuer`"),
    key("oidc_jwks_url", "server", "where its keys are; where `oidc_issuer/.well-known/openid-configuration` says"),
    key("oidc_algorithms", "server", "signatures that are taken, asymmetric ones only; `RS256,ES256,EdDSA`"),
    key("oidc_clock_skew_seconds", "server", "how far its clock and ours may be apart, 0 to 300; `30`"),
    key(
        "oidc_principal_claim",
        "server",
        "the claim with the principal's name, such as `email` (then it has to be verified); `sub`",
    ),
    key(
        "oidc_role_claim",
        "server",
        "the claim with the roles: its name, or a JSON pointer such as `/realm_access/roles`; `roles`",
    ),
    key(
        "oidc_roles",
        "server",
        "what stands there and which role it gives, the first that fits: `vpn-admins=admin, staff=operator`; required with `oidc_issuer`",
    ),
    key(
        "two_person",
        "server",
        "mutations that need a second person, separated by commas: any of `registerServer, pinHostKey, moveServer, confirmConfiguration, disableServer, enableServer, retireServer, createClient, provisionClient, revokeClient, retryJob, createToken`; none",
    ),
    key("approval_hours", "server", "how long a request waits for the second person, in hours, 1 to 720; `24`"),
    key("drain_seconds", "both", "how long a stopping process waits for what it has begun; `30`"),
    key(
        "concurrency",
        "worker",
        "jobs at once, 1 to 64; where there are several hosts, one of them gets half, and those that do not answer a quarter together; `8`",
    ),
    key("ssh_timeout_seconds", "worker", "for one request to a VPN host; `45`"),
    key(
        "watch_seconds",
        "worker",
        "between two looks at a VPN host (version, CRL, sessions), up to 86400; `0`: never; `60`",
    ),
    key(
        "crl_renewal",
        "worker",
        "whether a CRL that ends soon is renewed when the host is looked at, by `system:crl` in the audit log; `true`",
    ),
    key(
        "drift_seconds",
        "worker",
        "between two comparisons of a VPN host with the database, up to 604800; `0`: never; `3600`",
    ),
    key("max_attempts", "server", "tries before a job is given up, 1 to 100; `8`"),
    key("max_validity_days", "server", "the longest validity of a client's certificate, in days, 1 to 3650; `3650`"),
    key(
        "public_url",
        "server",
        "where people reach the server, `https://vpn.example.org`: links to profiles begin with it; without it there are none",
    ),
    key("retry_base_seconds", "worker", "wait before the second try, doubled for each further one; `2`"),
    key("retry_cap_seconds", "worker", "the longest wait before a try; `300`"),
    key("database_connections", "both", "connections at most, 2 to 1000; `16`"),
    key("log", "both", "which messages: `info`, `vpn_core=debug,info`; `info`"),
    key("log_format", "both", "`text` or `json`; `text`"),
];
