//! What the host does: the verbs of `vpn-host`.

use crate::{
    AttemptId, Breach, Command, Guard, Host, Issued, KeyState, Pc, Phase, Protocol, Reply, Session, State, Verb,
};

impl Protocol {
    /// A request, from taking the lock to its commit point. Without flock: what is left after [`Self::check`].
    pub(crate) fn run(&self, s: &mut State, id: AttemptId, deaf: bool) -> Option<()> {
        let command = s.command(id)?.clone();
        let refused = match command.phase {
            Phase::Sent => self.refuses(s, &command),
            Phase::Checked => None,
            Phase::Replied(_) => return None,
        };
        let reply = match refused {
            Some(reply) => reply,
            None => self.acts(s, &command, deaf),
        };
        Self::replies(s, id, reply)
    }

    /// Without flock: the request looks, and others may come before it acts.
    pub(crate) fn check(&self, s: &mut State, id: AttemptId) -> Option<()> {
        let command = s.command(id)?.clone();
        if let Some(reply) = self.refuses(s, &command) {
            return Self::replies(s, id, reply);
        }
        s.commands.iter_mut().find(|command| command.attempt == id)?.phase = Phase::Checked;
        Some(())
    }

    /// Everything that is looked at before the request acts. An answer: there is nothing to do.
    fn refuses(&self, s: &mut State, command: &Command) -> Option<Reply> {
        // With a serial of its own, nothing that is stored under another one is found.
        let unknown = command.verb == Verb::Issue && !self.has(Guard::SerialFirst);
        if unknown {
            return None;
        }
        if !self.fence_pass(&mut s.host, command) {
            if s.left == self.bounds.faults {
                s.breaches.add(Breach::FencedWithoutFault);
            }
            return Some(Reply::Refused);
        }
        let buried = s.host.tombstone && self.has(Guard::Tombstone);
        match (command.verb, s.host.issued) {
            (Verb::Issue | Verb::Ack, _) if buried => Some(Reply::Refused),
            (Verb::Issue, Some(issued)) if self.has(Guard::Replay) => Some(Reply::Profile(issued)),
            (Verb::Ack, None) => Some(Reply::Refused),
            (Verb::Kill | Verb::KillAgain, _) if !s.host.tombstone && self.has(Guard::CrlFirst) => Some(Reply::Refused),
            _ => None,
        }
    }

    /// `lib/fence.sh`.
    fn fence_pass(&self, host: &mut Host, command: &Command) -> bool {
        if command.token < host.fence && self.has(Guard::HostFence) {
            return false;
        }
        if command.token == host.fence && host.fence_by != Some(command.attempt) && self.has(Guard::HostSameAttempt) {
            return false;
        }
        host.fence = command.token;
        host.fence_by = Some(command.attempt);
        true
    }

    fn acts(&self, s: &mut State, command: &Command, deaf: bool) -> Reply {
        match command.verb {
            Verb::Issue => {
                s.host.made += 1;
                s.host.live += u8::from(s.host.live == 0 && !s.host.tombstone || !self.has(Guard::SerialFirst));
                let issued = Issued { certificate: s.host.made, key: KeyState::Present };
                s.host.issued = Some(issued);
                return Reply::Profile(issued);
            }
            Verb::Ack => {
                if let Some(issued) = &mut s.host.issued {
                    issued.key = KeyState::Forgotten;
                }
            }
            // One serial in the CRL: all certificates that were made under it.
            Verb::Revoke => {
                s.host.tombstone = true;
                s.host.live = if self.has(Guard::SerialFirst) { 0 } else { s.host.live.saturating_sub(1) };
                s.host.issued = None;
            }
            Verb::Kill | Verb::KillAgain if deaf => return Reply::SessionsUnproven,
            Verb::Kill | Verb::KillAgain => {
                if s.session == Session::Open {
                    s.session = Session::None;
                }
            }
        }
        Reply::Done
    }

    /// To whom it waits for it, or to nobody.
    fn replies(s: &mut State, id: AttemptId, reply: Reply) -> Option<()> {
        let waits = s.attempt(id).is_some_and(|attempt| matches!(attempt.pc, Pc::Await(_)));
        if waits {
            s.commands.iter_mut().find(|command| command.attempt == id)?.phase = Phase::Replied(reply);
        } else {
            s.commands.retain(|command| command.attempt != id);
        }
        Some(())
    }

    /// The command may run now. The second kill waits for handshakes that were under way to end.
    pub(crate) fn may_run(&self, s: &State, command: &Command) -> bool {
        command.verb != Verb::KillAgain || s.session != Session::Handshake || !self.has(Guard::SettleOutlasts)
    }
}
