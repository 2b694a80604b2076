//! The text format of Prometheus:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.

use std::fmt::{Display, Write as _};

/// A page of metrics. What is written stands in the order in which it was written; the samples of a
/// family follow its head.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// The head of a family: `counter`, `gauge` or `histogram`.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _infallible = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A sample: its name, labels and value.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _infallible = write!(self.0, "{before}{label}=\"{text}\"");
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _infallible = writeln!(self.0, "{end} {value}");
    }

    pub(super) fn text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_break_a_line_is_escaped() {
        let mut page = Page::default();
        page.family("a_total", "counter", "back\\slash\nand line");
        page.sample("a_total", &[("who", "a\"b\\c\nd"), ("kind", "x")], 1);
        page.sample("a_total", &[], 2.5);
        let told = "# HELP a_total back\\\\slash\\nand line\n# TYPE a_total counter\n\
                    a_total{who=\"a\\\"b\\\\c\\nd\",kind=\"x\"} 1\na_total 2.5\n";
        assert_eq!(page.text(), told);
    }
}
