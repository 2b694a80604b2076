//! An OpenVPN server that easy-rsa served so far is taken over: its CA, its clients, its revocations.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;
use vpn_core::{
    clock::Timestamp,
    domain::{Client, ClientStatus, Difference, DriftKind},
    reconcile::{Act, Outcome, ReconcileError},
    sandbox::{Options, Sandbox, VpnHost},
    store::{ClientFilter, PageRequest},
};
use vpn_tests::{
    Database, PATIENCE, TestPlatform, checker::pki::whole, eventually, hosts, level::acts, programs::output,
};

const EASY_RSA: &str = "/usr/share/easy-rsa/easyrsa";

/// What a program prints, if it ends well.
async fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = output(Command::new(program).args(arguments)).await?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{program} {arguments:?}: {text}");
    Ok(text)
}

/// The PKI of an existing server, as easy-rsa makes it by default: ann, ben (revoked), cleo, and john.doe.
struct Pki(tempfile::TempDir);

impl Pki {
    async fn make() -> Result<Self> {
        ensure!(Path::new(EASY_RSA).exists(), "{EASY_RSA} is missing: apt-get install easy-rsa");
        let pki = Self(tempfile::tempdir()?);
        pki.easy_rsa(&["init-pki"]).await?;
        pki.easy_rsa(&["--req-cn=OldCA", "build-ca", "nopass"]).await?;
        pki.easy_rsa(&["build-server-full", "vpn-gw", "nopass"]).await?;
        for name in ["ann", "ben", "cleo", "john.doe"] {
            pki.easy_rsa(&["build-client-full", name, "nopass"]).await?;
        }
        pki.easy_rsa(&["revoke", "ben"]).await?;
        pki.easy_rsa(&["gen-crl"]).await?;
        Ok(pki)
    }

    async fn easy_rsa(&self, arguments: &[&str]) -> Result<()> {
        let pki = format!("--pki-dir={}", self.path(""));
        run(EASY_RSA, &[&["--batch", pki.trim_end_matches('/')], arguments].concat()).await.map(drop)
    }

    fn path(&self, file: &str) -> String {
        self.0.path().join("pki").join(file).display().to_string()
    }

    /// A field of the certificate, as OpenSSL prints it.
    async fn field(&self, name: &str, field: &str) -> Result<String> {
        let file = self.path(&format!("issued/{name}.crt"));
        let told = run("openssl", &["x509", "-noout", "-sha256", field, "-in", &file]).await?;
        Ok(told.trim().split_once('=').context("a field")?.1.to_owned())
    }

    /// Whether the certificate lets in, by the CRL in force.
    async fn lets_in(&self, host: &VpnHost, name: &str) -> Result<bool> {
        let crl = host.state.join("pub/crl.pem").display().to_string();
        let (ca, file) = (self.path("ca.crt"), self.path(&format!("issued/{name}.crt")));
        let verify = ["verify", "-crl_check", "-CAfile", &ca, "-CRLfile", &crl, &file];
        let verdict = run("openssl", &verify).await;
        if let Err(refused) = &verdict {
            ensure!(refused.to_string().contains("certificate revoked"), "{refused}");
        }
        Ok(verdict.is_ok())
    }

    /// The host has this PKI from now on, and nothing else; its network stays. Gives what `setup` said.
    async fn taken_over_by(&self, host: &VpnHost, more: &[&str]) -> Result<String> {
        let conf = fs::read_to_string(host.state.join("etc/host.conf"))?;
        let value = |key: &str| {
            let line = conf.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.with_context(|| format!("{key} in {conf}"))
        };
        let adopted = host.state.join("etc/adopted").exists();
        if !adopted {
            fs::remove_dir_all(&host.state)?;
        }
        let (setup, state) = (host.scripts.join("setup"), host.state.display().to_string());
        let pki = self.path("");
        let mut arguments = vec!["--state", &state, "--adopt", pki.trim_end_matches('/')];
        for (option, key) in [
            ("--remote", "remote"),
            ("--local", "remote"),
            ("--port", "port"),
            ("--network", "network"),
            ("--management", "management"),
            ("--pidfile", "pidfile"),
            ("--openvpn-user", "openvpn_user"),
            ("--static-addresses", "static_addresses"),
        ] {
            arguments.extend([option, value(key)?]);
        }
        arguments.extend(more);
        let said = run(&setup.display().to_string(), &arguments).await?;
        fs::write(host.state.join("etc/owner"), "any\n")?;
        Ok(said)
    }
}

async fn differences(test: &TestPlatform) -> Result<Vec<(DriftKind, String)>> {
    let subject = |it: &Difference| it.subject().split(' ').next().unwrap_or_default().to_owned();
    Ok(test
        .inspect()
        .await?
        .report
        .context("a report")?
        .differences
        .iter()
        .map(|it| (it.kind(), subject(it)))
        .collect())
}

