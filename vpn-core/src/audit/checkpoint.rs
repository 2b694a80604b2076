//! Checkpoints, as [c2sp.org/tlog-checkpoint](https://c2sp.org/tlog-checkpoint) has them: what the log was
//! at a size, signed, to be kept where nobody who can write the log can write.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Hash,
    note::{self, NoteError, PublicKey, SigningKey},
};

/// What a log was when it had this many entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many entries it had.
    pub size: u64,
    /// The root of the Merkle tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// The note, with a signature of each key.
    #[must_use]
    pub fn signed(&self, keys: &[SigningKey]) -> String {
        note::sign(&self.text(), keys)
    }

    /// From a note that one of these keys has signed.
    pub fn open(note: &str, keys: &[PublicKey]) -> Result<Self, NoteError> {
        Self::parse(note::open(note, keys)?).ok_or(NoteError::Form("the text is no checkpoint"))
    }

    /// All that a file holds, to which one after the other was appended.
    pub fn open_all(text: &str, keys: &[PublicKey]) -> Result<Vec<Self>, NoteError> {
        note::several(text)?.into_iter().map(|note| Self::open(note, keys)).collect()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let number: u64 = size.parse().ok()?;
        let canonical = number.to_string() == size && !origin.is_empty();
        canonical.then_some(())?;
        Some(Self { origin: origin.to_owned(), size: number, root: STANDARD.decode(root).ok()?.try_into().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_read_as_it_was_written() {
        let checkpoint = Checkpoint { origin: "log.example".into(), size: 12, root: [7; 32] };
        assert_eq!(Checkpoint::parse(&checkpoint.text()), Some(checkpoint));
        for bad in ["", "log.example\n12\n", "log.example\n012\nAAAA\n", "log.example\n12\nAAAA\n", "\n12\nAAAA\n"] {
            assert_eq!(Checkpoint::parse(bad), None, "{bad}");
        }
    }
}
