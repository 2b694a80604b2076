//! `token create | list | revoke`. Whoever can read the configuration may do this: it is how the first
//! token is made.

use anyhow::Result;
use clap::{Args, Subcommand};
use vpn_core::{
    config::{ServerConfig, Sources},
    domain::{Caller, Role, Scopes, TokenId},
    secrecy::ExposeSecret as _,
    service::{CreateToken, Platform, local_caller},
    store::{PageRequest, StoredToken, TokenFilter},
    telemetry,
};

use super::serve::platform;

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Make a token. It is printed on standard output, this once.
    Create(Create),
    /// List all tokens, newest first. Their secrets are not stored.
    List,
    /// Revoke a token: it ends at once.
    Revoke {
        /// Its id, `tok_…`.
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Whose token it is: a person's or a program's name, as the audit log will have it.
    #[arg(long)]
    principal: String,
    /// viewer, operator, auditor or admin.
    #[arg(long, value_parser = |text: &str| text.parse::<Role>().map_err(|error| error.to_string()))]
    role: Role,
    /// What of it the token may be used for: read, clients, audit, servers, tokens, approvals, with commas
    /// between them; without it, for all.
    #[arg(long, value_parser = |text: &str| text.parse::<Scopes>().map_err(|error| error.to_string()))]
    scopes: Option<Scopes>,
    /// How long it is valid, in days.
    #[arg(long, default_value_t = 90)]
    days: u32,
}

impl Token {
    pub(super) async fn run(self, sources: &Sources) -> Result<()> {
        let config = ServerConfig::load(sources)?;
        telemetry::start(&config.shared.log, config.shared.log_format)?;
        let (store, platform) = platform(&config.shared)?;
        let done = self.act(&platform, &local_caller(platform.ambient())?).await;
        store.close().await;
        done
    }

    async fn act(self, platform: &Platform, caller: &Caller) -> Result<()> {
        match self {
            Self::Create(create) => {
                let input = CreateToken {
                    principal: create.principal,
                    role: create.role,
                    scopes: create.scopes.unwrap_or(Scopes::ALL),
                    valid_for_days: create.days,
                };
                let made = platform.create_token(caller, input).await?;
                eprintln!(
                    "{} of {} ({}), valid until {}; it is shown this once:",
                    made.token.id,
                    made.token.principal,
                    made.token.role.as_str(),
                    made.token.expires_at
                );
                println!("{}", made.secret.expose_secret());
            }
            Self::List => {
                println!("{:<37} {:<20} {:<9} {:<28} {:<28} SCOPES", "ID", "PRINCIPAL", "ROLE", "EXPIRES", "STATE");
                let mut page = PageRequest::first(PageRequest::<TokenId>::MAX);
                loop {
                    let tokens = platform.tokens(caller, &TokenFilter::default(), &page).await?;
                    page.after = tokens.items.last().map(|token| token.id);
                    tokens.items.iter().for_each(print);
                    if !tokens.has_next {
                        break;
                    }
                }
            }
            Self::Revoke { id } => {
                let token = platform.revoke_token(caller, &id).await?;
                println!("{} of {} is revoked", token.id, token.principal);
            }
        }
        Ok(())
    }
}

fn print(token: &StoredToken) {
    let state = token.revoked_at.map_or_else(|| "not revoked".to_owned(), |at| format!("revoked {at}"));
    let (id, role, expires) = (token.id.to_string(), token.role.as_str(), token.expires_at.to_string());
    println!("{id:<37} {:<20} {role:<9} {expires:<28} {state:<28} {}", token.principal.as_str(), token.scopes);
}
