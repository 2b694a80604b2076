//! On which terms a client is let in, and how far the policy allows them.

use std::{collections::HashSet, net::Ipv4Addr};

use super::{Platform, ProvisionClient};
use crate::{
    audit::Entry,
    domain::{Job, JobInput, ProvisionInput, Route},
    error::Error,
    host::check_csr,
};

/// What whoever runs the platform has decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The longest validity that a certificate may be asked for, in days, up to [`Policy::DAYS`].
    pub max_validity_days: u16,
    /// Where people reach the platform, `https://vpn.example.org`; links to profiles begin with it.
    pub public_url: Option<String>,
}

impl Policy {
    /// The longest validity that a VPN host takes, in days: ten years.
    pub const DAYS: u16 = 3650;
}

impl Default for Policy {
    fn default() -> Self {
        Self { max_validity_days: Self::DAYS, public_url: None }
    }
}

impl Platform {
    pub(super) fn provision_input(&self, input: &ProvisionClient) -> Result<ProvisionInput, Error> {
        let days = u16::try_from(input.validity_days).ok().filter(|days| self.allows(*days));
        let validity_days = days.ok_or_else(|| Error::invalid("validityDays", self.validity_rule()))?;
        let csr = input.csr.as_deref().map(check_csr).transpose().map_err(|fault| Error::bad_csr(&fault))?;
        let address = input.address.as_deref().map(address).transpose()?;
        Ok(ProvisionInput { validity_days, csr, address, routes: routes(&input.routes)? })
    }

    /// A job that is asked for again: the policy may have changed since.
    pub(super) fn check_terms(&self, job: &Job) -> Result<(), Error> {
        match &job.input {
            JobInput::Provision(input) if !self.allows(input.validity_days) => Err(Error::wrong_state(format!(
                "the job was for {} days, and {}: provision the client anew",
                input.validity_days,
                self.validity_rule()
            ))),
            _ => Ok(()),
        }
    }

    fn allows(&self, days: u16) -> bool {
        (1..=self.policy.max_validity_days.min(Policy::DAYS)).contains(&days)
    }

    fn validity_rule(&self) -> String {
        let most = self.policy.max_validity_days.min(Policy::DAYS);
        let more = if most < Policy::DAYS { " (`max_validity_days` in the server's configuration)" } else { "" };
        format!("a certificate is valid for 1 to {most} days here{more}")
    }
}

/// Which of them the VPN host has to give, only it knows.
fn address(text: &str) -> Result<Ipv4Addr, Error> {
    text.parse().map_err(|_| Error::invalid("address", "an address in the VPN is an IPv4 address such as 10.88.0.250"))
}

fn routes(texts: &[String]) -> Result<Vec<Route>, Error> {
    if texts.len() > Route::MAX {
        return Err(Error::invalid("routes", format!("a client has at most {} routes", Route::MAX)));
    }
    let parsed: Result<Vec<Route>, _> = texts.iter().map(|text| text.parse()).collect();
    let routes = parsed.map_err(|bad| Error::invalid("routes", format!("{bad}")))?;
    if routes.iter().collect::<HashSet<_>>().len() < routes.len() {
        return Err(Error::invalid("routes", "a route is there twice"));
    }
    Ok(routes)
}

/// The entry of a provision tells its terms.
pub(super) fn terms_of(entry: Entry, input: &ProvisionInput) -> Entry {
    let mut entry = entry.with("validityDays", input.validity_days).with("csr", input.csr.is_some());
    if let Some(address) = input.address {
        entry = entry.with("address", address.to_string());
    }
    if !input.routes.is_empty() {
        entry = entry.with("routes", input.routes.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
    entry
}
