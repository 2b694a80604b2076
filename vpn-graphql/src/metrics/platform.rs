//! The platform's metrics. Labels are names of servers and words of closed sets.

use std::time::Duration;

use vpn_core::{
    clock::Timestamp,
    domain::{Contact, HostFacts, JobKind, JobState, Perishable},
    service::{KnownHost, Tallies},
    store::JobTally,
};

use super::page::Page;

const DURATION: &str = "vpn_job_duration_seconds";
const OLDEST: &str = "vpn_queue_oldest_job_age_seconds";
const NEXT: &str = "vpn_crl_next_update_timestamp_seconds";
const EXPIRY: &str = "vpn_certificate_expiry_timestamp_seconds";
const SOON: &str = "vpn_client_certificates_ending_soon";
const GIVEN_UP: &str = "vpn_revocations_given_up";

/// All metrics, as Prometheus reads them.
pub(super) fn page(tallies: &Tallies) -> String {
    let mut page = Page::default();
    page.family("vpn_build_info", "gauge", "Always 1; the label is the version of this server.");
    page.sample("vpn_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    jobs(&mut page, &tallies.jobs);
    durations(&mut page, &tallies.jobs);
    queue(&mut page, tallies);
    contacts(&mut page, &tallies.hosts);
    ends(&mut page, &tallies.hosts);
    hosts(&mut page, &tallies.hosts, GIVEN_UP, "Clients whose revocation was asked for and given up.", |host| {
        Some(host.given_up.map_or(0, |given_up| given_up.count.into()))
    });
    page.text()
}

/// The tallies of a kind that are in one of these states.
fn of<'a>(jobs: &'a [JobTally], kind: JobKind, states: &'a [JobState]) -> impl Iterator<Item = &'a JobTally> {
    jobs.iter().filter(move |it| it.kind == kind && states.contains(&it.state))
}

fn count(jobs: &[JobTally], kind: JobKind, state: JobState) -> u64 {
    of(jobs, kind, &[state]).map(|it| it.count).sum()
}

fn jobs(page: &mut Page, jobs: &[JobTally]) {
    page.family("vpn_jobs_total", "counter", "Jobs that have ended, by how they ended.");
    for kind in JobKind::ALL {
        for outcome in [JobState::Succeeded, JobState::Failed, JobState::Canceled] {
            let labels = [("kind", kind.as_str()), ("outcome", outcome.as_str())];
            page.sample("vpn_jobs_total", &labels, count(jobs, kind, outcome));
        }
    }
}

fn durations(page: &mut Page, jobs: &[JobTally]) {
    page.family(
        DURATION,
        "histogram",
        "From the request to the end of jobs that succeeded or failed, all attempts included.",
    );
    for kind in JobKind::ALL {
        let ended: Vec<&JobTally> = of(jobs, kind, &[JobState::Succeeded, JobState::Failed]).collect();
        let kind = kind.as_str();
        let all: u64 = ended.iter().map(|it| it.count).sum();
        for (at, step) in JobTally::STEPS.iter().enumerate() {
            let within: u64 = ended.iter().filter_map(|it| it.within.get(at)).sum();
            let le = step.as_secs_f64().to_string();
            page.sample("vpn_job_duration_seconds_bucket", &[("kind", kind), ("le", &le)], within);
        }
        page.sample("vpn_job_duration_seconds_bucket", &[("kind", kind), ("le", "+Inf")], all);
        let took: Duration = ended.iter().map(|it| it.took).sum();
        page.sample("vpn_job_duration_seconds_sum", &[("kind", kind)], took.as_secs_f64());
        page.sample("vpn_job_duration_seconds_count", &[("kind", kind)], all);
    }
}

fn queue(page: &mut Page, tallies: &Tallies) {
    page.family("vpn_queue_depth", "gauge", "Jobs that wait for a worker, or for their next attempt.");
    for kind in JobKind::ALL {
        page.sample("vpn_queue_depth", &[("kind", kind.as_str())], count(&tallies.jobs, kind, JobState::Queued));
    }
    page.family("vpn_running_jobs", "gauge", "Jobs that a worker is at.");
    for kind in JobKind::ALL {
        page.sample("vpn_running_jobs", &[("kind", kind.as_str())], count(&tallies.jobs, kind, JobState::Running));
    }
    page.family(OLDEST, "gauge", "How long the job that is due and has waited longest has waited; 0 when none is due.");
    page.sample(OLDEST, &[], tallies.oldest_due.as_secs_f64());
}

/// A family with at most one value for each host.
fn hosts(page: &mut Page, hosts: &[KnownHost], name: &str, help: &str, value: impl Fn(&KnownHost) -> Option<i64>) {
    page.family(name, "gauge", help);
    for host in hosts {
        if let Some(value) = value(host) {
            page.sample(name, &[("server", host.server.name.as_str())], value);
        }
    }
}

const fn seconds(at: Timestamp) -> i64 {
    at.micros().div_euclid(1_000_000)
}

fn contacts(page: &mut Page, all: &[KnownHost]) {
    let contact = |host: &KnownHost, value: fn(&Contact) -> Option<i64>| host.contact.as_ref().and_then(value);
    hosts(page, all, "vpn_ssh_host_up", "Whether the host answered, and well, when a worker last looked.", |host| {
        contact(host, |it| Some(i64::from(it.failure.is_none())))
    });
    hosts(page, all, "vpn_ssh_host_last_look_timestamp_seconds", "When a worker last looked at the host.", |host| {
        contact(host, |it| Some(seconds(it.looked_at)))
    });
    hosts(page, all, "vpn_ssh_host_last_answer_timestamp_seconds", "When the host last answered.", |host| {
        contact(host, |it| it.answered_at.map(seconds))
    });
    // While the host is away, or its OpenVPN does not answer, nobody knows.
    hosts(page, all, "vpn_connected_sessions", "Clients connected when a worker last looked at the host.", |host| {
        contact(host, |it| {
            let sessions = it.sessions.as_ref().filter(|sessions| it.failure.is_none() && sessions.are_known())?;
            Some(i64::try_from(sessions.list.len()).unwrap_or(i64::MAX))
        })
    });
}

fn ends(page: &mut Page, all: &[KnownHost]) {
    let crl = |host: &KnownHost| Some(host.contact.as_ref()?.facts.as_ref()?.crl());
    hosts(page, all, "vpn_crl_made_timestamp_seconds", "When the CRL in force was made.", |host| {
        crl(host)?.made_at.map(seconds)
    });
    hosts(page, all, NEXT, "When the CRL in force ends; OpenVPN refuses everybody from then on.", |host| {
        Some(seconds(crl(host)?.ends_at))
    });
    page.family(
        EXPIRY,
        "gauge",
        "When the certificate ends: the CA's, the OpenVPN server's, the first of its active clients'.",
    );
    for host in all {
        let facts = host.contact.as_ref().and_then(|contact| contact.facts.as_ref());
        let told = facts.into_iter().flat_map(HostFacts::expiries).filter_map(|it| match it.of {
            Perishable::Ca => Some(("ca", it.ends_at)),
            Perishable::ServerCertificate => Some(("server", it.ends_at)),
            Perishable::Crl | Perishable::ClientCertificate => None,
        });
        for (certificate, at) in told.chain(host.clients.map(|clients| ("client", clients.first))) {
            let labels = [("server", host.server.name.as_str()), ("certificate", certificate)];
            page.sample(EXPIRY, &labels, seconds(at));
        }
    }
    hosts(
        page,
        all,
        SOON,
        "Certificates of active clients that end within 14 days, or within the last third of their life where that is shorter.",
        |host| Some(host.clients.and_then(|clients| clients.soon).map_or(0, |soon| soon.count.into())),
    );
}
