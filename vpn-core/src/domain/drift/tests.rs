use std::collections::HashMap;

use super::*;
use crate::{
    clock::Ambient,
    domain::{
        Certificate, Client, ClientState, ClientStatus, Elsewhere, FencingToken, Holder, OpenVpnState, RecordState,
        RevocationRequest, ServerId, Session,
    },
};

const BEGUN: i64 = 1000;
const RIGHT: &str = "aa";

fn client(name: &str, status: ClientStatus) -> Client {
    let ambient = Ambient::system();
    let (before, certificate) = (
        Timestamp::from_seconds(BEGUN - 1),
        Certificate {
            sha256_fingerprint: "ab".repeat(32),
            not_before: Timestamp::from_seconds(0),
            not_after: Timestamp::from_seconds(9000),
        },
    );
    let state = match status {
        ClientStatus::Pending => ClientState::Pending,
        ClientStatus::Active => ClientState::Active { since: before, certificate },
        ClientStatus::Revoked => ClientState::Revoked { at: before, activated_at: None, certificate: None },
    };
    Client {
        id: ClientId::generate(&ambient),
        server_id: ServerId::generate(&ambient),
        name: name.parse().expect("a name"),
        serial: Serial::generate(&ambient),
        state,
        revocation: None,
        fence: FencingToken::new(5),
        created_by: "ada".to_owned(),
        created_at: Timestamp::from_seconds(0),
    }
}

fn record(client: &Client, state: RecordState) -> HostRecord {
    let owner = Some((client.name.clone(), client.id));
    HostRecord { serial: client.serial.clone(), state, fence: FencingToken::new(5), owner, foreign_name: None }
}

fn view(records: Vec<HostRecord>, published: &[&Client], connected: &[&str]) -> HostView {
    let session = |name: &&str| Session {
        name: (*name).to_owned(),
        address: "198.51.100.7:1".to_owned(),
        since: 1,
        bytes_in: 0,
        bytes_out: 0,
    };
    HostView {
        configuration: RIGHT.to_owned(),
        records,
        published: published.iter().map(|client| (client.serial.clone(), 1)).collect::<HashMap<_, _>>(),
        sessions: Sessions { server: OpenVpnState::Running, list: connected.iter().map(session).collect() },
    }
}

/// What differs, by kind and subject. The clients are idle.
fn differences(view: HostView, clients: &[&Client]) -> Vec<(DriftKind, String)> {
    let mut comparison = Comparison::of(view, Timestamp::from_seconds(BEGUN));
    for client in clients {
        comparison.client(client, false);
    }
    let report = comparison.end(Some(RIGHT));
    report.differences.iter().map(|it| (it.kind(), it.subject())).collect()
}

fn about(client: &Client) -> String {
    format!("{} ({})", client.name, client.serial)
}

#[test]
fn what_agrees_is_no_difference() {
    let [active, forgotten] = ["ann", "ben"].map(|name| client(name, ClientStatus::Active));
    let (pending, revoked) = (client("cleo", ClientStatus::Pending), client("dora", ClientStatus::Revoked));
    let records = vec![
        record(&active, RecordState::Live),
        record(&forgotten, RecordState::Forgotten),
        record(&revoked, RecordState::Revoked),
    ];
    let view = view(records, &[&revoked], &["ann", "ben"]);
    assert_eq!(differences(view, &[&active, &forgotten, &pending, &revoked]), []);
}

#[test]
fn a_certificate_that_nobody_knows_is_named() {
    let stranger = client("mallory", ClientStatus::Active);
    for state in [RecordState::Live, RecordState::Forgotten, RecordState::Bound] {
        let found = differences(view(vec![record(&stranger, state)], &[], &[]), &[]);
        assert_eq!(found, [(DriftKind::UnknownCertificate, about(&stranger))]);
    }
    // Nothing that lets anybody in.
    for state in [RecordState::Seen, RecordState::Revoked] {
        assert_eq!(differences(view(vec![record(&stranger, state)], &[&stranger], &[]), &[]), []);
    }
    let lost = differences(view(vec![record(&stranger, RecordState::Revoked)], &[], &[]), &[]);
    assert_eq!(lost, [(DriftKind::NotInCrl, about(&stranger))]);
}

