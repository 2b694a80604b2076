//! Places in lists and in the stream of events, as callers hold them: opaque.

use std::{fmt, str::FromStr};

use async_graphql::{Error, ID};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use vpn_core::store::PageRequest;

use crate::error;

/// How many items a list gives when neither `first` nor `last` says so.
const DEFAULT_SIZE: i32 = 20;

/// A cursor for the item with this key. The key's text form says of which list it is.
pub(super) fn encode(key: impl fmt::Display) -> String {
    URL_SAFE_NO_PAD.encode(key.to_string())
}

/// The key in a cursor.
pub(super) fn decode<K: FromStr>(argument: &str, cursor: &str) -> Result<K, Error> {
    let key = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    key.and_then(|key| key.parse().ok())
        .ok_or_else(|| error::bad_input(format!("`{argument}` is not a cursor of this list: use one that it gave")))
}

/// The part of a list that a caller asks for, in its words.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) first: Option<i32>,
    pub(super) after: Option<String>,
    pub(super) last: Option<i32>,
    pub(super) before: Option<String>,
}

impl Part {
    /// The same in the core's words.
    pub(super) fn page<K: FromStr>(&self) -> Result<PageRequest<K>, Error> {
        let mut page = match (self.first, self.last) {
            (Some(_), Some(_)) => return Err(error::bad_input("ask for `first` or `last`, not for both")),
            (None, Some(last)) => PageRequest::last(size("last", last)?),
            (first, None) => PageRequest::first(size("first", first.unwrap_or(DEFAULT_SIZE))?),
        };
        page.after = self.after.as_deref().map(|cursor| decode("after", cursor)).transpose()?;
        page.before = self.before.as_deref().map(|cursor| decode("before", cursor)).transpose()?;
        Ok(page)
    }

    /// The same for the audit log, whose keys are numbers.
    pub(super) fn audit_page(&self) -> Result<PageRequest<i64>, Error> {
        let PageRequest { size, from, after, before } = self.page::<AuditId>()?;
        Ok(PageRequest { size, from, after: after.map(|id| id.0), before: before.map(|id| id.0) })
    }
}

pub(super) fn size(argument: &str, size: i32) -> Result<u32, Error> {
    let max = PageRequest::<()>::MAX;
    let size = u32::try_from(size).unwrap_or(0);
    if (1..=max).contains(&size) {
        Ok(size)
    } else {
        Err(error::bad_input(format!("`{argument}` must be from 1 to {max}")))
    }
}

/// A number that is handed in as text, because it may outgrow `Int`.
pub(super) fn count(name: &str, text: &str) -> Result<u64, Error> {
    text.parse().map_err(|_| error::bad_input(format!("`{name}` is a number in decimal digits")))
}

/// An id in a filter.
pub(super) fn filter_id<K: FromStr>(name: &str, id: Option<&ID>) -> Result<Option<K>, Error> {
    id.map(|id| id.parse().map_err(|_| error::bad_input(format!("`{name}` is not an id of that kind")))).transpose()
}

/// What a list costs, each item of which costs `item`.
pub(super) fn cost(first: Option<i32>, last: Option<i32>, item: usize) -> usize {
    let size = usize::try_from(first.or(last).unwrap_or(DEFAULT_SIZE)).unwrap_or(0).min(100);
    item.max(1).saturating_mul(size).saturating_add(1)
}

/// The global id of an entry of the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AuditId(pub(super) i64);

impl fmt::Display for AuditId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "aud_{}", self.0)
    }
}

impl FromStr for AuditId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        number(text, "aud_").map(Self)
    }
}

/// The place of a live event, which is that of an entry in the audit log. Zero is before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EventPlace(pub(super) i64);

impl fmt::Display for EventPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evt_{}", self.0)
    }
}

impl FromStr for EventPlace {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // Whoever has listed the log can go on behind it.
        number(text, "evt_").or_else(|()| number(text, "aud_")).map(Self)
    }
}

/// Only the form that `Display` makes.
fn number(text: &str, prefix: &str) -> Result<i64, ()> {
    let number: i64 = text.strip_prefix(prefix).and_then(|digits| digits.parse().ok()).ok_or(())?;
    if number >= 0 && format!("{prefix}{number}") == text { Ok(number) } else { Err(()) }
}

#[cfg(test)]
mod tests {
    use vpn_core::{clock::Ambient, domain::ClientId};

    use super::*;

    #[test]
    fn a_cursor_is_read_back_by_its_own_list_only() {
        let id = ClientId::generate(&Ambient::system());
        assert_eq!(decode("after", &encode(id)).ok(), Some(id));
        assert!(decode::<AuditId>("after", &encode(id)).is_err());
        assert_eq!(decode("after", &encode(AuditId(7))).ok(), Some(EventPlace(7)));
        assert!(
            decode::<EventPlace>("after", &encode(id)).is_err()
                && decode::<AuditId>("after", &encode(EventPlace(7))).is_err()
        );
        assert_eq!(decode("after", &encode(AuditId(7))).ok(), Some(AuditId(7)));
        for odd in ["", "x", "%", "aud_7", &encode("aud_-7"), &encode("aud_07")] {
            assert!(decode::<AuditId>("after", odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_page_has_1_to_100_items() {
        for (first, taken) in [
            (None, Some(20)),
            (Some(1), Some(1)),
            (Some(100), Some(100)),
            (Some(0), None),
            (Some(-1), None),
            (Some(101), None),
        ] {
            let size = |part: Part| part.page::<ClientId>().ok().map(|page| page.size);
            assert_eq!(size(Part { first, ..Part::default() }), taken, "{first:?}");
            assert_eq!(size(Part { last: first, ..Part::default() }), taken, "{first:?}");
        }
        let both = Part { first: Some(1), last: Some(1), ..Part::default() };
        assert!(both.page::<ClientId>().is_err());
    }

    #[test]
    fn costs_multiply_and_saturate() {
        assert_eq!(cost(Some(10), None, 5), 51);
        assert_eq!(cost(None, None, 0), 21);
        assert_eq!(cost(None, Some(100), usize::MAX), usize::MAX);
    }
}
