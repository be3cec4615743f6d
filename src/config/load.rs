//! Loads the config layers, and reports all errors at once.

use super::check;
use super::environment::Environment;
use super::error::{ConfigError, Fault, Origin, Problem};
use super::file::{self, Entry};
use super::section::SetError;
use super::settings::Config;
use super::value::{Value, nearest};
use barmill_sources::venue::VENUES;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Read;
use std::path::Path;

/// Bytes of the longest config file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A command-line flag that stands for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag as it is typed, such as `--bars`.
    pub name: String,
    /// Its `section.key`.
    pub key: String,
    /// The text given.
    pub value: String,
}

/// What the config is made of, besides the defaults; later ones count.
#[derive(Debug, Clone)]
pub struct Layers<'a> {
    /// The file's name and bytes.
    pub file: Option<(&'a str, &'a [u8])>,
    /// The environment; only `BARMILL__...` is looked at.
    pub environment: &'a Environment,
    /// The texts `SECTION.KEY=VALUE` of `--set`, in order.
    pub set: &'a [String],
    /// Flags that stand for a key.
    pub flags: &'a [Flag],
}

impl<'a> Layers<'a> {
    /// Takes the environment alone.
    #[cfg(any(test, feature = "internals"))]
    pub fn new(environment: &'a Environment) -> Layers<'a> {
        Layers {
            file: None,
            environment,
            set: &[],
            flags: &[],
        }
    }
}

/// A checked config, and where each value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The config.
    pub config: Config,
    origins: BTreeMap<String, Origin>,
}

impl Loaded {
    /// Where the value of a `section.key` came from.
    #[cfg(any(test, feature = "internals"))]
    pub fn origin(&self, key: &str) -> &Origin {
        self.origins.get(key).unwrap_or(&Origin::Default)
    }

    /// The config as TOML, each value that is no default with its origin behind it; no secret in it.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for section in self.config.sections() {
            let gap = if text.is_empty() { "" } else { "\n" };
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "{gap}[{}]", section.name());
            for key in section.keys() {
                let value = section.show(key).unwrap_or_default();
                let origin = self.origins.get(&format!("{}.{key}", section.name()));
                let comment = origin.map_or_else(String::new, |origin| format!("  # {origin}"));
                let _infallible = writeln!(text, "{key} = {value}{comment}");
            }
        }
        text
    }
}

/// Reads a config file, at most 1 MiB of it.
///
/// # Errors
/// [`ConfigError`] with the one fault that the file cannot be read.
pub fn read_file(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(path);
    let read = opened.and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    let error = match read {
        Ok(len) if len as u64 <= FILE_BYTES_MAX => return Ok(bytes),
        Ok(_) => std::io::Error::other("more than 1 MiB, which no config needs"),
        Err(error) => error,
    };
    let origin = Origin::File {
        path: path.display().to_string(),
        line: 0,
        column: 0,
    };
    let faults = vec![Fault::new(origin, None, Problem::Unreadable(error))];
    Err(ConfigError { faults })
}

/// Lays the layers over the defaults and checks the result.
///
/// # Errors
/// [`ConfigError`] with every fault of every layer. Limits are checked against each other only when every
/// value by itself is right.
pub fn load(layers: &Layers<'_>) -> Result<Loaded, ConfigError> {
    let mut loader = Loader::default();
    if let Some((path, bytes)) = layers.file {
        let found = file::parse(path, bytes);
        loader.faults.extend(found.faults);
        found.entries.iter().for_each(|entry| loader.apply(entry));
    }
    for (name, value) in layers.environment.with_prefix("BARMILL__") {
        loader.apply_variable(name, value);
    }
    for text in layers.set {
        loader.apply_set(text);
    }
    for flag in layers.flags {
        loader.apply_text(&flag.key, &flag.value, &Origin::Flag(flag.name.clone()));
    }
    ConfigError::check(loader.faults)?;
    let result = Loaded {
        config: loader.config,
        origins: loader.origins,
    };
    ConfigError::check(check::conflicts(&result.config, &result.origins))?;
    Ok(result)
}

#[derive(Default)]
struct Loader {
    config: Config,
    origins: BTreeMap<String, Origin>,
    faults: Vec<Fault>,
}

impl Loader {
    fn apply_variable(&mut self, name: &str, value: &str) {
        let origin = Origin::Environment(name.to_owned());
        let path = name.strip_prefix("BARMILL__");
        if let Some((section, key)) = path.and_then(|path| path.rsplit_once("__")) {
            let section = section.replace("__", ".");
            let path = format!("{}.{}", section.to_lowercase(), key.to_lowercase());
            self.apply_text(&path, value, &origin);
        } else {
            let needed = "BARMILL__SECTION__KEY";
            self.fault(origin, None, Problem::NoKey { needed });
        }
    }

