//! Going through all states, and telling what was found.

use std::{collections::BTreeSet, fmt, time::Duration};

use stateright::{Checker, Expectation, HasDiscoveries, Model as _};

use crate::{Action, ClientStatus, Job, JobKind, Protocol, Session, State, tidy::renumber};

/// What a run has found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Different states.
    pub states: usize,
    /// Steps to the farthest one.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// Properties that do not hold.
    pub broken: Vec<&'static str>,
    /// States that had to be reached and were not.
    pub unreached: Vec<&'static str>,
}

/// Goes through every state within the bounds.
#[must_use]
pub fn everything(protocol: &Protocol, threads: usize) -> Report {
    let begun = std::time::Instant::now();
    let checker = protocol.clone().checker().threads(threads).finish_when(HasDiscoveries::All).spawn_bfs().join();
    let named = |expectation: Expectation, found: bool| {
        let properties = protocol.properties().into_iter().filter(move |property| property.expectation == expectation);
        properties.map(|property| property.name).filter(|name| checker.discovery(name).is_some() == found).collect()
    };
    Report {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        took: begun.elapsed(),
        broken: named(Expectation::Always, true),
        unreached: named(Expectation::Sometimes, false),
    }
}

/// The shortest way to a state that breaks one of these properties, or any when none is named.
#[must_use]
pub fn shortest(protocol: &Protocol, breaking: Option<&'static str>) -> Option<Trace> {
    let always: Vec<&'static str> = protocol
        .properties()
        .into_iter()
        .filter(|property| property.expectation == Expectation::Always)
        .map(|property| property.name)
        .filter(|name| breaking.is_none_or(|breaking| breaking == *name))
        .collect();
    let wanted = HasDiscoveries::AnyOf(always.iter().copied().collect::<BTreeSet<_>>());
    let mut found: Option<Trace> = None;
    // The checker looks at some more states before it stops, and keeps the last way that it finds: so it
    // is asked for a shorter one until there is none.
    loop {
        let limit = found.as_ref().map_or(usize::MAX, |trace| trace.steps() + 1);
        // One thread: states are looked at in the order of their distance.
        let options = protocol.clone().checker().threads(1).finish_when(wanted.clone());
        let checker = options.target_max_depth(limit).spawn_bfs().join();
        let Some((property, path)) = always.iter().find_map(|name| Some((*name, checker.discovery(name)?))) else {
            return found;
        };
        let path = path.into_vec();
        let path = readable(protocol, &path).unwrap_or(path);
        found = Some(Trace { property, states: checker.unique_state_count(), path });
    }
}

/// The same way, on which attempts keep their numbers.
fn readable(protocol: &Protocol, path: &[(State, Option<Action>)]) -> Option<Vec<(State, Option<Action>)>> {
    let mut states = path.iter().map(|(state, _)| state);
    let mut at = states.next()?.clone();
    let mut way = Vec::with_capacity(path.len());
    for wanted in states {
        let mut actions = Vec::new();
        protocol.actions(&at, &mut actions);
        let (action, next) = actions.into_iter().find_map(|action| {
            let next = protocol.follow(&at, action)?;
            let mut same = next.clone();
            renumber(&mut same);
            (same == *wanted).then_some((action, next))
        })?;
        way.push((std::mem::replace(&mut at, next), Some(action)));
    }
    way.push((at, None));
    Some(way)
}

/// A way to a state that breaks a property.
#[derive(Clone, Debug)]
pub struct Trace {
    /// What breaks.
    pub property: &'static str,
    /// How many states were looked at.
    pub states: usize,
    path: Vec<(State, Option<Action>)>,
}

impl Trace {
    /// How many steps it has.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.path.len().saturating_sub(1)
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "broken: {}", self.property)?;
        let after = self.path.iter().skip(1).map(|(state, _)| state);
        for (step, ((before, action), state)) in self.path.iter().zip(after).enumerate() {
            if let Some(action) = action {
                writeln!(f, "{:3}  {:<58} {}", step + 1, told(*action, before, state), Brief(state))?;
            }
        }
        Ok(())
    }
}

/// What happens, with what only the states around it know.
fn told(action: Action, before: &State, after: &State) -> String {
    match action {
        Action::Run(id) | Action::RunDeaf(id) | Action::Check(id) => {
            let verb = before.command(id).map(|command| format!("{:?}", command.verb).to_lowercase());
            format!("{action}: {}", verb.unwrap_or_default())
        }
        Action::Acquire(id) if after.attempt(id).is_none() => format!("{action}: another has it"),
        _ => action.to_string(),
    }
}

/// A state in one line: SQL, Redis, host.
struct Brief<'a>(&'a State);

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0;
        let status = match s.client.status {
            ClientStatus::Pending => "pending",
            ClientStatus::Active => "active",
            ClientStatus::Revoked => "revoked",
        };
        write!(f, "| {status}")?;
        if s.client.revocation && s.client.status != ClientStatus::Revoked {
            write!(f, ", to be revoked")?;
        }
        write!(f, ", fence {}", s.client.fence)?;
        for job in &s.jobs {
            write!(f, ", {}", BriefJob(job))?;
        }
        write!(
            f,
            " | lock {}/{}",
            s.redis.owner.map_or_else(|| "free".to_owned(), |id| id.0.to_string()),
            s.redis.last
        )?;
        write!(f, " | host fence {}", s.host.fence)?;
        match s.session {
            Session::None => {}
            session => write!(f, ", session {}", format!("{session:?}").to_lowercase())?,
        }
        match s.host.issued {
            Some(issued) => write!(f, ", certificate {} ({:?})", issued.certificate, issued.key)?,
            None if s.host.tombstone => write!(f, ", tombstone")?,
            None => {}
        }
        Ok(())
    }
}

struct BriefJob<'a>(&'a Job);

impl fmt::Display for BriefJob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0.kind {
            JobKind::Provision => "provision",
            JobKind::Revoke => "revoke",
        };
        write!(f, "{kind} {}", format!("{:?}", self.0.state).to_lowercase())?;
        match self.0.fence {
            0 => Ok(()),
            fence => write!(f, "/{fence}"),
        }
    }
}
