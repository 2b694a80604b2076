//! No secret is ever written down: not in the audit log, not in a log line, not in an answer that was
//! refused, however much is logged.

use std::{path::Path, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::process::Command;
use vpn_core::{
    domain::{Role, Scopes},
    sandbox::lasting_port,
    service::CreateToken,
};
use vpn_tests::{Database, TestPlatform, eventually, hosts, platform::PROFILE_KEY, programs};

use super::entries;

/// What must not be found anywhere: each in the forms in which it could be written.
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn add(&mut self, what: &str, secret: &str) {
        let numbers = format!("{:?}", secret.as_bytes());
        for form in [secret, &hex::encode(secret), numbers.trim_matches(['[', ']'])] {
            self.0.push((what.to_owned(), form.to_owned()));
        }
    }

    /// The lines of a PEM block's body, those that say something.
    fn add_pem(&mut self, what: &str, pem: &str) {
        for line in pem.lines().filter(|line| line.len() >= 32 && !line.contains(' ')) {
            self.add(what, line);
        }
    }

    fn refuse(&self, place: &str, text: &str) -> Result<()> {
        for (what, secret) in &self.0 {
            if let Some(at) = text.find(secret) {
                let line = text[..at].matches('\n').count() + 1;
                anyhow::bail!("{place}, line {line}, holds the {what}");
            }
        }
        Ok(())
    }
}

/// The text between `<key>` and `</key>`, the private half of a profile.
fn private_key(profile: &str) -> Result<&str> {
    let (_, rest) = profile.split_once("<key>").context("a key")?;
    Ok(rest.split_once("</key>").context("its end")?.0)
}

struct Programs {
    url: String,
    http: reqwest::Client,
    _running: Vec<tokio::process::Child>,
}

impl Programs {
    /// A real server and a real worker that log all they can.
    async fn start(test: &TestPlatform, directory: &Path) -> Result<Self> {
        let listen = format!("127.0.0.1:{}", lasting_port()?);
        let ssh_key = directory.join("ssh_key");
        std::fs::write(&ssh_key, &hosts::shared().await?.private_key)?;
        let mut running = Vec::new();
        for (name, arguments) in [("vpn-graphql", vec!["serve", "--listen", &listen]), ("vpn-worker", vec![])] {
            let log = std::fs::File::create(directory.join(name))?;
            let mut command = Command::new(programs::built(name)?);
            command
                .args(arguments)
                .env("VPN_DATABASE_URL", &test.db.url)
                .env("VPN_REDIS_URL", test.sandbox.redis()?.url())
                .env("VPN_PROFILE_KEY", PROFILE_KEY)
                .env("VPN_SSH_KEY_FILE", &ssh_key)
                .env("VPN_RETRY_BASE_SECONDS", "1")
                .env("VPN_LOG", "trace")
                .stdout(log.try_clone()?)
                .stderr(log)
                .stdin(Stdio::null())
                .kill_on_drop(true);
            running.push(command.spawn()?);
        }
        let url = format!("http://{listen}");
        let programs = Self { url, http: reqwest::Client::new(), _running: running };
        eventually("the server is ready", async || {
            let ready = programs.http.get(format!("{}/readyz", programs.url)).send().await;
            Ok(ready.is_ok_and(|answer| answer.status().is_success()))
        })
        .await?;
        Ok(programs)
    }

    async fn ask(&self, token: &str, query: &str, variables: Value) -> Result<String> {
        let body = json!({ "query": query, "variables": variables });
        let request = self.http.post(format!("{}/graphql", self.url)).bearer_auth(token).json(&body);
        Ok(request.send().await?.text().await?)
    }
}

#[tokio::test]
async fn a_full_run_writes_no_secret_down() -> Result<()> {
    let test = TestPlatform::on(Database::Postgres).await?;
    let input = CreateToken { principal: "olga".into(), role: Role::Operator, scopes: Scopes::ALL, valid_for_days: 1 };
    let token = test.platform.create_token(&test.admin, input).await?.secret;
    let token = token.expose_secret();
    let directory = tempfile::tempdir()?;
    let programs = Programs::start(&test, directory.path()).await?;

    let mut secrets = Secrets(Vec::new());
    secrets.add("token", token.rsplit('_').next().context("its secret half")?);
    secrets.add("key of the profiles", PROFILE_KEY);
    secrets.add_pem("platform's SSH key", &hosts::shared().await?.private_key);
    for (what, url) in
        [("database's password", test.db.url.clone()), ("password of Redis", test.sandbox.redis()?.url())]
    {
        let password =
            url.split_once("://").and_then(|(_, rest)| rest.split_once('@')).and_then(|(user, _)| user.split_once(':'));
        secrets.add(what, password.context("a password")?.1);
    }

    let client = test.client().await?;
    let id = json!({ "id": client.id.to_string() });
    let provision =
        "mutation($id: ID!) { provisionClient(input: { clientId: $id }) { job { id } userErrors { code } } }";
    let deliver =
        "mutation($id: ID!) { deliverProfile(input: { clientId: $id }) { profile userErrors { code message } } }";
    let revoke = "mutation($id: ID!) { revokeClient(input: { clientId: $id, reason: \"lost\" }) { job { id } userErrors { code } } }";
    let mut refused = vec![programs.ask(token, deliver, id.clone()).await?];
    programs.ask(token, provision, id.clone()).await?;
    test.becomes(client.id, vpn_core::domain::ClientStatus::Active).await?;
    let delivered: Value = serde_json::from_str(&programs.ask(token, deliver, id.clone()).await?)?;
    let profile = delivered["data"]["deliverProfile"]["profile"].as_str().context("a profile")?;
    secrets.add_pem("client's private key", private_key(profile)?);
    refused.push(programs.ask(token, deliver, id.clone()).await?);
    refused.push(programs.ask(&format!("{token}x"), deliver, id.clone()).await?);
    refused.push(programs.ask(token, "{ tokens { id } }", json!({})).await?);
    refused.push(programs.ask(token, "{ nonsense }", id.clone()).await?);
    programs.ask(token, revoke, id).await?;
    test.becomes(client.id, vpn_core::domain::ClientStatus::Revoked).await?;
    drop(programs);

    for name in ["vpn-graphql", "vpn-worker"] {
        let log = String::from_utf8_lossy(&std::fs::read(directory.path().join(name))?).into_owned();
        // The statements are there, so it is not silence that was searched.
        ensure!(log.contains("DEBUG") && log.contains("INSERT INTO audit_log"), "{name} logs what it can");
        secrets.refuse(&format!("the log of {name}"), &log)?;
    }
    for answer in &refused {
        ensure!(answer.contains("rror"), "this was to be refused: {answer}");
        secrets.refuse("a refusal", answer)?;
    }
    let written = entries(&test.db.store).await?;
    ensure!(written.len() > 10);
    for entry in written {
        secrets.refuse(&format!("entry {}", entry.seq), std::str::from_utf8(&entry.canonical)?)?;
    }
    Ok(())
}
