//! `token create | list | revoke`.

use std::{io::Write as _, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use crate::{
    api::{self, Api},
    cli::Limit,
    context,
    failure::Failure,
    operations::{CreateToken, RevokeToken, Tokens, create_token, revoke_token, tokens},
    output::{self, Column, Output},
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

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Whose it is, as the audit log will have it.
    #[arg(long)]
    principal: String,
    /// What its bearer may do.
    #[arg(long, value_enum)]
    role: Role,
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
    let (mut rows, mut after) = (Vec::new(), None);
    while let Some(first) = limit.next(rows.len()) {
        let page = api.ask::<Tokens>(tokens::Variables { filter: None, first: Some(first), after }).await?.tokens;
        rows.extend(page.edges.into_iter().map(|edge| edge.node));
        after = page.page_info.end_cursor;
        if !page.page_info.has_next_page {
            return output.list(&rows, ROW);
        }
    }
    limit.tell();
    output.list(&rows, ROW)
}

impl Create {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        // Before the token is made, so that it is not made in vain.
        let mut file = match &self.to {
            Some(path) => Some((context::create_private(path)?, path)),
            None => None,
        };
        let made = make(api, self.principal, self.role, self.days).await;
        if let (Err(_), Some((_, path))) = (&made, &file) {
            std::fs::remove_file(path).map_err(Failure::file("removing", path))?;
        }
        // Of one that waits for a second person, too: it is given this once.
        let Made { row, secret } = made?;
        if let Some((file, path)) = &mut file {
            let written = writeln!(file, "{secret}").and_then(|()| file.sync_all());
            written.map_err(Failure::file("the token was made and is lost: revoke it; writing", path))?;
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
}

/// A token, and what is kept of it: nothing yet, while a second person has to approve it.
struct Made {
    row: Result<create_token::CreateTokenCreateTokenToken, Failure>,
    secret: String,
}

async fn make(api: &Api, principal: String, role: Role, days: u32) -> Result<Made, Failure> {
    let role = match role {
        Role::Viewer => create_token::Role::VIEWER,
        Role::Operator => create_token::Role::OPERATOR,
        Role::Auditor => create_token::Role::AUDITOR,
        Role::Admin => create_token::Role::ADMIN,
    };
    let input = create_token::CreateTokenInput { principal, role, scopes: None, valid_for_days: days.into() };
    let asked = api.ask::<CreateToken>(create_token::Variables { input }).await;
    let advice = "It may have been made all the same: look for it with `vpnctl token list`, and revoke what nobody has";
    let payload = asked.map_err(|failure| failure.if_perhaps_done(advice))?.create_token;
    let row = api::taken(payload.token, &payload.approval, &payload.user_errors);
    match payload.secret {
        Some(secret) => Ok(Made { row, secret }),
        None => Err(row.err().unwrap_or_else(|| Failure::Odd("the server gave no secret".to_owned()))),
    }
}
