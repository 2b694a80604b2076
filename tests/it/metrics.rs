//! What Prometheus collects: from the real server, every line read strictly, and from rows, so that every
//! server says the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tokio::process::{Child, Command};
use vpn_core::{
    domain::{GivenUp, JobKind, JobState},
    store::JobTally,
};
use vpn_tests::{
    Database, TestPlatform, World, eventually, fleet::lasting_port, hosts, on_every_database, platform::PROFILE_KEY,
    programs, told, turn::turn,
};

/// A page, read as strictly as its format is told.
#[derive(Debug, Default)]
struct Page {
    /// The kind of each family.
    kinds: BTreeMap<String, String>,
    /// The value of each series, as `name{label="…"}`.
    series: BTreeMap<String, String>,
}

impl Page {
    fn read(text: &str) -> Result<Self> {
        let mut page = Self::default();
        let (mut family, mut helped) = (String::new(), BTreeSet::new());
        ensure!(text.ends_with('\n') && !text.contains('\r'), "lines end with a newline");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').context("a family and its help")?;
                ensure!(helped.insert(name.to_owned()) && help.ends_with('.'), "one help, a sentence: {line}");
                name.clone_into(&mut family);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').context("a family and its kind")?;
                ensure!(name == family && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
                ensure!(page.kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "a family once: {line}");
                ensure!((kind == "counter") == name.ends_with("_total"), "what counts is called so: {line}");
            } else {
                page.sample(&family, line).with_context(|| line.to_owned())?;
            }
        }
        page.check_histograms()?;
        Ok(page)
    }

    fn sample(&mut self, family: &str, line: &str) -> Result<()> {
        let (series, value) = line.rsplit_once(' ').context("a series and its value")?;
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let of_family = match self.kinds.get(family).context("a family before its samples")?.as_str() {
            "histogram" => ["_bucket", "_sum", "_count"].map(|end| format!("{family}{end}")).contains(&name.to_owned()),
            _ => name == family,
        };
        ensure!(of_family && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "it belongs to {family}");
        let labels = labels.strip_suffix('}').context("the end of the labels")?;
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (key, text) = label.split_once("=\"").context("a label and its text")?;
            let text = text.strip_suffix('"').context("the end of the text")?;
            ensure!(key.bytes().all(|b| b.is_ascii_lowercase()) && !text.contains(['"', '\\']), "{label}");
        }
        ensure!(value.parse::<f64>().is_ok_and(|it| it.is_finite() && it >= 0.0), "a value");
        ensure!(self.series.insert(series.to_owned(), value.to_owned()).is_none(), "a series once");
        Ok(())
    }

    fn check_histograms(&self) -> Result<()> {
        for (family, _) in self.kinds.iter().filter(|(_, kind)| *kind == "histogram") {
            for kind in ["provision", "revoke"] {
                let mut buckets = Vec::new();
                for (series, value) in &self.series {
                    let start = format!("{family}_bucket{{kind=\"{kind}\",le=\"");
                    if let Some(le) = series.strip_prefix(&start).and_then(|rest| rest.strip_suffix("\"}")) {
                        buckets.push((le.replace("+Inf", "inf").parse::<f64>()?, value.parse::<i64>()?));
                    }
                }
                buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
                ensure!(buckets.len() > 5 && buckets.is_sorted_by(|a, b| a.1 <= b.1), "{family}: {buckets:?}");
                let (last, all) = buckets.last().context("the last bucket")?;
                let count = self.value(&format!("{family}_count{{kind=\"{kind}\"}}"))?;
                ensure!(last.is_infinite() && *all == count, "{family}: all are in the last bucket");
            }
        }
        Ok(())
    }

    /// The value of a series that has whole numbers.
    fn value(&self, series: &str) -> Result<i64> {
        let value = self.series.get(series).with_context(|| format!("{series} is not in {:?}", self.series))?;
        value.parse().with_context(|| format!("{series} is {value}"))
    }
}

/// A real server with an address for metrics.
struct Server {
    api: String,
    metrics: String,
    http: reqwest::Client,
    _running: Child,
}