async fn called(test: &TestPlatform, name: &str) -> Result<Client> {
    let filter = ClientFilter { name: Some(name.to_owned()), ..ClientFilter::default() };
    let found = test.platform.clients(&test.admin, &filter, &PageRequest::first(2)).await?.items;
    ensure!(found.len() == 1, "{name}: {found:?}");
    found.into_iter().next().context("a client")
}

#[tokio::test]
async fn an_easy_rsa_server_is_taken_over_as_it_is_on_sqlite() -> Result<()> {
    is_taken_over(Database::Sqlite).await
}

#[tokio::test]
async fn an_easy_rsa_server_is_taken_over_as_it_is_on_postgres() -> Result<()> {
    is_taken_over(Database::Postgres).await
}

#[tokio::test]
async fn an_easy_rsa_server_is_taken_over_as_it_is_on_mariadb() -> Result<()> {
    is_taken_over(Database::MariaDb).await
}

async fn is_taken_over(database: Database) -> Result<()> {
    let (pki, host) = (Pki::make().await?, hosts::private().await?);
    let vpn = host.host()?;
    let said = pki.taken_over_by(vpn, &[]).await?;
    ensure!(said.contains("adopted: 2 new clients, 1 revoked; left: 1"), "{said}");
    let test = TestPlatform::with_host(database, vpn, vpn.port, &vpn.host_key).await?;
    let foreign = [(DriftKind::ForeignCertificate, "john.doe".to_owned())];
    let unknown = ["ann", "cleo"].map(|name| (DriftKind::UnknownCertificate, name.to_owned()));
    assert_eq!(differences(&test).await?, [unknown.as_slice(), &foreign].concat());

    // Nobody is revoked because somebody forgot to say that they are to be kept.
    let shown = test.plan(false).await?;
    assert_eq!(acts(&shown), [("ann".to_owned(), Act::LeaveAdopted), ("cleo".to_owned(), Act::LeaveAdopted)]);
    assert_eq!(test.apply(shown).await?, [""; 0]);
    ensure!(pki.lets_in(vpn, "ann").await? && pki.lets_in(vpn, "cleo").await?);

    let shown = test.plan(true).await?;
    let wanted = [
        ("ann".to_owned(), Act::RecordAndActivate),
        ("ben".to_owned(), Act::RecordAsRevoked),
        ("cleo".to_owned(), Act::RecordAndActivate),
    ];
    assert_eq!(acts(&shown), wanted);
    ensure!(shown.to_string().contains("john.doe"), "{shown}");
    assert_eq!(test.apply(shown).await?, [""; 0]);
    assert_eq!(acts(&test.plan(true).await?), []);
    assert_eq!(differences(&test).await?, foreign);
    are_as_they_were(&test, &pki).await?;

    // Nothing new for a host that adopts again, and a platform that asks again.
    let said = pki.taken_over_by(vpn, &[]).await?;
    ensure!(said.contains("adopted: 0 new clients, 0 revoked; left: 1"), "{said}");
    assert_eq!(differences(&test).await?, foreign);

    let worker = test.worker()?;
    let job = test.revoke(called(&test, "ann").await?.id).await?.job;
    test.succeeded(job.id).await?;
    let dora = test.called("dora").await?;
    let job = test.provision(dora.id).await?.job;
    test.succeeded(job.id).await?;
    worker.drain().await?;
    ensure!(!pki.lets_in(vpn, "ann").await?, "revoked through the platform");
    ensure!(pki.lets_in(vpn, "cleo").await?, "still valid");
    let crl = vpn.state.join("pub/crl.pem").display().to_string();
    let crl = run("openssl", &["crl", "-noout", "-text", "-in", &crl]).await?;
    for name in ["ann", "ben"] {
        let serial = called(&test, name).await?.serial;
        ensure!(crl.contains(&format!("Serial Number: {}", serial.as_str().trim_start_matches("00"))), "{name}: {crl}");
    }
    assert_eq!(crl.matches("Serial Number").count(), 2);
    assert_eq!(differences(&test).await?, foreign);
    test.check().await
}

