//! What goes over the wire, to the byte: hosts are upgraded on another day than workers.

use std::sync::{Arc, Mutex};

use anyhow::{Result, ensure};
use vpn_core::{
    domain::{ProvisionInput, Server},
    host::{Boxed, HostErrorKind, Hosts, Output, Request, Transport},
};
use vpn_tests::{
    csr,
    hosts::{self, Errand},
};

/// Writes down what it is to bring, and brings nothing.
#[derive(Default)]
struct Recording(Mutex<Vec<String>>);

impl Transport for Recording {
    fn run<'a>(&'a self, _: &'a Server, request: &'a Request) -> Boxed<'a, Result<Output, HostErrorKind>> {
        let text = String::from_utf8_lossy(request.as_bytes()).into_owned();
        self.0.lock().unwrap().push(text);
        Box::pin(async { Err(HostErrorKind::Unreachable("as planned by a test".to_owned())) })
    }
}

#[tokio::test]
async fn a_request_has_these_lines_and_counts_its_bytes() -> Result<()> {
    let wire = Arc::new(Recording::default());
    let (hosts, server) = (Hosts::over(wire.clone()), hosts::server(hosts::shared().await?)?);
    let errand = Errand::new().await?;
    let csr = csr::make().await?.request;
    let signed = ProvisionInput { csr: Some(csr.replace('\n', "\r\n")), ..ProvisionInput::for_days(3650) };
    let placed = ProvisionInput {
        address: Some("10.88.0.250".parse()?),
        routes: vec!["10.20.0.0/16".parse()?, "192.0.2.0/24".parse()?],
        ..ProvisionInput::for_days(30)
    };
    ensure!(hosts.issue(errand.at(&server), &hosts::input()).await.is_err());
    ensure!(hosts.issue(errand.at(&server), &signed).await.is_err());
    ensure!(hosts.issue(errand.at(&server), &placed).await.is_err());
    ensure!(hosts.issue_again(errand.at(&server)).await.is_err());
    ensure!(hosts.acknowledge(errand.at(&server)).await.is_err());
    ensure!(hosts.revoke(errand.at(&server)).await.is_err());
    ensure!(hosts.kill(errand.at(&server)).await.is_err());

    let fenced = format!(
        "client={}\njob={}\nfence={}\nattempt={}\nname={}\nserial={}\n",
        errand.client.id,
        errand.job,
        errand.fence.token(),
        errand.fence.attempt().as_str(),
        errand.client.name,
        errand.client.serial
    );
    let body = csr.lines().filter(|line| !line.starts_with('-'));
    let csr: String = body.flat_map(|line| ["csr=", line, "\n"]).collect();
    let expected = [
        ("issue", "days=30\n".to_owned()),
        ("sign", format!("days=3650\n{csr}")),
        ("issue", "days=30\naddress=10.88.0.250\nroute=10.20.0.0/16\nroute=192.0.2.0/24\n".to_owned()),
        ("issue", String::new()),
        ("ack", String::new()),
        ("revoke", String::new()),
        ("kill", String::new()),
    ]
    .map(|(verb, rest)| {
        let text = format!("vpn-host 1\nverb={verb}\n{fenced}{rest}");
        format!("{text}end={}\n", text.len())
    });
    assert_eq!(*wire.0.lock().unwrap(), expected);
    Ok(())
}
