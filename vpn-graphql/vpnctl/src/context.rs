//! Contexts: named places to ask, each a URL and the file with a token. They are kept in
//! `$XDG_CONFIG_HOME/vpnctl/config.json`, tokens that were typed in beside it, all for their owner alone.
//!
//! The variables begin with `VPNCTL_`, because the server takes everything in `VPN_` for its own
//! configuration and refuses what it does not know.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    net::IpAddr,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use clap::Args;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::{failure::Failure, private};

/// Where to ask, as the command line or the environment says it; the current context otherwise.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The context to use instead of the current one.
    #[arg(long, global = true, env = "VPNCTL_CONTEXT", value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The API's address, instead of a context's: `https://vpn.example.org/graphql`.
    #[arg(long, global = true, env = "VPNCTL_URL", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The file with the token, instead of a context's; `-` reads it from standard input.
    #[arg(long, global = true, env = "VPNCTL_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// Where to ask, and with which token.
pub(crate) struct Target {
    pub(crate) url: Url,
    pub(crate) token: String,
}

/// What is kept of a context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    pub(crate) url: String,
    pub(crate) token_file: PathBuf,
    /// Whether the token may go unencrypted to another machine.
    #[serde(default)]
    pub(crate) plain_http: bool,
}

/// All contexts.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contexts {
    pub(crate) current: Option<String>,
    pub(crate) contexts: BTreeMap<String, Context>,
}

impl Place {
    pub(crate) fn find(&self) -> Result<Target, Failure> {
        let context = match (&self.context, &self.url) {
            (Some(_), Some(_)) => {
                let message =
                    "say --context or --url (VPNCTL_CONTEXT, VPNCTL_URL), not both: a token is for one server";
                return Err(Failure::Usage(message.to_owned()));
            }
            (Some(name), None) => Some(Contexts::load()?.named(name)?),
            (None, Some(_)) => None,
            (None, None) => Some(Contexts::load()?.present()?),
        };
        let url = self.url.as_deref().or(context.as_ref().map(|context| context.url.as_str()));
        let file = self.token_file.as_ref().or(context.as_ref().map(|context| &context.token_file));
        let (Some(url), Some(file)) = (url, file) else {
            let message = "with --url, name the file with the token: --token-file FILE, or VPNCTL_TOKEN_FILE";
            return Err(Failure::Usage(message.to_owned()));
        };
        let plain_http = context.as_ref().is_some_and(|context| context.plain_http);
        Ok(Target { url: check_url(url, plain_http)?, token: read_token(file)? })
    }
}

impl Contexts {
    pub(crate) fn load() -> Result<Self, Failure> {
        let path = home()?.join("config.json");
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| Failure::Usage(format!("{} is damaged: {error}", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Failure::file("reading", &path)(error)),
        }
    }

    /// Written beside and renamed, so that nothing ever reads half of it.
    pub(crate) fn save(&self) -> Result<(), Failure> {
        let home = home()?;
        let (path, new) = (home.join("config.json"), home.join(format!("config.json.{}", std::process::id())));
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| Failure::Usage(error.to_string()))?;
        make_private(&home)?;
        private::write(&new, &bytes)?;
        fs::rename(&new, &path).map_err(Failure::file("writing", &path))
    }

    fn named(&self, name: &str) -> Result<Context, Failure> {
        self.contexts.get(name).cloned().ok_or_else(|| self.unknown(name))
    }

    fn present(&self) -> Result<Context, Failure> {
        let Some(name) = &self.current else {
            let message =
                "no context: make one with `vpnctl context add NAME --url URL`, or say --url and --token-file";
            return Err(Failure::Usage(message.to_owned()));
        };
        self.named(name)
    }

    pub(crate) fn unknown(&self, name: &str) -> Failure {
        let known: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
        Failure::Usage(format!("there is no context `{name}`; there are: {}", known.join(", ")))
    }
}

