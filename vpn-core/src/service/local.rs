//! The person at this machine.

use crate::{
    clock::Ambient,
    domain::{Caller, Invalid, Principal, RequestId, Role},
};

/// Whoever runs a command on this machine, under the name they are logged in with: `local.NAME`. They
/// can read the configuration, and with it do everything; so they may.
pub fn local_caller(ambient: &Ambient) -> Result<Caller, Invalid> {
    let name = ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok());
    let principal: Principal = match name {
        Some(name) => format!("local.{name}").parse()?,
        None => "local".parse()?,
    };
    Ok(Caller::embedded(principal, Role::Admin, RequestId::generate(ambient)))
}
