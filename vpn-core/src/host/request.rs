//! Requests of the protocol `vpn-host 1`: lines of `key=value`, closed by a line that counts the
//! bytes before it, so that a request that was cut on its way is never run.

use std::fmt::Write as _;

use super::Order;
use crate::domain::ProvisionInput;

/// One request. Holds nothing secret: a CSR is public.
#[derive(Clone, Debug)]
pub struct Request {
    verb: &'static str,
    /// For whom, in words.
    about: Option<String>,
    text: String,
}

impl Request {
    /// What the forced command on the host wants to see as the command, exactly.
    pub const COMMAND: &'static str = "vpn-host-v1";

    pub(super) fn issue(order: Order<'_>, input: &ProvisionInput) -> Self {
        let verb = if input.csr.is_some() { "sign" } else { "issue" };
        let mut request = Self::fenced(verb, order);
        request.line("days", &input.validity_days.to_string());
        if let Some(address) = input.address {
            request.line("address", &address.to_string());
        }
        for route in &input.routes {
            request.line("route", &route.to_string());
        }
        for line in input.csr.iter().flat_map(|pem| base64_lines(pem)) {
            request.line("csr", line);
        }
        request
    }

    /// For what was issued, on whatever terms.
    pub(super) fn issue_again(order: Order<'_>) -> Self {
        Self::fenced("issue", order)
    }

    pub(super) fn acknowledge(order: Order<'_>) -> Self {
        Self::fenced("ack", order)
    }

    pub(super) fn revoke(order: Order<'_>) -> Self {
        Self::fenced("revoke", order)
    }

    pub(super) fn kill(order: Order<'_>) -> Self {
        Self::fenced("kill", order)
    }

    /// A page of what the host knows, from this serial on.
    pub(super) fn inventory(from: &str) -> Self {
        let mut request = Self::new("inventory");
        request.line("serial", from);
        request
    }

    pub(super) fn crl() -> Self {
        Self::new("crl")
    }

    pub(super) fn hello() -> Self {
        Self::new("hello")
    }

    pub(super) fn sessions() -> Self {
        Self::new("sessions")
    }

    fn new(verb: &'static str) -> Self {
        let mut request = Self { verb, about: None, text: "vpn-host 1\n".to_owned() };
        request.line("verb", verb);
        request
    }

    fn fenced(verb: &'static str, order: Order<'_>) -> Self {
        let mut request = Self::new(verb);
        request.about = Some(format!("the client {} ({})", order.client.name, order.client.id));
        request.line("client", &order.client.id.to_string());
        request.line("job", &order.job.to_string());
        request.line("fence", &order.fence.token().to_string());
        request.line("attempt", order.fence.attempt().as_str());
        request.line("name", order.client.name.as_str());
        request.line("serial", order.client.serial.as_str());
        request
    }

    fn line(&mut self, key: &str, value: &str) {
        let _infallible = writeln!(self.text, "{key}={value}");
    }

    /// Says which platform asks; only what changes something is asked in its name.
    pub(super) fn owned_by(mut self, owner: Option<&str>) -> Self {
        if let Some(owner) = owner.filter(|_| self.about.is_some()) {
            self.line("owner", owner);
        }
        self
    }

    pub(super) fn close(mut self) -> Self {
        let counted = self.text.len();
        self.line("end", &counted.to_string());
        self
    }

    /// What is asked.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        self.verb
    }

    /// For whom, in words; `None` for what is about the host itself.
    pub(super) fn about(&self) -> Option<&str> {
        self.about.as_deref()
    }

    /// The bytes for the host's standard input.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// The body of a PEM block, without its frame.
fn base64_lines(pem: &str) -> impl Iterator<Item = &str> {
    pem.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("-----"))
}
