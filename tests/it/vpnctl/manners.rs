//! What needs no platform: files, tokens, completion, mistakes.

use std::{io::ErrorKind, net::TcpListener};

use anyhow::Result;
use vpn_core::sandbox::{Janitor, temporary_directory};

use super::Person;

#[tokio::test]
async fn contexts_are_kept_listed_chosen_and_forgotten() -> Result<()> {
    let janitor = Janitor::start()?;
    let ada = Person { home: temporary_directory(&janitor, "vpnctl")? };
    let none = ada.runs(&["whoami"]).await?;
    assert_eq!(none.code, 2);
    assert!(none.err.contains("vpnctl context add NAME --url URL"), "{none:?}");
    for (name, url) in [("home", "https://vpn.example.org"), ("work", "http://localhost:1")] {
        let added = ada.typing(&["context", "add", name, "--url", url], "vpn_pat_x\n").await?;
        assert_eq!(added.code, 0, "{added:?}");
    }
    let twice = ada.typing(&["context", "add", "home", "--url", "https://other.example.org"], "vpn_pat_y\n").await?;
    assert_eq!(twice.code, 2);
    let listed = ada.asks(&["context", "list"]).await?;
    assert_eq!(listed[0]["url"], "https://vpn.example.org/graphql");
    assert_eq!((&listed[0]["current"], &listed[1]["current"]), (&true.into(), &false.into()));
    assert!(!listed.to_string().contains("vpn_pat_"));
    ada.does(&["context", "use", "work"]).await?;
    ada.does(&["context", "remove", "home"]).await?;
    assert!(!ada.file("vpnctl/tokens/home").exists());
    let left = ada.asks(&["context", "list"]).await?;
    assert_eq!((left.as_array().map(Vec::len), &left[0]["current"]), (Some(1), &true.into()));
    for name in ["../x", "", ".x", "a/b"] {
        let odd = ada.typing(&["context", "add", name, "--url", "https://h"], "vpn_pat_x\n").await?;
        assert_eq!(odd.code, 2, "{name}: {odd:?}");
    }
    janitor.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_token_goes_to_no_one_else_and_a_file_is_never_overwritten() -> Result<()> {
    let janitor = Janitor::start()?;
    let ada = Person { home: temporary_directory(&janitor, "vpnctl")? };
    let plain = ada.typing(&["context", "add", "x", "--url", "http://vpn.example.org"], "vpn_pat_x\n").await?;
    assert_eq!(plain.code, 2);
    assert!(plain.err.contains("http would show your token"), "{plain:?}");

    // The profile's file is there before the profile is asked for: nobody is asked in vain.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let url = format!("http://{}", listener.local_addr()?);
    ada.typing(&["context", "add", "x", "--url", &url], "vpn_pat_x\n").await?;
    std::fs::write(ada.file("taken"), "mine")?;
    let taken = ada.runs(&["client", "profile", "cli_x", "taken"]).await?;
    assert_eq!(taken.code, 6, "{taken:?}");
    assert_eq!(std::fs::read_to_string(ada.file("taken"))?, "mine");
    let asked = listener.accept().map_err(|error| error.kind());
    assert!(matches!(asked, Err(ErrorKind::WouldBlock)), "the platform was asked: {asked:?}");

    std::fs::write(ada.file("open"), "vpn_pat_x")?;
    let open = ada.runs(&["whoami", "--token-file", "open"]).await?;
    assert_eq!(open.code, 2);
    assert!(open.err.contains("chmod 600"), "{open:?}");
    janitor.stop().await?;
    Ok(())
}

#[tokio::test]
async fn completion_is_for_the_shells_and_mistakes_are_usage() -> Result<()> {
    let janitor = Janitor::start()?;
    let ada = Person { home: temporary_directory(&janitor, "vpnctl")? };
    for (shell, part) in [("bash", "complete -F _vpnctl"), ("zsh", "#compdef vpnctl"), ("fish", "complete -c vpnctl")] {
        assert!(ada.does(&["completion", shell]).await?.contains(part), "{shell}");
    }
    assert_eq!(ada.runs(&["client", "creaet"]).await?.code, 2);
    assert_eq!(ada.runs(&["client", "revoke", "alice"]).await?.code, 2, "without a reason");
    let help = ada.does(&["--help"]).await?;
    assert!(help.contains("Exit codes:") && !help.contains('\u{1b}'), "{help}");
    janitor.stop().await?;
    Ok(())
}
