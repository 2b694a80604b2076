//! What is printed: tables for people, JSON for programs, on standard output; everything else on standard
//! error. Colours only where a person looks, and never with `NO_COLOR`.

use std::{
    ffi::OsString,
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
};

use serde::Serialize;
use serde_json::Value;

use crate::{cli::Format, failure::Failure};

/// A column of a table: its title, and where its value is in a row.
pub(crate) type Column = (&'static str, &'static str);

/// How the answers of this run are printed.
pub(crate) struct Output {
    format: Format,
    colours: bool,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, colours: colours(io::stdout().is_terminal(), |name| std::env::var_os(name)) }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// A list.
    pub(crate) fn list(&self, rows: &impl Serialize, columns: &[Column]) -> Result<(), Failure> {
        if self.is_json() {
            return print(&pretty(rows)?);
        }
        let rows = value(rows)?;
        print(&self.table(rows.as_array().map_or(&[], Vec::as_slice), columns))
    }

    /// One thing, a line for each of its values.
    pub(crate) fn one(&self, thing: &impl Serialize, lines: &[Column]) -> Result<(), Failure> {
        if self.is_json() {
            return print(&pretty(thing)?);
        }
        let thing = value(thing)?;
        let width = lines.iter().map(|(title, _)| title.len()).max().unwrap_or(0);
        let told = lines.iter().map(|(title, at)| {
            let text = text(thing.pointer(at));
            format!("{title:<width$}  {}\n", self.paint(&text, text.len()).trim_end())
        });
        print(&told.collect::<String>())
    }

    /// One of many things that come one after the other: a line.
    pub(crate) fn event(&self, event: &impl Serialize, line: impl FnOnce(&Self) -> String) -> Result<(), Failure> {
        match self.format {
            Format::Json => print(&(serde_json::to_string(event).map_err(unprintable)? + "\n")),
            Format::Table => print(&format!("{}\n", line(self).trim_end())),
        }
    }

    fn table(&self, rows: &[Value], columns: &[Column]) -> String {
        let cells: Vec<Vec<String>> =
            rows.iter().map(|row| columns.iter().map(|(_, at)| text(row.pointer(at))).collect()).collect();
        let widths: Vec<usize> = columns
            .iter()
            .enumerate()
            .map(|(at, (title, _))| {
                let widest = cells.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
                title.len().max(widest.unwrap_or(0))
            })
            .collect();
        let line = |cells: Vec<String>| format!("{}\n", cells.join("  ").trim_end());
        let titles = columns.iter().zip(&widths).map(|((title, _), width)| format!("{title:<width$}")).collect();
        let rows = cells
            .iter()
            .map(|row| line(row.iter().zip(&widths).map(|(cell, width)| self.paint(cell, *width)).collect()));
        line(titles) + &rows.collect::<String>()
    }

    /// A word, padded; in its colour if it is one that has a colour.
    pub(crate) fn paint(&self, word: &str, width: usize) -> String {
        let colour = match word {
            "ACTIVE" | "SUCCEEDED" | "OK" | "ok" => 32,
            "REVOKED" | "FAILED" | "DOWN" | "failed" => 31,
            "PENDING" | "QUEUED" | "RUNNING" | "DEGRADED" | "CANCELED" | "refused" => 33,
            _ => 0,
        };
        if colour == 0 || !self.colours {
            return format!("{word:<width$}");
        }
        let padding = width.saturating_sub(word.len());
        format!("\u{1b}[{colour}m{word}\u{1b}[0m{:padding$}", "")
    }
}

/// Something beside the answer, such as progress.
pub(crate) fn note(text: &str) {
    // Whoever closed standard error does not want to be told.
    let _told = writeln!(io::stderr(), "{}", harmless(text));
}

/// Why there is no answer.
pub(crate) fn complain(failure: &Failure) {
    for line in failure.to_string().lines() {
        note(&format!("vpnctl: {line}"));
    }
}

/// Prints on standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::NobodyReads),
        Err(source) => Err(Failure::Local { what: "writing to standard output".to_owned(), source }),
    }
}

/// <https://no-color.org>
fn colours(terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let unwanted = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    terminal && !unwanted && variable("TERM").is_none_or(|kind| kind != "dumb")
}

fn value(thing: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(thing).map_err(unprintable)
}

fn pretty(value: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value).map_err(unprintable)? + "\n")
}

fn unprintable(error: impl Display) -> Failure {
    Failure::Refused(format!("the answer cannot be printed: {error}"))
}

/// A value as people read it.
pub(crate) fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => harmless(&short(text)).replace('\n', " "),
        Some(Value::Array(items)) if items.is_empty() => "-".to_owned(),
        Some(Value::Array(items)) => items.iter().map(|item| text(Some(item))).collect::<Vec<_>>().join(", "),
        Some(other) => harmless(&other.to_string()),
    }
}

/// An instant to the second; other text as it is.
fn short(text: &str) -> String {
    let shape =
        |text: &str| text.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte }).collect::<Vec<_>>();
    match text.split_once('.') {
        Some((seconds, rest)) if shape(seconds) == b"0000-00-00T00:00:00" && rest.ends_with('Z') => {
            format!("{seconds}Z")
        }
        _ => text.to_owned(),
    }
}

/// What others wrote moves no cursor and colours nothing.
fn harmless(text: &str) -> String {
    text.chars().map(|one| if one.is_control() && one != '\n' { '\u{fffd}' } else { one }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn output(colours: bool) -> Output {
        Output { format: Format::Table, colours }
    }

    #[test]
    fn a_table_is_aligned_and_says_where_there_is_nothing() {
        let rows = [
            json!({ "name": "alice-laptop", "status": "ACTIVE", "at": "2026-11-24T02:48:08.000001Z" }),
            json!({ "name": "bob", "status": "PENDING", "at": null }),
        ];
        let columns = [("NAME", "/name"), ("STATUS", "/status"), ("AT", "/at")];
        let told = output(false).table(&rows, &columns);
        assert_eq!(
            told,
            "NAME          STATUS   AT\nalice-laptop  ACTIVE   2026-11-24T02:48:08Z\nbob           PENDING  -\n"
        );
        let coloured = output(true).table(&rows, &columns);
        assert!(coloured.contains("\u{1b}[32mACTIVE\u{1b}[0m   2026"), "{coloured:?}");
    }

    #[test]
    fn what_others_wrote_cannot_play_with_the_terminal() {
        assert_eq!(text(Some(&json!("lost\u{1b}[2Jin a \u{7}train"))), "lost\u{fffd}[2Jin a \u{fffd}train");
    }

    #[test]
    fn colours_are_for_terminals_of_people_who_want_them() {
        let given = |name: &'static str, value: &'static str| move |asked: &str| (asked == name).then(|| value.into());
        assert!(colours(true, given("TERM", "xterm")) && colours(true, given("NO_COLOR", "")));
        assert!(!colours(false, given("TERM", "xterm")));
        assert!(!colours(true, given("NO_COLOR", "1")) && !colours(true, given("TERM", "dumb")));
    }
}
