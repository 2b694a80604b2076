//! What a host knows of a serial: a line of its inventory.

use std::str::FromStr;

use super::{ClientId, CommonName, FencingToken, Invalid, Serial};

/// What became of a serial on its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordState {
    /// Revoked, for good.
    Revoked,
    /// Issued; the same order still gets the whole profile.
    Live,
    /// Issued; its private key was acknowledged, and is gone from the host.
    Forgotten,
    /// Issued by the PKI that the host took over; its private key was never there.
    Adopted,
    /// The same, but no client can be it: its name does not fit, another one has it, or its file is lost. OpenVPN
    /// lets it in.
    Foreign,
    /// Bound to a name and a client by an order that did not come to its end.
    Bound,
    /// Somebody came with a fence for it, nothing more.
    Seen,
}

/// What a host knows of a serial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRecord {
    /// The serial.
    pub serial: Serial,
    /// What became of it.
    pub state: RecordState,
    /// The highest fencing token that came with it.
    pub fence: FencingToken,
    /// The name and the client that it belongs to, unless it was only seen.
    pub owner: Option<(CommonName, ClientId)>,
    /// The common name of a foreign one, as the host tells it: with `%XX` for odd bytes.
    pub foreign_name: Option<String>,
}

impl HostRecord {
    /// The client that it belongs to, if the host tells.
    #[must_use]
    pub fn client_id(&self) -> Option<ClientId> {
        self.owner.as_ref().map(|(_, id)| *id)
    }
}

impl FromStr for HostRecord {
    type Err = Invalid;

    /// `STATE SERIAL FENCE NAME CLIENT`.
    fn from_str(line: &str) -> Result<Self, Invalid> {
        let words: Vec<&str> = line.split(' ').collect();
        let &[state, serial, fence, name, client] = words.as_slice() else {
            return Err(Invalid::new("a line of the inventory does not have five words"));
        };
        let state = match state {
            "revoked" => RecordState::Revoked,
            "live" => RecordState::Live,
            "forgotten" => RecordState::Forgotten,
            "adopted" => RecordState::Adopted,
            "foreign" => RecordState::Foreign,
            "bound" => RecordState::Bound,
            "seen" => RecordState::Seen,
            _ => return Err(Invalid::new("a line of the inventory has an unknown state")),
        };
        let fence = fence.parse().ok().filter(|fence| (0..=FencingToken::MAX.get()).contains(fence));
        let fence = fence.ok_or_else(|| Invalid::new("a line of the inventory has a fence that is none"))?;
        let foreign_name = (state == RecordState::Foreign && name != "-").then(|| name.to_owned());
        let owner = match (name, client) {
            (_, "-") if state == RecordState::Foreign => None,
            ("-", "-") => None,
            (name, client) => Some((name.parse()?, client.parse()?)),
        };
        Ok(Self { serial: serial.parse()?, state, fence: FencingToken::new(fence), owner, foreign_name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIAL: &str = "41234567890ABCDEF01234567890ABCD";

    #[test]
    fn a_line_gives_its_record() {
        let line = format!("forgotten {SERIAL} 12 alice cli_0123456789abcdef0123456789abcdef");
        let record: HostRecord = line.parse().expect("a record");
        assert_eq!((record.state, record.fence.get()), (RecordState::Forgotten, 12));
        assert_eq!(record.owner.expect("an owner").0.as_str(), "alice");
        let seen: HostRecord = format!("seen {SERIAL} 0 - -").parse().expect("a record");
        assert_eq!(seen.owner, None);
        let foreign: HostRecord = format!("foreign {SERIAL} 0 john.doe%20jr -").parse().expect("a record");
        assert_eq!((foreign.owner, foreign.foreign_name.as_deref()), (None, Some("john.doe%20jr")));
    }

    #[test]
    fn a_line_that_is_not_whole_gives_none() {
        for bad in ["", "live", "live x 1 alice cli_1", "gone 41234567890ABCDEF01234567890ABCD 1 - -"] {
            assert!(bad.parse::<HostRecord>().is_err(), "{bad}");
        }
        for bad in ["-1", "900000000000000", "x"] {
            assert!(format!("seen {SERIAL} {bad} - -").parse::<HostRecord>().is_err(), "{bad}");
        }
        assert!(format!("seen {SERIAL} 899999999999999 - -").parse::<HostRecord>().is_ok());
    }
}