#[test]
fn a_certificate_that_was_taken_over_is_a_client_or_is_named() {
    let active = client("ann", ClientStatus::Active);
    assert_eq!(differences(view(vec![record(&active, RecordState::Adopted)], &[], &["ann"]), &[&active]), []);
    let found = differences(view(vec![record(&active, RecordState::Adopted)], &[], &[]), &[]);
    assert_eq!(found, [(DriftKind::UnknownCertificate, about(&active))]);
    let foreign = || HostRecord {
        owner: None,
        foreign_name: Some("john.doe".to_owned()),
        ..record(&active, RecordState::Foreign)
    };
    let found = differences(view(vec![foreign()], &[], &["john.doe"]), &[]);
    assert_eq!(found, [(DriftKind::ForeignCertificate, format!("john.doe ({})", active.serial))]);
    assert_eq!(differences(view(vec![foreign()], &[&active], &[]), &[]), []);
}

/// What differs when these clients are those of another server.
fn beside(view: HostView, others: &[&Client]) -> Vec<(DriftKind, String)> {
    let mut comparison = Comparison::of(view, Timestamp::from_seconds(BEGUN));
    let name: ServerName = "vpn2".parse().expect("a name");
    let holder = |client: &&Client| Holder { client: (*client).clone(), server: name.clone(), ca_sha256: None };
    let holders = others.iter().map(holder).collect();
    comparison.elsewhere(&Elsewhere::than(ServerId::generate(&Ambient::system()), None, holders));
    let report = comparison.end(Some(RIGHT));
    report.differences.iter().map(|it| (it.kind(), it.subject())).collect()
}

#[test]
fn clients_of_another_server_are_no_strangers() {
    let [ann, ben] = ["ann", "ben"].map(|name| client(name, ClientStatus::Active));
    let shared = || [(DriftKind::SharedHost, "vpn2".to_owned())];
    let both = || vec![record(&ann, RecordState::Forgotten), record(&ben, RecordState::Bound)];
    assert_eq!(beside(view(both(), &[], &["ann"]), &[&ann, &ben]), shared(), "and nor are their sessions");
    // Who has only her id, or only her serial, is somebody else.
    let other = client("x", ClientStatus::Active);
    for stranger in [Client { serial: other.serial, ..ann.clone() }, Client { id: other.id, ..ann.clone() }] {
        let found = beside(view(vec![record(&stranger, RecordState::Live)], &[], &[]), &[&ann]);
        assert_eq!(found, [(DriftKind::UnknownCertificate, about(&stranger))]);
    }
    // What lets nobody in is no matter.
    for state in [RecordState::Revoked, RecordState::Seen, RecordState::Live] {
        assert_eq!(beside(view(vec![record(&ann, state)], &[&ann], &[]), &[&ann]), []);
    }
    let stranger = client("mallory", ClientStatus::Active);
    let found = beside(view(vec![record(&stranger, RecordState::Live)], &[], &[]), &[&ann]);
    assert_eq!(found, [(DriftKind::UnknownCertificate, about(&stranger))]);
}

/// Another CA means another certificate, whatever it says of itself.
#[test]
fn a_certificate_by_another_ca_is_nobodys_elsewhere() {
    let ann = client("ann", ClientStatus::Active);
    let here = ServerId::generate(&Ambient::system());
    for (there, is_hers) in [(None, true), (Some("aa"), true), (Some("bb"), false)] {
        let holder = Holder {
            client: ann.clone(),
            server: "vpn2".parse().expect("a name"),
            ca_sha256: there.map(str::to_owned),
        };
        let elsewhere = Elsewhere::than(here, Some("aa"), vec![holder]);
        assert_eq!(elsewhere.find(&ann.serial, ann.id).is_some(), is_hers, "{there:?}");
        assert_eq!(elsewhere.kinship(&record(&ann, RecordState::Live)).is_some(), is_hers, "{there:?}");
    }
}

#[test]
fn whom_another_server_has_revoked_has_to_be_revoked_here() {
    let dora = client("dora", ClientStatus::Revoked);
    let live = || vec![record(&dora, RecordState::Live)];
    assert_eq!(beside(view(live(), &[], &[]), &[&dora]), [(DriftKind::NotInCrl, about(&dora))]);
    let found = beside(view(live(), &[&dora], &["dora"]), &[&dora]);
    assert_eq!(found, [(DriftKind::RevokedSession, about(&dora)), (DriftKind::NotRevokedOnHost, about(&dora))]);
    assert_eq!(beside(view(vec![record(&dora, RecordState::Revoked)], &[&dora], &[]), &[&dora]), []);
}

