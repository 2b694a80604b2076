//! Server-Sent Events, distinct connections mode: what arrives in pieces becomes events.

/// One event of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// An answer, in JSON.
    Next(Vec<u8>),
    /// The operation is over; nothing will follow.
    Complete,
}

/// An event is larger than this only by a fault.
const LONGEST: usize = 4 << 20;

/// Collects pieces.
#[derive(Debug, Default)]
pub(crate) struct Events {
    buffer: Vec<u8>,
}

impl Events {
    /// Takes what has arrived; false when an event does not end.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> bool {
        self.buffer.extend(piece);
        self.buffer.len() <= LONGEST
    }

    /// The next event that is whole. Comments, which only keep the connection alive, are passed over, and so
    /// are events of kinds that this version does not know.
    pub(crate) fn take(&mut self) -> Option<Event> {
        loop {
            let end = self.buffer.windows(2).position(|two| two == b"\n\n")?;
            let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let (mut name, mut data) = (Vec::new(), Vec::new());
            for line in block.split(|byte| *byte == b'\n') {
                if let Some(value) = field(line, b"event:") {
                    name = value.to_vec();
                } else if let Some(value) = field(line, b"data:") {
                    data.extend(value);
                }
            }
            match name.as_slice() {
                b"next" => return Some(Event::Next(data)),
                b"complete" => return Some(Event::Complete),
                _ => {}
            }
        }
    }
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        let stream = b":\n\nevent: next\ndata: {\"a\":1}\n\n:\n\nevent: odd\ndata: x\n\nevent: next\ndata:{}\n\nevent: complete\ndata:\n\n";
        let expected = [Event::Next(b"{\"a\":1}".to_vec()), Event::Next(b"{}".to_vec()), Event::Complete];
        for size in 1..=stream.len() {
            let (mut events, mut seen) = (Events::default(), Vec::new());
            for piece in stream.chunks(size) {
                assert!(events.feed(piece));
                seen.extend(std::iter::from_fn(|| events.take()));
            }
            assert_eq!(seen, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn an_event_without_an_end_is_not_collected_for_ever() {
        let mut events = Events::default();
        let piece = vec![b'x'; 1 << 20];
        assert!((0..4).all(|_| events.feed(&piece)) && !events.feed(&piece));
    }
}