/// Serial, fingerprint, end and revocation are those of the PKI, and who took them over is on record.
async fn are_as_they_were(test: &TestPlatform, pki: &Pki) -> Result<()> {
    for name in ["ann", "cleo"] {
        let client = called(test, name).await?;
        let certificate = client.certificate().context("a certificate")?;
        assert_eq!(
            (client.status(), client.serial.as_str()),
            (ClientStatus::Active, &*whole(&pki.field(name, "-serial").await?))
        );
        let fingerprint = pki.field(name, "-fingerprint").await?.replace(':', "").to_lowercase();
        assert_eq!(certificate.sha256_fingerprint, fingerprint);
        let ends = run("date", &["-u", "+%s", "-d", &pki.field(name, "-enddate").await?]).await?;
        assert_eq!(certificate.not_after, Timestamp::from_seconds(ends.trim().parse()?));
        assert_eq!(test.actions(client.id).await?.iter().filter(|it| *it == "client.reconciled").count(), 3);
    }
    let index = fs::read_to_string(pki.path("index.txt"))?;
    let line = index.lines().find(|line| line.starts_with('R')).context("a revoked one")?;
    let told: Vec<&str> = line.split('\t').collect();
    let ben = called(test, "ben").await?;
    assert_eq!((ben.status(), ben.serial.as_str()), (ClientStatus::Revoked, &*whole(told[3])));
    let at = ben.revoked_at().context("a time")?.to_utc().format("%y%m%d%H%M%SZ").to_string();
    assert_eq!(at, told[2]);
    assert_eq!(test.actions(ben.id).await?, ["client.reconciled"]);
    Ok(())
}

/// Somebody who was created meanwhile has its name: it is in the CRL, and left as it is.
#[tokio::test]
async fn a_revoked_one_whose_name_is_taken_is_left_and_told_so() -> Result<()> {
    let (pki, host) = (Pki::make().await?, hosts::private().await?);
    let vpn = host.host()?;
    pki.taken_over_by(vpn, &[]).await?;
    let test = TestPlatform::with_host(Database::Sqlite, vpn, vpn.port, &vpn.host_key).await?;
    let other = test.called("ben").await?;
    let done = test.reconciler(&test.admin).await?.apply(test.plan(true).await?).await?;
    for done in done {
        match done.finding.name.as_str() {
            "ben" => ensure!(matches!(&done.result, Err(ReconcileError::Left(_))), "{:?}", done.result),
            name => ensure!(matches!(done.result, Ok(Outcome::Level)), "{name}: {:?}", done.result),
        }
    }
    assert_eq!(called(&test, "ben").await?.id, other.id);
    Ok(())
}

/// The profile that a client of the old server has.
fn old_profile(pki: &Pki, name: &str, remote: &str, tls_auth: &str) -> Result<String> {
    let read = |file: &str| fs::read_to_string(pki.path(file)).with_context(|| file.to_owned());
    Ok(format!(
        "client\ndev tun\nproto udp\nremote {remote} 1194\nnobind\nremote-cert-tls server\n\
         verify-x509-name vpn-gw name\nkey-direction 1\nverb 3\n<ca>\n{}</ca>\n<cert>\n{}</cert>\n<key>\n{}</key>\n\
         <tls-auth>\n{tls_auth}</tls-auth>\n",
        read("ca.crt")?,
        read(&format!("issued/{name}.crt"))?,
        read(&format!("private/{name}.key"))?,
    ))
}

#[tokio::test]
async fn clients_of_the_old_server_go_on_with_the_profiles_they_have_until_they_are_revoked() -> Result<()> {
    let pki = Pki::make().await?;
    let host = Sandbox::start(Options { host: true, tunnel: true, ..Options::default() }).await?;
    let vpn = host.host()?;
    let tunnel = vpn.tunnel().map_err(|missing| anyhow::anyhow!("{missing}"))?;
    let key = pki.path("ta.key");
    run("openvpn", &["--genkey", "secret", &key]).await?;
    tunnel.stop_openvpn().await;
    pki.taken_over_by(vpn, &["--adopt-server", "vpn-gw", "--adopt-tls-auth", &key]).await?;
    tunnel.start_openvpn().await?;

    let profile = old_profile(&pki, "ann", &tunnel.remote.to_string(), &fs::read_to_string(&key)?)?;
    let client = tunnel.connect(&profile)?;
    client.connected(PATIENCE).await?;
    let test = TestPlatform::with_host(Database::Sqlite, vpn, vpn.port, &vpn.host_key).await?;
    assert_eq!(test.apply(test.plan(true).await?).await?, [""; 0]);
    assert_eq!(differences(&test).await?, [(DriftKind::ForeignCertificate, "john.doe".to_owned())]);

    let worker = test.worker()?;
    let job = test.revoke(called(&test, "ann").await?.id).await?.job;
    test.succeeded(job.id).await?;
    worker.drain().await?;
    client.stop().await;
    let again = tunnel.connect(&profile)?;
    eventually("the server refuses it", async || Ok(tunnel.server_log().contains("certificate revoked"))).await?;
    again.stop().await;
    let other = tunnel.connect(&old_profile(&pki, "cleo", &tunnel.remote.to_string(), &fs::read_to_string(&key)?)?)?;
    other.connected(PATIENCE).await?;
    other.stop().await;
    test.check().await
}
