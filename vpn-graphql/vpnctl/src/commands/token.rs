//! `token create | list | revoke`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::{
    api::{self, Api},
    cli::Limit,
    failure::Failure,
    operations::{CreateToken, RevokeToken, Tokens, create_token, revoke_token, tokens},
    output::{self, Column, Output},
    page::{self, page},
    private::Handed,
};

const ROW: &[Column] = &[
    ("ID", "/id"),
    ("PRINCIPAL", "/principal"),
    ("ROLE", "/role"),
    ("SCOPES", "/scopes"),
    ("MADE BY", "/createdBy"),
    ("EXPIRES", "/expiresAt"),
    ("LAST USED", "/lastUsedAt"),
    ("REVOKED", "/revokedAt"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token. It is given once: printed on standard output alone, or written to a file.
    Create(Create),
    /// List tokens, newest first, without their secrets: everybody's, if you may see those.
    List(Limit),
    /// End a token, and what its bearer follows live.
    Revoke {
        /// Its id, `tok_…`.
        token: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Role {
    Viewer,
    Operator,
    Auditor,
    Admin,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Scope {
    /// See clients, jobs, servers, health, and what waits for approval.
    Read,
    /// Create, provision and revoke clients, and take their profiles.
    Clients,
    /// See the audit log.
    Audit,
    /// Make VPN hosts known.
    Servers,
    /// See, make and revoke tokens.
    Tokens,
    /// Approve and deny what others asked for.
    Approvals,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Whose it is, as the audit log will have it.
    #[arg(long)]
    principal: String,
    /// What its bearer may do.
    #[arg(long, value_enum)]
    role: Role,
    /// What of its role it may be used for; may be given several times. Without any, for all of it.
    #[arg(long = "scope", value_enum, value_name = "SCOPE")]
    scopes: Vec<Scope>,
    /// How long it is valid, in days, from 1 to 366.
    #[arg(long, default_value_t = 90)]
    days: u32,
    /// Write it to this new file, mode 0600, instead of standard output.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

impl Token {
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run(api, output).await,
            Self::List(limit) => list(api, output, &limit).await,
            Self::Revoke { token } => {
                let input = revoke_token::RevokeTokenInput { token_id: token };
                let payload = api.ask::<RevokeToken>(revoke_token::Variables { input }).await?.revoke_token;
                output.list(&[api::taken(payload.token, &(), &payload.user_errors)?], ROW)
            }
        }
    }
}

async fn list(api: &Api, output: &Output, limit: &Limit) -> Result<(), Failure> {
    let ask = async |first, after| {
        let variables = tokens::Variables { filter: None, first: Some(first), after };
        Ok(page!(api.ask::<Tokens>(variables).await?.tokens))
    };
    output.list(&page::all(limit, ask).await?, ROW)
}

impl Create {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        // Before the token is made, so that it is not made in vain.
        let file = self.to.as_deref().map(Handed::open).transpose()?;
        let made = self.make(api).await;
        // Of one that waits for a second person, too: it is given this once.
        let Made { row, secret } = match &file {
            Some(file) => file.or_gone(made)?,
            None => made?,
        };
        if let Some(file) = file {
            file.write(&format!("{secret}\n"), "the token was made and is lost: revoke it; writing")?;
            return output.list(&[row?], ROW);
        }
        if output.is_json() {
            let shown = serde_json::json!({ "token": row.as_ref().ok(), "secret": secret });
            output.one(&shown, &[])?;
            return row.map(drop);
        }
        if let Ok(row) = &row {
            output::note(&format!("{} of {}; it is shown this once:", row.id, row.principal));
        }
        output::print(&format!("{secret}\n"))?;
        row.map(drop)
    }

    async fn make(&self, api: &Api) -> Result<Made, Failure> {
        let role = match self.role {
            Role::Viewer => create_token::Role::VIEWER,
            Role::Operator => create_token::Role::OPERATOR,
            Role::Auditor => create_token::Role::AUDITOR,
            Role::Admin => create_token::Role::ADMIN,
        };
        let scopes = self.scopes.iter().map(|scope| match scope {
            Scope::Read => create_token::Scope::READ,
            Scope::Clients => create_token::Scope::CLIENTS,
            Scope::Audit => create_token::Scope::AUDIT,
            Scope::Servers => create_token::Scope::SERVERS,
            Scope::Tokens => create_token::Scope::TOKENS,
            Scope::Approvals => create_token::Scope::APPROVALS,
        });
        let scopes = Some(scopes.collect::<Vec<_>>()).filter(|scopes| !scopes.is_empty());
        let input = create_token::CreateTokenInput {
            principal: self.principal.clone(),
            role,
            scopes,
            valid_for_days: self.days.into(),
        };
        let asked = api.ask::<CreateToken>(create_token::Variables { input }).await;
        let advice =
            "It may have been made all the same: look for it with `vpnctl token list`, and revoke what nobody has";
        let payload = asked.map_err(|failure| failure.if_perhaps_done(advice))?.create_token;
        let row = api::taken(payload.token, &payload.approval, &payload.user_errors);
        match payload.secret {
            Some(secret) => Ok(Made { row, secret }),
            None => Err(row.err().unwrap_or_else(|| Failure::Odd("the server gave no secret".to_owned()))),
        }
    }
}

/// A token, and what is kept of it: nothing yet, while a second person has to approve it.
struct Made {
    row: Result<create_token::CreateTokenCreateTokenToken, Failure>,
    secret: String,
}