#[test]
fn an_active_client_without_a_certificate_is_named() {
    let active = client("ann", ClientStatus::Active);
    for records in [vec![], vec![record(&active, RecordState::Bound)], vec![record(&active, RecordState::Seen)]] {
        let found = differences(view(records, &[], &[]), &[&active]);
        assert_eq!(found, [(DriftKind::CertificateMissing, about(&active))]);
    }
    let mut later = active;
    if let ClientState::Active { since, .. } = &mut later.state {
        *since = Timestamp::from_seconds(BEGUN + 1);
    }
    assert_eq!(differences(view(vec![], &[], &[]), &[&later]), [], "it became active after the host was asked");
}

#[test]
fn a_revoked_client_has_to_be_in_the_crl_and_in_the_records() {
    let revoked = client("dora", ClientStatus::Revoked);
    let buried = || vec![record(&revoked, RecordState::Revoked)];
    let not_in_crl = [(DriftKind::NotInCrl, about(&revoked))];
    assert_eq!(differences(view(buried(), &[], &[]), &[&revoked]), not_in_crl);
    assert_eq!(differences(view(vec![], &[], &[]), &[&revoked]), not_in_crl);
    let lost = differences(view(vec![record(&revoked, RecordState::Live)], &[&revoked], &[]), &[&revoked]);
    assert_eq!(lost, [(DriftKind::NotRevokedOnHost, about(&revoked))]);
    let mut later = revoked.clone();
    later.state = ClientState::Revoked { at: Timestamp::from_seconds(BEGUN), activated_at: None, certificate: None };
    assert_eq!(differences(view(vec![], &[], &[]), &[&later]), [], "it was revoked after the host was asked");
}

#[test]
fn the_session_of_a_revoked_client_is_named_unless_another_has_its_name_now() {
    let revoked = client("dora", ClientStatus::Revoked);
    let records = || vec![record(&revoked, RecordState::Revoked)];
    let found = differences(view(records(), &[&revoked], &["dora"]), &[&revoked]);
    assert_eq!(found, [(DriftKind::RevokedSession, about(&revoked))]);
    let heir = client("dora", ClientStatus::Active);
    let both = [records(), vec![record(&heir, RecordState::Live)]].concat();
    for order in [[&heir, &revoked], [&revoked, &heir]] {
        assert_eq!(differences(view(both.clone(), &[&revoked], &["dora"]), &order), []);
    }
    let waiting = client("dora", ClientStatus::Pending);
    let found = differences(view(records(), &[&revoked], &["dora"]), &[&waiting, &revoked]);
    assert_eq!(found, [(DriftKind::RevokedSession, about(&revoked))], "who is pending is not connected");
    let found = differences(view(vec![], &[], &["no.client's:name"]), &[&waiting]);
    assert_eq!(found, [(DriftKind::UnknownSession, "no.client's:name".to_owned())]);
}

#[test]
fn what_the_host_alone_has_revoked_is_named_unless_a_job_is_at_it() {
    let mut active = client("ann", ClientStatus::Active);
    active.revocation = Some(RevocationRequest { at: Timestamp::from_seconds(1), reason: "lost".to_owned() });
    let view = || view(vec![record(&active, RecordState::Revoked)], &[&active], &[]);
    assert_eq!(differences(view(), &[&active]), [(DriftKind::RevokedOnHost, about(&active))]);
    let mut comparison = Comparison::of(view(), Timestamp::from_seconds(BEGUN));
    comparison.client(&active, true);
    assert_eq!(comparison.end(None).total, 0);
}

#[test]
fn a_certificate_of_a_pending_client_is_named_unless_a_job_is_at_it() {
    let pending = client("cleo", ClientStatus::Pending);
    let view = || view(vec![record(&pending, RecordState::Live)], &[], &[]);
    assert_eq!(differences(view(), &[&pending]), [(DriftKind::NotActivated, about(&pending))]);
    let mut comparison = Comparison::of(view(), Timestamp::from_seconds(BEGUN));
    comparison.client(&pending, true);
    assert_eq!(comparison.end(None).total, 0);
}

