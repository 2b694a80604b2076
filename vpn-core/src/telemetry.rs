//! Logs: to standard error, as text or JSON. A message reads alone; fields are dotted, with units.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::LogFormat;

/// Begins logging. A filter that cannot be read is an error; a second call is without effect.
pub fn start(filter: &str, format: LogFormat) -> Result<(), BadFilter> {
    let filter = EnvFilter::try_new(filter).map_err(|error| BadFilter(error.to_string()))?;
    let registry = tracing_subscriber::registry().with(filter);
    let begun = match format {
        LogFormat::Json => {
            registry.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).try_init()
        }
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal();
            registry.with(fmt::layer().with_ansi(colours).with_writer(std::io::stderr)).try_init()
        }
    };
    if begun.is_err() {
        tracing::debug!("logging had begun before");
    }
    Ok(())
}

/// The filter cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`log` cannot be read ({0}): write it like `info` or `vpn_core=debug,info`")]
pub struct BadFilter(String);