impl Server {
    /// On this database, once it answers with this status.
    async fn start(test: &TestPlatform, database: &str, status: u16) -> Result<Self> {
        let (listen, metrics) = (format!("127.0.0.1:{}", lasting_port()?), format!("127.0.0.1:{}", lasting_port()?));
        let running = Command::new(programs::built("vpn-graphql")?)
            .args(["serve", "--listen", &listen])
            .env("VPN_DATABASE_URL", database)
            .env("VPN_REDIS_URL", test.sandbox.redis()?.url())
            .env("VPN_PROFILE_KEY", PROFILE_KEY)
            .env("VPN_METRICS_LISTEN", &metrics)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let (api, metrics) = (format!("http://{listen}"), format!("http://{metrics}"));
        let server = Self { api, metrics, http: reqwest::Client::new(), _running: running };
        let answers = async || Ok(server.status(&server.metrics, "/metrics").await == Some(status));
        eventually("the server answers", answers).await?;
        Ok(server)
    }

    async fn status(&self, at: &str, path: &str) -> Option<u16> {
        Some(self.http.get(format!("{at}{path}")).send().await.ok()?.status().as_u16())
    }

    async fn scrape(&self) -> Result<String> {
        let answer = self.http.get(format!("{}/metrics", self.metrics)).send().await?.error_for_status()?;
        let kind = answer.headers().get("content-type").context("a content type")?.to_str()?.to_owned();
        assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
        Ok(answer.text().await?)
    }

    /// The page, once it is like this; an answer is given again for a second.
    async fn page(&self, what: &str, is: impl Fn(&Page) -> bool) -> Result<Page> {
        eventually(what, async || Ok(is(&Page::read(&self.scrape().await?)?))).await?;
        Page::read(&self.scrape().await?)
    }
}