#[test]
fn a_host_that_is_ahead_is_named() {
    let active = client("ann", ClientStatus::Active);
    let ahead = HostRecord { fence: FencingToken::new(6), ..record(&active, RecordState::Live) };
    assert_eq!(differences(view(vec![ahead], &[], &[]), &[&active]), [(DriftKind::HostAhead, about(&active))]);
}

#[test]
fn silence_is_not_taken_for_no_sessions() {
    let mut view = view(vec![], &[], &[]);
    view.sessions.server = OpenVpnState::Unreachable;
    assert_eq!(differences(view, &[]), [(DriftKind::SessionsUnknown, "OpenVPN".to_owned())]);
}

#[test]
fn another_configuration_than_the_confirmed_one_is_named() {
    let end = |confirmed| Comparison::of(view(vec![], &[], &[]), Timestamp::from_seconds(BEGUN)).end(confirmed);
    assert_eq!((end(None).total, end(Some(RIGHT)).total), (0, 0));
    let report = end(Some("bb"));
    assert_eq!(report.differences.first().map(Difference::kind), Some(DriftKind::ConfigurationChanged));
    assert_eq!(report.configuration, RIGHT);
}

#[test]
fn the_worst_comes_first_and_a_report_has_an_end() {
    let clients: Vec<Client> = (0..DriftReport::KEPT).map(|_| client("ann", ClientStatus::Active)).collect();
    let revoked = client("dora", ClientStatus::Revoked);
    let mut comparison = Comparison::of(view(vec![], &[&revoked], &["dora"]), Timestamp::from_seconds(BEGUN));
    for client in clients.iter().chain([&revoked]) {
        comparison.client(client, false);
    }
    let report = comparison.end(None);
    assert_eq!((report.total, report.differences.len()), (DriftReport::KEPT + 2, DriftReport::KEPT));
    assert_eq!(report.differences.first().map(Difference::kind), Some(DriftKind::RevokedSession));
}

#[test]
fn a_report_survives_its_text_form_and_each_difference_has_a_message_and_a_cure() {
    let of = Subject { serial: client("ann", ClientStatus::Active).serial, name: None, client_id: None };
    let named =
        Subject { name: "ann".parse().ok(), client_id: Some(ClientId::generate(&Ambient::system())), ..of.clone() };
    let address = "198.51.100.7:1".to_owned();
    let all = vec![
        Difference::RevokedSession { of: named.clone(), address: address.clone() },
        Difference::NotInCrl { of: of.clone(), buried: true },
        Difference::NotInCrl { of: named.clone(), buried: false },
        Difference::NotRevokedOnHost { of: named.clone() },
        Difference::UnknownSession { name: "x y".to_owned(), address },
        Difference::UnknownCertificate { of: of.clone(), adopted: false },
        Difference::UnknownCertificate { of, adopted: true },
        Difference::ForeignCertificate { of: named.clone(), common_name: Some("john.doe".to_owned()) },
        Difference::SharedHost { server: "vpn2".parse().expect("a name"), certificates: 2 },
        Difference::RevokedOnHost { of: named.clone(), asked: true },
        Difference::RevokedOnHost { of: named.clone(), asked: false },
        Difference::CertificateMissing { of: named.clone() },
        Difference::NotActivated { of: named.clone(), adopted: false },
        Difference::NotActivated { of: named.clone(), adopted: true },
        Difference::HostAhead { of: named },
        Difference::SessionsUnknown,
        Difference::ConfigurationChanged { confirmed: Some("aa".to_owned()), found: "missing".to_owned() },
    ];
    let report = DriftReport::of(RIGHT.to_owned(), all);
    for one in &report.differences {
        assert_eq!(serde_json::to_value(one).expect("JSON")["kind"], one.kind().as_str());
    }
    let text = serde_json::to_string(&report).expect("text");
    assert_eq!(serde_json::from_str::<DriftReport>(&text).expect("a report"), report);
    let server = "vpn1".parse().expect("a name");
    for one in &report.differences {
        assert!(!one.message().is_empty() && !one.cure(&server).is_empty() && !one.subject().is_empty(), "{one:?}");
    }
}
