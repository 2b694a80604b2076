//! Boundaries at which something happens, as the environment of a test's worker says.

use std::{
    collections::HashMap,
    fs::OpenOptions,
    io::Write as _,
    path::PathBuf,
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use rustix::process::{Signal, getpid, kill_process};

use super::Boundary;

/// The step failed here because a test wanted it; another attempt may succeed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("as planned by a test at `{}`", .0.as_str())]
pub(crate) struct Struck(Boundary);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Die,
    Fail,
    Stop,
    Repeat,
}

/// What the environment wants.
#[derive(Debug, Default)]
struct Plan {
    /// What happens at which pass.
    strikes: Vec<(Boundary, usize, Mode)>,
    /// Where passes are noted.
    passes: Option<PathBuf>,
    counts: Mutex<HashMap<Boundary, usize>>,
}

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let text = std::env::var("VPN_TESTS_CRASH_AT").unwrap_or_default();
    let passes = std::env::var_os("VPN_TESTS_PASSES").map(PathBuf::from);
    let Some(strikes) = parse(&text) else {
        eprintln!("VPN_TESTS_CRASH_AT: `{text}` is not BOUNDARY[#PASS]=die|fail|stop|repeat, separated by commas");
        std::process::exit(64);
    };
    Plan { strikes, passes, counts: Mutex::default() }
});

fn parse(text: &str) -> Option<Vec<(Boundary, usize, Mode)>> {
    text.split(',').filter(|one| !one.is_empty()).map(parse_one).collect()
}

fn parse_one(text: &str) -> Option<(Boundary, usize, Mode)> {
    let (place, mode) = text.split_once('=')?;
    let (name, pass) = place.split_once('#').unwrap_or((place, "1"));
    let boundary = *Boundary::ALL.iter().find(|boundary| boundary.as_str() == name)?;
    let mode = match mode {
        "die" => Mode::Die,
        "fail" => Mode::Fail,
        "stop" => Mode::Stop,
        "repeat" => Mode::Repeat,
        _ => return None,
    };
    Some((boundary, pass.parse().ok()?, mode))
}

impl Plan {
    /// Counts the pass and gives what is planned for it.
    fn pass(&self, boundary: Boundary) -> Option<Mode> {
        let pass = {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(boundary).or_default();
            *count += 1;
            *count
        };
        if let Some(path) = &self.passes
            && let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path)
        {
            // One short write: lines of several processes do not mix.
            let _best_effort = file.write_all(format!("{}\n", boundary.as_str()).as_bytes());
        }
        let planned = |(at, nth, mode): &(Boundary, usize, Mode)| (*at == boundary && *nth == pass).then_some(*mode);
        self.strikes.iter().find_map(planned)
    }
}

/// To be called at the boundary.
pub(crate) fn reach(boundary: Boundary) -> Result<(), Struck> {
    match PLAN.pass(boundary) {
        None | Some(Mode::Repeat) => Ok(()),
        Some(Mode::Fail) => Err(Struck(boundary)),
        Some(Mode::Stop) => {
            let _cannot_fail = kill_process(getpid(), Signal::STOP);
            // The signal may be taken by another thread; this one must not run on until it has its effect.
            std::thread::sleep(Duration::from_millis(50));
            Ok(())
        }
        Some(Mode::Die) => loop {
            let _cannot_fail = kill_process(getpid(), Signal::KILL);
            std::thread::park();
        },
    }
}

/// Whether the call to the host before this boundary is to be made twice.
pub(crate) fn repeats(boundary: Boundary) -> bool {
    PLAN.strikes.iter().any(|(at, _, mode)| *at == boundary && *mode == Mode::Repeat)
}

/// The lease that a test's worker is to work with instead of its own.
#[must_use]
pub fn hurry() -> Option<Duration> {
    let text = std::env::var("VPN_TESTS_HURRY").ok()?;
    text.parse().ok().filter(|milliseconds| *milliseconds >= 200).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_names_boundary_pass_and_mode() {
        let plan = parse("issued=die,killed#2=repeat").expect("a plan");
        assert_eq!(plan, [(Boundary::Issued, 1, Mode::Die), (Boundary::Killed, 2, Mode::Repeat)]);
        assert_eq!(parse(""), Some(Vec::new()));
        for odd in ["issued", "issued=burn", "nowhere=die", "issued#x=die"] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn every_boundary_has_a_name_of_its_own() {
        let names: std::collections::HashSet<_> = Boundary::ALL.iter().map(|boundary| boundary.as_str()).collect();
        assert_eq!(names.len(), Boundary::ALL.len());
    }

    #[test]
    fn a_boundary_strikes_at_its_pass_only() {
        let plan = Plan { strikes: vec![(Boundary::Issued, 2, Mode::Fail)], ..Plan::default() };
        let passes = [plan.pass(Boundary::Issued), plan.pass(Boundary::Issued), plan.pass(Boundary::Issued)];
        assert_eq!(passes, [None, Some(Mode::Fail), None]);
    }
}
