//! The config as one value: its sections, by name and by field.

use super::section::Section;
use super::{
    Aggregate, Bars, Environment, Live, Log, Plan, Redis, Replay, Run, SecretError, Sink,
    SinkTarget, Sources, Status, View, Writer,
};

/// The sections in the order of `config.toml`, shared or to be set.
macro_rules! each_section {
    ($config:ident, $iter:ident $(, $mut:tt)?) => {{
        let mut sections: Vec<&$($mut)? dyn Section> =
            vec![&$($mut)? $config.bars, &$($mut)? $config.replay];
        for source in $config.source.$iter() {
            sections.push(source);
        }
        sections.push(&$($mut)? $config.live);
        sections.push(&$($mut)? $config.aggregate);
        sections.push(&$($mut)? $config.sink);
        sections.push(&$($mut)? $config.redis);
        sections.push(&$($mut)? $config.view);
        sections.push(&$($mut)? $config.writer);
        sections.push(&$($mut)? $config.plan);
        sections.push(&$($mut)? $config.status);
        sections.push(&$($mut)? $config.run);
        sections.push(&$($mut)? $config.log);
        sections
    }};
}

/// Every knob of a run. A value that was loaded is checked, also against its neighbours.
///
/// `Debug` shows no secret: URLs print without user and password.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Which bars are made, and of which trades.
    pub bars: Bars,
    /// How recorded trades are read.
    pub replay: Replay,
    /// How the venues' histories are asked for.
    pub source: Sources,
    /// What the daemon listens to, and how.
    pub live: Live,
    /// How symbols are spread over cores.
    pub aggregate: Aggregate,
    /// Where bars go.
    pub sink: Sink,
    /// The one client of the store.
    pub redis: Redis,
    /// How a bar lies in the store.
    pub view: View,
    /// How bars are batched, paced and retried.
    pub writer: Writer,
    /// Prices, and what `barmill plan` assumes of the world.
    pub plan: Plan,
    /// The pages that tell how the daemon stands.
    pub status: Status,
    /// The process as a whole.
    pub run: Run,
    /// What is logged.
    pub log: Log,
}

impl Config {
    /// Where bars go, with the secrets that the environment holds.
    ///
    /// # Errors
    /// [`SecretError`] when a variable is missing, doubled or useless.
    pub fn target(&self, environment: &Environment) -> Result<SinkTarget, SecretError> {
        SinkTarget::resolve(&self.sink, &self.redis, environment)
    }

    /// The sections in the order of `config.toml`.
    pub(super) fn sections(&self) -> Vec<&dyn Section> {
        each_section!(self, iter)
    }

    /// The same sections, to be set.
    pub(super) fn sections_mut(&mut self) -> Vec<&mut dyn Section> {
        each_section!(self, iter_mut, mut)
    }
}

#[cfg(test)]
mod tests {
    use super::Config;
    use crate::config::{Environment, Layers, load};
    use std::collections::BTreeSet;

    const MANUAL: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml"));

    #[test]
    fn config_toml_gives_exactly_the_defaults() {
        let environment = Environment::default();
        let layers = Layers {
            file: Some(("config.toml", MANUAL.as_bytes())),
            ..Layers::new(&environment)
        };
        assert_eq!(load(&layers).unwrap().config, Config::default());
    }

    #[test]
    fn config_toml_shows_every_key_with_its_default_in_the_order_of_the_code() {
        let mut section = "";
        let mut shown = Vec::new();
        for line in MANUAL
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
        {
            match line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                Some(name) if !line.contains('=') => section = name,
                Some(_) | None => shown.push(format!("{section}.{line}")),
            }
        }
        let config = Config::default();
        let mut known = Vec::new();
        for section in config.sections() {
            for key in section.keys() {
                known.push(format!(
                    "{}.{key} = {}",
                    section.name(),
                    section.show(key).unwrap()
                ));
            }
        }
        assert_eq!(shown, known);
    }

    #[test]
    fn config_toml_gives_a_reason_above_every_key() {
        let mut commented = false;
        for line in MANUAL.lines() {
            if line.contains(" = ") && !line.starts_with('#') {
                assert!(commented, "no comment above {line}");
            }
            commented = line.starts_with('#');
        }
    }

    #[test]
    fn no_two_sections_and_no_two_keys_of_one_share_a_name() {
        let config = Config::default();
        let mut seen = BTreeSet::new();
        for section in config.sections() {
            for key in section.keys() {
                assert!(seen.insert(format!("{}.{key}", section.name())));
            }
        }
    }
}
