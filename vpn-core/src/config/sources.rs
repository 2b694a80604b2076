//! Reading the sources, and telling what is wrong with them.

use std::{
    collections::BTreeMap,
    fmt::Display,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use secrecy::SecretString;

use super::{ConfigError, KEYS, Problem};

/// The longest secret in a file, in bytes.
const MAX_SECRET: usize = 64 * 1024;

/// Where values come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    flags: BTreeMap<&'static str, String>,
    environment: BTreeMap<String, String>,
    pub(super) file: Option<PathBuf>,
}

impl Sources {
    /// The process's environment, and this file, or the one that `VPN_CONFIG` names.
    #[must_use]
    pub fn system(file: Option<PathBuf>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { flags: BTreeMap::new(), environment, file: file.or_else(super::file_from_environment) }
    }

    /// These variables and no file: for tests.
    #[must_use]
    pub fn environment(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { environment: variables.into_iter().collect(), ..Self::default() }
    }

    /// The value of a flag, above all others.
    #[must_use]
    pub fn flag(mut self, key: &'static str, value: Option<impl Display>) -> Self {
        if let Some(value) = value {
            self.flags.insert(key, value.to_string());
        }
        self
    }

    pub(super) fn read(&self) -> Given {
        let mut given = Given { values: BTreeMap::new(), problems: Vec::new() };
        self.read_file(&mut given);
        self.read_environment(&mut given);
        for (key, value) in &self.flags {
            let flag = format!("--{}", key.replace('_', "-"));
            given.values.insert((*key).to_owned(), (value.clone(), flag));
        }
        given
    }

    fn read_file(&self, given: &mut Given) {
        let Some(path) = &self.file else { return };
        let read = config::Config::builder()
            .add_source(config::File::from(path.as_path()).format(config::FileFormat::Toml))
            .build()
            .and_then(config::Config::try_deserialize::<BTreeMap<String, config::Value>>);
        let values = match read {
            Ok(values) => values,
            Err(error) => return given.complain("config", Some(path.display().to_string()), error.to_string()),
        };
        for (key, value) in values {
            let source = path.display().to_string();
            if !KEYS.iter().any(|known| known.name == key) {
                given.complain(&key, Some(source), "is no key of this version: check its spelling".to_owned());
                continue;
            }
            match value.into_string() {
                Ok(text) => drop(given.values.insert(key, (text, source))),
                Err(error) => given.complain(&key, Some(source), error.to_string()),
            }
        }
    }

    fn read_environment(&self, given: &mut Given) {
        for key in KEYS {
            let variable = format!("VPN_{}", key.name.to_ascii_uppercase());
            let mut found: Vec<(String, String)> = Vec::new();
            if let Some(value) = self.environment.get(&variable) {
                found.push((value.clone(), variable.clone()));
            }
            if key.secret {
                for path in self.secret_files(&variable, key.name) {
                    match secret_file(&path) {
                        Ok(text) => found.push((text, path.display().to_string())),
                        Err(error) => given.complain(key.name, Some(path.display().to_string()), error),
                    }
                }
            }
            if found.len() > 1 {
                let sources: Vec<&str> = found.iter().map(|(_, source)| source.as_str()).collect();
                let message = format!("is given {} times: keep one", found.len());
                given.complain(key.name, Some(sources.join(" and ")), message);
            }
            if let Some(value) = found.pop() {
                given.values.insert(key.name.to_owned(), value);
            }
        }
        self.refuse_unknown_variables(given);
    }

    fn secret_files(&self, variable: &str, key: &str) -> Vec<PathBuf> {
        let named = self.environment.get(&format!("{variable}_FILE")).map(PathBuf::from);
        let credential = self
            .environment
            .get("CREDENTIALS_DIRECTORY")
            .map(|directory| Path::new(directory).join(key))
            .filter(|path| path.exists());
        named.into_iter().chain(credential).collect()
    }

