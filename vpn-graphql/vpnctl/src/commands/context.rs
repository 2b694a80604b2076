//! `context add | use | list | remove`.

use std::{
    io::{self, BufRead as _, IsTerminal as _},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    context::{self, Contexts, Place},
    failure::Failure,
    output::{self, Output},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Context {
    /// Make a context, and use it if it is the first. Without --token-file, the token is read from standard
    /// input and kept for you alone.
    Add(Add),
    /// Make a context the current one.
    Use {
        /// Which.
        #[arg(value_name = "NAME")]
        context_name: String,
    },
    /// List all contexts.
    List,
    /// Forget a context, and its token if it was read from standard input. The token stays valid: revoke it
    /// with `vpnctl token revoke`.
    Remove {
        /// Which.
        #[arg(value_name = "NAME")]
        context_name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// What you call it: letters, digits, `-`, `_` and `.`.
    #[arg(value_name = "NAME")]
    context_name: String,
    /// Send the token unencrypted to another machine. Everybody on the way can use it then.
    #[arg(long)]
    plain_http: bool,
}

/// What is listed of a context.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    name: &'a str,
    current: bool,
    url: &'a str,
    token_file: &'a PathBuf,
}

impl Context {
    pub(crate) fn run(self, place: &Place, output: &Output) -> Result<(), Failure> {
        let mut contexts = Contexts::load()?;
        match self {
            Self::Add(add) => {
                add.into(&mut contexts, place)?;
                contexts.save()
            }
            Self::Use { context_name } => {
                if !contexts.contexts.contains_key(&context_name) {
                    return Err(contexts.unknown(&context_name));
                }
                contexts.current = Some(context_name);
                contexts.save()
            }
            Self::Remove { context_name } => {
                let Some(removed) = contexts.contexts.remove(&context_name) else {
                    return Err(contexts.unknown(&context_name));
                };
                contexts.current = contexts.current.filter(|current| *current != context_name);
                contexts.save()?;
                context::forget_token(&removed)
            }
            Self::List => list(&contexts, output),
        }
    }
}

fn list(contexts: &Contexts, output: &Output) -> Result<(), Failure> {
    let rows = contexts.contexts.iter().map(|(name, context)| Row {
        name,
        current: contexts.current.as_ref() == Some(name),
        url: &context.url,
        token_file: &context.token_file,
    });
    let columns = [("NAME", "/name"), ("CURRENT", "/current"), ("URL", "/url"), ("TOKEN FILE", "/tokenFile")];
    output.list(&rows.collect::<Vec<_>>(), &columns)
}

impl Add {
    fn into(self, contexts: &mut Contexts, place: &Place) -> Result<(), Failure> {
        let name = self.context_name;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.bytes().all(fits) {
            let message =
                format!("`{name}` is no name of a context: 1 to 64 letters, digits, `-`, `_` or `.`, not `.` first");
            return Err(Failure::Usage(message));
        }
        if contexts.contexts.contains_key(&name) {
            let message = format!("there is a context `{name}`: remove it first (vpnctl context remove {name})");
            return Err(Failure::Usage(message));
        }
        let Some(url) = &place.url else {
            return Err(Failure::Usage("say where it is: --url https://vpn.example.org/graphql".to_owned()));
        };
        let url = context::check_url(url, self.plain_http)?.to_string();
        let token_file = match &place.token_file {
            Some(file) if file.as_os_str() != "-" => {
                std::path::absolute(file).map_err(Failure::file("finding", file))?
            }
            _ => context::keep_token(&name, &typed_token()?)?,
        };
        if contexts.contexts.is_empty() {
            contexts.current = Some(name.clone());
        }
        contexts.contexts.insert(name, context::Context { url, token_file, plain_http: self.plain_http });
        Ok(())
    }
}

/// The first line of standard input.
fn typed_token() -> Result<String, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        output::note("Paste the token, then press Enter (it is shown as you paste it):");
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line).map_err(Failure::file("reading", "standard input".as_ref()))?;
    context::check_token(&line)
}