#[tokio::test]
async fn a_real_server_tells_what_is_in_the_database() -> Result<()> {
    let _turn = turn().await?;
    // A host of its own: each revocation by another test would make a new CRL on it.
    let host_sandbox = hosts::private().await?;
    let host = host_sandbox.host()?;
    let test = TestPlatform::with_host(Database::Postgres, host, host.port, &host.host_key).await?;
    let server = Server::start(&test, &test.db.url, 200).await?;
    let empty = Page::read(&server.scrape().await?)?;
    assert_eq!(empty.value(r#"vpn_jobs_total{kind="provision",outcome="succeeded"}"#)?, 0);
    ensure!(!empty.series.contains_key(r#"vpn_ssh_host_up{server="vpn1"}"#), "nobody has looked");

    let worker = test.worker()?;
    let client = test.active().await?;
    test.succeeded(test.revoke(test.client().await?.id).await?.job.id).await?;
    worker.drain().await?;
    let waiting = test.client().await?;
    test.provision(waiting.id).await?;
    let watching = test.watching(Duration::from_millis(200), None)?;
    let seen = test.noted(test.server.id, "the host was looked at", |it| it.sessions.is_some()).await?;
    drop(watching);

    let queued = r#"vpn_queue_depth{kind="provision"}"#;
    let up = r#"vpn_ssh_host_up{server="vpn1"}"#;
    let is_told =
        |page: &Page| [queued, up].iter().all(|series| page.series.get(*series).is_some_and(|value| value == "1"));
    let page = server.page("all is told", is_told).await?;
    assert_eq!(page.value(&format!("vpn_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")))?, 1);
    for (series, value) in [
        (r#"vpn_jobs_total{kind="provision",outcome="succeeded"}"#, 1),
        (r#"vpn_jobs_total{kind="revoke",outcome="succeeded"}"#, 1),
        (r#"vpn_jobs_total{kind="revoke",outcome="failed"}"#, 0),
        (r#"vpn_job_duration_seconds_count{kind="provision"}"#, 1),
        (r#"vpn_running_jobs{kind="provision"}"#, 0),
        (r#"vpn_connected_sessions{server="vpn1"}"#, 0),
    ] {
        assert_eq!(page.value(series)?, value, "{series}");
    }
    let took = page.series.get(r#"vpn_job_duration_seconds_sum{kind="provision"}"#).context("how long it took")?;
    ensure!(took.parse::<f64>()? > 0.0);
    ensure!(page.series.contains_key("vpn_queue_oldest_job_age_seconds"));
    let facts = seen.facts.context("facts")?;
    let told = |name: &str| page.value(&format!("{name}{{server=\"vpn1\"}}"));
    assert_eq!(told("vpn_crl_next_update_timestamp_seconds")?, facts.crl_next_update);
    let end = |whose: &str| {
        page.value(&format!("vpn_certificate_expiry_timestamp_seconds{{server=\"vpn1\",certificate=\"{whose}\"}}"))
    };
    assert_eq!(end("ca")?, facts.ca_not_after.context("the CA's end")?);
    assert_eq!(end("server")?, facts.server_not_after.context("the server's end")?);
    let certificate = client.certificate().context("a certificate")?;
    assert_eq!(end("client")?, certificate.not_after.micros() / 1_000_000);

    let guide = include_str!("../../vpn-graphql/README.md");
    let (_, table) = guide.split_once("<!-- metrics: ").context("the guide's table")?;
    let (table, _) = table.split_once("<!-- /metrics -->").context("its end")?;
    let named = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name);
    assert_eq!(named.collect::<BTreeSet<_>>(), page.kinds.keys().map(String::as_str).collect(), "the guide's table");

    // Another server, which has seen nothing of all that.
    let other = Server::start(&test, &test.db.url, 200).await?.page("the same", is_told).await?;
    let lasting = |page: &Page| {
        let mut series = page.series.clone();
        series.retain(|name, _| name != "vpn_queue_oldest_job_age_seconds");
        series
    };
    assert_eq!(lasting(&other), lasting(&page));

    assert_eq!(server.status(&server.api, "/metrics").await, Some(404), "not where the API is");
    assert_eq!(server.status(&server.metrics, "/graphql").await, Some(404), "and nothing else is there");
    Ok(())
}

#[tokio::test]
async fn while_the_database_is_away_there_are_no_metrics() -> Result<()> {
    let _turn = turn().await?;
    let test = TestPlatform::on(Database::Sqlite).await?;
    let server = Server::start(&test, "postgres://vpn@127.0.0.1:1/vpn", 503).await?;
    let answer = server.http.get(format!("{}/metrics", server.metrics)).send().await?.text().await?;
    ensure!(answer.contains("see the server's log"), "{answer}");
    Ok(())
}

on_every_database!(jobs_are_counted_by_kind_state_and_duration, revocations_that_nobody_works_on_are_counted);

async fn jobs_are_counted_by_kind_state_and_duration(world: World) -> Result<()> {
    ensure!(world.store().read().await?.job_tallies().await?.is_empty());
    world.active().await?;
    world.active().await?;
    world.revoked().await?;
    world.queued(JobKind::Provision).await?;
    let (job, fence) = world.running(JobKind::Provision).await?;
    let mut tx = world.store().begin().await?;
    tx.fail_job(&job, &vpn_tests::failure(), &fence).await?;
    tx.commit(told(), []).await?;
    let tallies = world.store().read().await?.job_tallies().await?;
    let of = |kind, state| -> Result<&JobTally> {
        let found = tallies.iter().find(|it| it.kind == kind && it.state == state);
        found.with_context(|| format!("{kind:?} {state:?} is not in {tallies:?}"))
    };
    for (kind, state, count) in [
        (JobKind::Provision, JobState::Succeeded, 2),
        (JobKind::Provision, JobState::Failed, 1),
        (JobKind::Provision, JobState::Queued, 1),
        (JobKind::Revoke, JobState::Succeeded, 1),
    ] {
        let tally = of(kind, state)?;
        assert_eq!(tally.count, count, "{kind:?} {state:?}");
        if state == JobState::Queued {
            assert_eq!((tally.took, tally.within), (Duration::ZERO, [0; JobTally::STEPS.len()]));
        } else {
            ensure!(tally.took > Duration::ZERO && tally.within.is_sorted(), "{tally:?}");
            assert_eq!(tally.within.last(), Some(&count), "half an hour is enough");
        }
    }
    ensure!(tallies.len() == 4, "nothing else is there: {tallies:?}");
    Ok(())
}

async fn revocations_that_nobody_works_on_are_counted(world: World) -> Result<()> {
    let server = world.server().await?.id;
    let counted = async || world.store().read().await?.revocations_given_up().await;
    let (first, second) = (world.client_on(server).await?.id, world.client_on(server).await?.id);
    world.active().await?;
    world.revoked().await?;
    assert_eq!(counted().await?, []);
    for client in [first, second] {
        world.request_revocation(client).await?;
        let (job, fence) = world.claim(&world.job(client, JobKind::Revoke).await?, Duration::from_secs(30)).await?;
        assert!(!counted().await?.iter().any(|(_, given_up)| given_up.count > 1), "one is worked on");
        let mut tx = world.store().begin().await?;
        tx.fail_job(&job, &vpn_tests::failure(), &fence).await?;
        tx.commit(told(), []).await?;
    }
    let since = world.reload(first).await?.revocation.context("asked for")?.at;
    assert_eq!(counted().await?, [(server, GivenUp { count: 2, since })]);
    world.job(second, JobKind::Revoke).await?;
    assert_eq!(counted().await?, [(server, GivenUp { count: 1, since })], "the other is asked for again");
    Ok(())
}
