//! What an operator and an admin do on a good day.

use anyhow::{Context as _, Result};
use serde_json::Value;
use vpn_core::domain::Role;
use vpn_tests::{FOUND, fleet::Pace};

use super::{Person, fleet, only_for_its_owner};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_created_let_in_given_its_profile_and_shut_out() -> Result<()> {
    let fleet = fleet(Pace::default()).await?;
    let (worker, server) = (fleet.worker().await?, fleet.server().await?);
    let olga = Person::with(&fleet, "olga", Role::Operator, &server.url).await?;
    let me = olga.asks(&["whoami"]).await?;
    assert_eq!((&me["principal"], &me["role"]), (&"olga".into(), &"OPERATOR".into()));
    assert!(olga.does(&["health"]).await?.contains("database"));

    let created = olga.asks(&["client", "create", "alice", "--server", "vpn1"]).await?;
    assert_eq!((&created["name"], &created["status"]), (&"alice".into(), &"PENDING".into()));
    let provisioned = olga.runs(&["client", "provision", "alice", "--days", "30", "--wait", "-o", "json"]).await?;
    assert_eq!(provisioned.code, 0, "{provisioned:?}");
    let job: Value = serde_json::from_str(&provisioned.out)?;
    assert_eq!((&job["kind"], &job["state"]), (&"PROVISION".into(), &"SUCCEEDED".into()));
    assert!(provisioned.err.contains("ACTIVE   provision SUCCEEDED"), "{provisioned:?}");

    let taken = olga.runs(&["client", "profile", "alice", "alice.ovpn"]).await?;
    assert_eq!((taken.code, taken.out.as_str()), (0, ""), "{taken:?}");
    only_for_its_owner(&olga.file("alice.ovpn"))?;
    let profile = std::fs::read_to_string(olga.file("alice.ovpn"))?;
    assert!(profile.contains("<key>"));
    let again = olga.runs(&["client", "profile", "alice", "-"]).await?;
    assert_eq!((again.code, again.out.as_str()), (3, ""));
    assert!(again.err.contains("PROFILE_GONE"), "{again:?}");

    let watch = olga.command(&["status", "alice", "--watch", "-o", "json"])?;
    let watch = tokio::spawn(super::ended(watch, ""));
    let revoked = olga.runs(&["client", "revoke", "alice", "--reason", "left on a train", "--wait"]).await?;
    assert_eq!(revoked.code, 0, "{revoked:?}");
    let watched = watch.await??;
    let states: Vec<Value> = watched.out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!((watched.code, &states.last().context("an event")?["status"]), (0, &"REVOKED".into()), "{watched:?}");
    assert!(olga.does(&["client", "show", "alice"]).await?.contains("revoke reason  left on a train"));

    let logs = olga.does(&["logs", "--client", "alice"]).await?;
    let places: Vec<_> = ["client.created", "provision.succeeded", "profile.delivered", "revoke.succeeded"]
        .iter()
        .map(|action| logs.find(action))
        .collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "oldest first:\n{logs}");
    worker.stop().await;
    server.process.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_registers_servers_and_manages_tokens() -> Result<()> {
    let fleet = fleet(Pace::default()).await?;
    let server = fleet.server().await?;
    let ada = Person::with(&fleet, "ada", Role::Admin, &server.url).await?;
    std::fs::write(ada.file("host.pub"), fleet.server.host_key.as_deref().context("a host key")?)?;
    let registered =
        ada.asks(&["server", "register", "vpn2", "--host", "vpn2.example.org", "--host-key-file", "host.pub"]).await?;
    assert_eq!((&registered[0]["name"], &registered[0]["port"]), (&"vpn2".into(), &22.into()));
    let listed = ada.does(&["server", "list"]).await?;
    assert!(listed.starts_with("ID") && listed.contains("vpn2.example.org"), "{listed}");
    let unseen = ada.runs(&["server", "drift", "vpn2"]).await?;
    assert_eq!((unseen.code, unseen.err.contains("no worker has compared `vpn2`")), (3, true), "{unseen:?}");
    let id = registered[0]["id"].as_str().context("an id")?.parse()?;
    vpn_tests::differs(&fleet.db.store, id).await?;
    assert_eq!(ada.asks(&["server", "drift", "vpn2"]).await?["configuration"], FOUND);
    assert!(ada.does(&["server", "drift", "vpn2"]).await?.starts_with("KIND"));
    let wrong = ada.runs(&["server", "confirm", "vpn2", "--sha256", "00"]).await?;
    assert_eq!((wrong.code, wrong.err.contains(FOUND)), (3, true), "{wrong:?}");
    ada.does(&["server", "confirm", "vpn2", "--sha256", FOUND]).await?;
    assert_eq!(ada.asks(&["server", "drift", "vpn2"]).await?["confirmedConfiguration"], FOUND);
    let nowhere = ada.runs(&["server", "move", "vpn2"]).await?;
    assert_eq!((nowhere.code, nowhere.err.contains("--host")), (2, true), "{nowhere:?}");
    let moved = ada.asks(&["server", "move", "vpn2", "--port", "2222"]).await?;
    assert_eq!((&moved[0]["host"], &moved[0]["port"]), (&"vpn2.example.org".into(), &2222.into()));
    for (command, state) in [("disable", "DISABLED"), ("enable", "ACTIVE"), ("retire", "RETIRED")] {
        assert_eq!(ada.asks(&["server", command, "vpn2"]).await?[0]["state"], state);
    }
    let gone = ada.runs(&["server", "enable", "vpn2"]).await?;
    assert_eq!((gone.code, gone.err.contains("retired, for good")), (3, true), "{gone:?}");

    let made = ["token", "create", "--principal", "vera", "--role", "admin", "--scope", "read", "--days", "1"];
    let made = ada.runs(&made).await?;
    assert!(made.code == 0 && made.out.starts_with("vpn_pat_") && made.out.lines().count() == 1, "{made:?}");
    let vera = Person::new(&fleet, "vera")?;
    vera.typing(&["context", "add", "here", "--url", &server.url], &made.out).await?;
    only_for_its_owner(&vera.file("vpnctl/config.json"))?;
    only_for_its_owner(&vera.file("vpnctl/tokens/here"))?;
    let refused = vera.runs(&["client", "create", "mallory", "--server", "vpn1"]).await?;
    assert_eq!(refused.code, 3);
    assert!(refused.err.contains("FORBIDDEN"), "{refused:?}");

    ada.does(&["token", "create", "--principal", "bot", "--role", "viewer", "--to", "bot.token"]).await?;
    only_for_its_owner(&ada.file("bot.token"))?;
    let tokens = ada.asks(&["token", "list"]).await?;
    let token = tokens.as_array().context("a list")?.iter().find(|token| token["principal"] == "vera");
    let id = token.and_then(|token| token["id"].as_str()).context("vera's token")?;
    ada.does(&["token", "revoke", id]).await?;
    let ended = vera.runs(&["whoami"]).await?;
    assert_eq!((ended.code, ended.out.as_str()), (5, ""), "{ended:?}");
    server.process.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_go_on_over_pages_and_the_log_is_followed_without_a_gap() -> Result<()> {
    let fleet = fleet(Pace::default()).await?;
    let server = fleet.server().await?;
    let olga = Person::with(&fleet, "olga", Role::Operator, &server.url).await?;
    for _ in 0..103 {
        fleet.client().await?;
    }
    let all = olga.asks(&["client", "list", "--limit", "1000"]).await?;
    assert_eq!(all.as_array().map(Vec::len), Some(103));
    let some = olga.runs(&["client", "list", "--status", "pending", "--server", "vpn1", "--limit", "2"]).await?;
    assert_eq!(some.out.lines().count(), 3, "{some:?}");
    assert!(some.err.contains("There are more than 2"), "{some:?}");

    let mut follow =
        olga.command(&["logs", "--follow", "--action", "client.created", "--limit", "103", "-o", "json"])?;
    let mut follow = follow.spawn()?;
    let out = follow.stdout.take().context("its output")?;
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(out));
    let mut seen = Vec::new();
    for number in 0..110 {
        // The last ones come live.
        if number >= 103 {
            fleet.client().await?;
        }
        let line = vpn_tests::soon("an entry", lines.next_line()).await??.context("it goes on")?;
        let entry: Value = serde_json::from_str(&line)?;
        seen.push(entry["seq"].as_str().context("a number")?.parse::<i64>()?);
    }
    assert!(seen.is_sorted_by(|one, next| one < next), "{seen:?}");
    follow.kill().await?;
    server.process.stop().await;
    Ok(())
}