/// The address as it is asked: with the path that the API has.
pub(crate) fn check_url(text: &str, plain_http: bool) -> Result<Url, Failure> {
    let wrong = |why: &str| Failure::Usage(format!("the URL {text}: {why}; say https://vpn.example.org/graphql"));
    let mut url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("a URL is no place for secrets"));
    }
    let host = url.host_str().ok_or_else(|| wrong("it names no host"))?;
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let near = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => {}
        "http" if near || plain_http => {}
        "http" => {
            return Err(wrong(
                "http would show your token to everybody on the way; `vpnctl context add --plain-http` allows it for a context",
            ));
        }
        _ => return Err(wrong("it begins with https:// or http://")),
    }
    if url.path() == "/" {
        url.set_path("/graphql");
    }
    Ok(url)
}

/// A token that others can read is theirs too.
fn read_token(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    if file == Path::new("-") {
        io::stdin().read_to_string(&mut text).map_err(Failure::file("reading", Path::new("standard input")))?;
    } else {
        let mut open = fs::File::open(file).map_err(Failure::file("reading", file))?;
        let mode = open.metadata().map_err(Failure::file("reading", file))?.mode();
        if mode & 0o077 != 0 {
            let message = format!("others can read the token in {0}: chmod 600 {0}", file.display());
            return Err(Failure::Usage(message));
        }
        open.read_to_string(&mut text).map_err(Failure::file("reading", file))?;
    }
    check_token(&text)
}

/// What a header can carry, and nothing else.
pub(crate) fn check_token(text: &str) -> Result<String, Failure> {
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::Unauthenticated("this is no token: one line, vpn_pat_…".to_owned()));
    }
    Ok(token.to_owned())
}

/// Where a token that was typed in is kept.
pub(crate) fn keep_token(context: &str, token: &str) -> Result<PathBuf, Failure> {
    let directory = home()?.join("tokens");
    make_private(&directory)?;
    let path = directory.join(context);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Failure::file("replacing", &path)(error)),
        _ => {}
    }
    private::write(&path, format!("{token}\n").as_bytes())?;
    Ok(path)
}

/// Forgets a token that was typed in; one in a file of the user's stays.
pub(crate) fn forget_token(context: &Context) -> Result<(), Failure> {
    if context.token_file.parent() == Some(&home()?.join("tokens")) {
        fs::remove_file(&context.token_file).map_err(Failure::file("removing", &context.token_file))?;
    }
    Ok(())
}

/// Our directory.
fn home() -> Result<PathBuf, Failure> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let base = base.or_else(|| set("HOME").map(|home| home.join(".config")));
    let message =
        "neither XDG_CONFIG_HOME nor HOME says where your configuration is: set one, or say --url and --token-file";
    base.map(|base| base.join("vpnctl")).ok_or_else(|| Failure::Usage(message.to_owned()))
}

fn make_private(directory: &Path) -> Result<(), Failure> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(Failure::file("making", directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_https_or_near() {
        for (text, plain_http, taken) in [
            ("https://vpn.example.org/graphql", false, Some("https://vpn.example.org/graphql")),
            ("https://vpn.example.org", false, Some("https://vpn.example.org/graphql")),
            ("https://vpn.example.org/api/graphql", false, Some("https://vpn.example.org/api/graphql")),
            ("http://127.0.0.1:8080/graphql", false, Some("http://127.0.0.1:8080/graphql")),
            ("http://[::1]:8080", false, Some("http://[::1]:8080/graphql")),
            ("http://localhost:8080", false, Some("http://localhost:8080/graphql")),
            ("http://vpn.example.org", false, None),
            ("http://server:8080", true, Some("http://server:8080/graphql")),
            ("http://127.0.0.1.example.org", false, None),
            ("ftp://vpn.example.org", true, None),
            ("vpn.example.org", false, None),
            ("https://ada:secret@vpn.example.org", false, None),
        ] {
            let url = check_url(text, plain_http).map(|url| url.to_string());
            assert_eq!(url.ok().as_deref(), taken, "{text}");
        }
    }

    #[test]
    fn a_token_that_others_can_read_or_that_is_none_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("token");
        private::write(&file, b"vpn_pat_x\n").expect("written");
        assert_eq!(read_token(&file).ok().as_deref(), Some("vpn_pat_x"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("changed");
        assert!(matches!(read_token(&file), Err(Failure::Usage(told)) if told.contains("chmod 600")));
        for odd in ["", " \n", "a b", "a\nb", "ключ"] {
            assert!(check_token(odd).is_err(), "{odd:?}");
        }
    }
}
