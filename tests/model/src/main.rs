//! The model on the command line.
//!
//! ```text
//! vpn-model whole             every state within the bounds that CI looks at
//! vpn-model deep              every state within wider bounds: minutes
//! vpn-model table             the table of README.md
//! vpn-model trace GUARD…      the shortest way to what breaks without these guards
//! vpn-model guards            their names
//! vpn-model alone             of guards that stand in for each other, each alone is enough: minutes
//! ```

use std::process::ExitCode;

use vpn_model::{Bounds, Faults, Guard, Protocol, TABLE, explore};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let guards: Option<Vec<Guard>> = arguments.map(|slug| Guard::by_slug(&slug)).collect();
    match (command.as_str(), guards) {
        ("whole", _) => whole(&[("life", Bounds::LIFE), ("end", Bounds::END), ("asked again", Bounds::ASKED_AGAIN)]),
        ("deep", _) => whole(Bounds::DEEP),
        ("table", _) => table(),
        ("alone", _) => alone(),
        ("trace", Some(guards)) if !guards.is_empty() => trace(&guards),
        ("guards", _) => {
            for guard in Guard::ALL {
                println!("{:<24} {}", guard.slug(), guard.text().trim());
            }
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("vpn-model whole | deep | table | guards | alone | trace GUARD…");
            ExitCode::from(2)
        }
    }
}

fn whole(runs: &[(&str, Bounds)]) -> ExitCode {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut holds = true;
    for (name, bounds) in runs {
        let protocol = Protocol::whole(*bounds);
        println!("{name}: {bounds:?}");
        let report = explore::everything(&protocol, threads);
        println!("  {} states, {} steps deep, {:.1} s", report.states, report.depth, report.took.as_secs_f64());
        holds &= report.broken.is_empty();
        for broken in report.broken {
            println!("  BROKEN: {broken}");
            if let Some(trace) = explore::shortest(&protocol, Some(broken)) {
                println!("{trace}");
            }
        }
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn table() -> ExitCode {
    println!("| without | in the code | breaks | steps |\n| --- | --- | --- | --- |");
    let mut complete = true;
    for entry in TABLE {
        let found = explore::shortest(&Protocol::without(entry.guards, entry.bounds), Some(entry.breaks));
        complete &= found.is_some();
        let slugs: Vec<String> = entry.guards.iter().map(|guard| format!("`{guard}`")).collect();
        let places: Vec<&str> = entry.guards.iter().map(|guard| guard.place()).collect();
        let steps = found.map_or_else(|| "none found".to_owned(), |trace| trace.steps().to_string());
        println!("| {} | {} | {} | {steps} |", slugs.join(" and "), places.join("; "), entry.breaks);
    }
    if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// An entry of several guards says that each of them alone would do.
fn alone() -> ExitCode {
    let mut enough = true;
    for entry in TABLE.iter().filter(|entry| entry.guards.len() > 1) {
        for kept in entry.guards {
            let others: Vec<_> = entry.guards.iter().copied().filter(|guard| guard != kept).collect();
            let bounds = Bounds { faults: Faults { doubled: 0, ..entry.bounds.faults }, ..entry.bounds };
            let found = explore::shortest(&Protocol::without(&others, bounds), Some(entry.breaks));
            println!("{kept}: {}", if found.is_none() { "enough" } else { "NOT ENOUGH" });
            if let Some(trace) = found {
                println!("{trace}");
                enough = false;
            }
        }
    }
    if enough { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn trace(guards: &[Guard]) -> ExitCode {
    let known: Vec<_> = TABLE.iter().filter(|entry| entry.guards == guards).collect();
    if known.is_empty() {
        let runs = [Bounds::LIFE, Bounds::ASKED_AGAIN, Bounds::END];
        let found = runs.into_iter().find_map(|bounds| explore::shortest(&Protocol::without(guards, bounds), None));
        match &found {
            Some(trace) => println!("{trace}"),
            None => println!("nothing breaks within the bounds: other guards do the same"),
        }
    }
    for entry in known {
        if let Some(trace) = explore::shortest(&Protocol::without(guards, entry.bounds), Some(entry.breaks)) {
            println!("{trace}");
        }
    }
    ExitCode::SUCCESS
}