    fn apply_set(&mut self, text: &str) {
        let (path, value) = text.split_once('=').unwrap_or((text, ""));
        let origin = Origin::Set(path.trim().to_owned());
        if path.len() == text.len() || !path.contains('.') {
            let needed = "--set SECTION.KEY=VALUE";
            self.fault(origin, None, Problem::NoKey { needed });
        } else {
            self.apply_text(path.trim(), value.trim(), &origin);
        }
    }

    fn apply_text(&mut self, path: &str, value: &str, origin: &Origin) {
        let is_grouped = path
            .split_once('.')
            .is_some_and(|(first, _)| first == file::GROUP);
        let parts = if is_grouped {
            path.rsplit_once('.')
        } else {
            path.split_once('.')
        };
        let (section, key) = parts.unwrap_or((path, ""));
        self.apply(&Entry {
            section: section.to_owned(),
            key: key.to_owned(),
            value: Value::Given(value.to_owned()),
            section_origin: origin.clone(),
            key_origin: origin.clone(),
            value_origin: origin.clone(),
        });
    }

    fn apply(&mut self, entry: &Entry) {
        let path = format!("{}.{}", entry.section, entry.key);
        let mut sections = self.config.sections_mut();
        let Some(section) = sections
            .iter_mut()
            .find(|section| section.name() == entry.section)
        else {
            return self.unknown_section(entry);
        };
        if entry.key.is_empty() {
            return;
        }
        match section.set(&entry.key, &entry.value) {
            Ok(()) => {
                self.origins.insert(path, entry.value_origin.clone());
            }
            Err(SetError::Value(error)) => {
                let origin = entry.value_origin.clone();
                self.fault(origin, Some(&path), Problem::Value(error));
            }
            Err(SetError::UnknownKey) => {
                let keys = section.keys();
                let problem = self.unknown_key(&entry.section, &entry.key, &keys);
                self.fault(entry.key_origin.clone(), Some(&path), problem);
            }
        }
    }

    fn unknown_key(&self, section: &str, key: &str, keys: &[&'static str]) -> Problem {
        if let Some(variable) = secret_variable(section, key) {
            let variable = variable.to_owned();
            return Problem::Secret { variable };
        }
        let sections = self.config.sections();
        let mut elsewhere = sections.iter().filter(|one| one.keys().contains(&key));
        let here = nearest(key, keys.iter().copied()).map(str::to_owned);
        let nearest = here.or_else(|| Some(format!("{}.{key}", elsewhere.next()?.name())));
        let known = nearest
            .as_ref()
            .map_or_else(|| keys.to_vec(), |_| Vec::new());
        Problem::UnknownKey { nearest, known }
    }

    /// Reports a section once, and each secret in it.
    fn unknown_section(&mut self, entry: &Entry) {
        if let Some(variable) = secret_variable(&entry.section, &entry.key) {
            let path = format!("{}.{}", entry.section, entry.key);
            let variable = variable.to_owned();
            let problem = Problem::Secret { variable };
            self.fault(entry.key_origin.clone(), Some(&path), problem);
        }
        let is_known = |fault: &Fault| {
            fault.origin == entry.section_origin && fault.key.as_deref() == Some(&entry.section)
        };
        if self.faults.iter().any(is_known) {
            return;
        }
        let sections = self.config.sections();
        let names: Vec<&str> = sections.iter().map(|section| section.name()).collect();
        let nearest = nearest(&entry.section, names.iter().copied()).map(str::to_owned);
        let names = names.into_iter().map(str::to_owned).collect();
        let known = if nearest.is_some() { Vec::new() } else { names };
        let problem = Problem::UnknownSection { nearest, known };
        let origin = entry.section_origin.clone();
        self.fault(origin, Some(&entry.section), problem);
    }

    fn fault(&mut self, origin: Origin, key: Option<&str>, problem: Problem) {
        self.faults.push(Fault::new(origin, key, problem));
    }
}

/// The variable of a venue's key, by the section's name: the venue's, or a name that it had before.
fn venue_key(section: &str) -> Option<&'static str> {
    VENUES.iter().find_map(|venue| {
        let secret = venue.secrets.last()?;
        let older = secret.older.filter(|variable| {
            let name = variable.split('_').next().unwrap_or_default();
            section.ends_with(&name.to_lowercase())
        });
        older.or_else(|| section.ends_with(venue.name).then_some(secret.variable))
    })
}

/// The variable to use in place of a key that would hold a secret.
fn secret_variable(section: &str, key: &str) -> Option<&'static str> {
    let words: Vec<String> = key
        .to_lowercase()
        .split(['_', '-'])
        .map(str::to_owned)
        .collect();
    let has = |name: &str| words.iter().any(|word| word == name);
    let is_key = ["key", "apikey", "secret", "token", "password"]
        .into_iter()
        .any(has);
    if let Some(variable) = venue_key(section).filter(|_| is_key) {
        return Some(variable);
    }
    if has("password") || has("passwd") || has("pass") || has("auth") || has("username") {
        Some("REDIS_URL")
    } else if has("token") || has("secret") || has("apikey") || (has("api") && has("key")) {
        Some("UPSTASH_REDIS_REST_TOKEN")
    } else {
        None
    }
}