    /// A variable that is misspelt would silently leave a default in force.
    fn refuse_unknown_variables(&self, given: &mut Given) {
        for name in self.environment.keys().filter(|name| name.starts_with("VPN_")) {
            let known = KEYS.iter().any(|key| {
                let variable = format!("VPN_{}", key.name.to_ascii_uppercase());
                *name == variable || (key.secret && *name == format!("{variable}_FILE"))
            });
            if !known && name != "VPN_CONFIG" && !name.starts_with("VPN_TESTS_") {
                given.complain(name, None, "is no variable of this version: check its spelling".to_owned());
            }
        }
    }
}

/// Reads a secret; one newline at its end is not part of it unless it has several lines.
fn secret_file(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() > MAX_SECRET {
        return Err(format!("has more than {MAX_SECRET} bytes"));
    }
    let one_line = text.strip_suffix('\n').filter(|line| !line.contains('\n')).map(str::to_owned);
    Ok(one_line.unwrap_or(text))
}

/// What was given, key by key, and what is wrong with it.
#[derive(Debug)]
pub struct Given {
    values: BTreeMap<String, (String, String)>,
    problems: Vec<Problem>,
}

impl Given {
    fn complain(&mut self, key: &str, source: Option<String>, message: String) {
        self.problems.push(Problem { key: key.to_owned(), source, message });
    }

    pub(super) fn problem(&mut self, key: &str, message: &str) {
        let source = self.values.get(key).map(|(_, source)| source.clone());
        self.complain(key, source, message.to_owned());
    }

    pub(super) fn text(&self, key: &str, default: &str) -> String {
        self.values.get(key).map_or_else(|| default.to_owned(), |(value, _)| value.clone())
    }

    /// Required. The value is never part of a message.
    pub(super) fn secret(&mut self, key: &str, what: &str) -> SecretString {
        match self.values.get(key) {
            Some((value, _)) if !value.trim().is_empty() => SecretString::from(value.clone()),
            found => {
                let is = if found.is_some() { "is empty" } else { "is missing" };
                let variable = format!("VPN_{}", key.to_ascii_uppercase());
                let message = format!(
                    "{is}: give it ({what}) as {variable}, as a file named by {variable}_FILE, or in the configuration file"
                );
                self.problem(key, &message);
                SecretString::default()
            }
        }
    }

    pub(super) fn parsed<T: FromStr>(&mut self, key: &str, default: T, what: &str) -> T {
        match self.values.get(key).map(|(value, _)| value.parse()) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(_)) => {
                self.problem(key, &format!("is not {what}"));
                default
            }
        }
    }

    /// The same without a default.
    pub(super) fn parsed_opt<T: FromStr>(&mut self, key: &str, what: &str) -> Option<T> {
        let parsed = self.values.get(key).map(|(value, _)| value.parse())?;
        if parsed.is_err() {
            self.problem(key, &format!("is not {what}"));
        }
        parsed.ok()
    }

    pub(super) fn within<T: FromStr + PartialOrd + Display + Copy>(
        &mut self,
        key: &str,
        default: T,
        min: T,
        max: T,
    ) -> T {
        let what = format!("a number from {min} to {max}");
        let value = self.parsed(key, default, &what);
        if value < min || value > max {
            self.problem(key, &format!("is not {what}"));
        }
        value
    }

    pub(super) fn seconds(&mut self, key: &str, default: Duration) -> Duration {
        Duration::from_secs(self.within(key, default.as_secs(), 1, 86_400))
    }

    pub(super) fn words(&self, key: &str) -> Vec<String> {
        let text = self.text(key, "");
        text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// Words that have to be something.
    pub(super) fn list<T: FromStr>(&mut self, key: &str, what: &str) -> Vec<T> {
        let words = self.words(key);
        let parsed: Vec<T> = words.iter().filter_map(|word| word.parse().ok()).collect();
        if parsed.len() < words.len() {
            self.problem(key, &format!("is not {what}"));
        }
        parsed
    }

    pub(super) fn finish(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() { Ok(()) } else { Err(ConfigError { problems: self.problems }) }
    }
}
