//! When tokens were last used is noted once a minute. Many requests may come in the same instant, and one
//! of them is enough to note it: the others do not wait for a write.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::domain::TokenId;

/// Tokens that are remembered. Beyond it, those of which the note is old are forgotten.
const REMEMBERED: usize = 1024;

/// Which tokens this process has just noted the use of.
#[derive(Debug, Default)]
pub(super) struct Uses(Mutex<HashMap<TokenId, Instant>>);

impl Uses {
    /// Whether the use of this token is to be noted now, by whoever asks.
    pub(super) fn is_due(&self, id: TokenId, now: Instant, every: Duration) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |at: &Instant| now.saturating_duration_since(*at) < every;
        if noted.get(&id).is_some_and(fresh) {
            return false;
        }
        if noted.len() >= REMEMBERED {
            noted.retain(|_, at| fresh(at));
        }
        // Where there is no room, the database decides: it notes nothing that it has noted.
        if noted.len() < REMEMBERED {
            noted.insert(id, now);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Ambient;

    #[test]
    fn one_of_many_notes_it_and_memory_is_bounded() {
        let (uses, ambient, every) = (Uses::default(), Ambient::system(), Duration::from_mins(1));
        let (id, now) = (TokenId::generate(&ambient), Instant::now());
        assert_eq!((0..50).filter(|_| uses.is_due(id, now, every)).count(), 1);
        assert!(!uses.is_due(id, now + Duration::from_secs(59), every));
        assert!(uses.is_due(id, now + every, every));
        for _ in 0..3 * REMEMBERED {
            assert!(uses.is_due(TokenId::generate(&ambient), now + every, every));
        }
        assert_eq!(uses.0.lock().expect("no panic").len(), REMEMBERED);
    }
}
