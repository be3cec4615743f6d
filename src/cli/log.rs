//! Logs on stderr: text for people, JSON for machines, colours on a terminal only.

use super::progress::Progress;
use crate::config::{Environment, Log, LogFormat};
use std::io::{self, IsTerminal, Write};
use tracing::Subscriber;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;

/// The variable whose filter takes the place of `log.level`.
const VARIABLE: &str = "BARMILL_LOG";

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogError {
    /// A filter that cannot be read.
    #[error("{VARIABLE} {text:?} is not a filter, such as barmill=debug,reqwest=warn")]
    Filter {
        /// The refused text.
        text: String,
        /// The cause.
        #[source]
        source: ParseError,
    },
    /// Somebody in this process already logs.
    #[error("logging is set up already")]
    Twice(#[from] SetGlobalDefaultError),
}

/// Starts logging for the whole process; lines do not mix with the progress bar.
///
/// # Errors
/// [`LogError`] when the filter cannot be read, or logging has started before.
pub(super) fn init(
    log: &Log,
    environment: &Environment,
    progress: &Progress,
) -> Result<(), LogError> {
    let filter = filter(log, environment)?;
    let progress = progress.clone();
    let writer = move || Stderr {
        progress: progress.clone(),
    };
    let subscriber = subscriber(log.format, filter, writer, io::stderr().is_terminal());
    Ok(tracing::subscriber::set_global_default(subscriber)?)
}

fn filter(log: &Log, environment: &Environment) -> Result<EnvFilter, LogError> {
    match environment.get(VARIABLE) {
        Some(text) => EnvFilter::try_new(text).map_err(|source| LogError::Filter {
            text: text.to_owned(),
            source,
        }),
        // The level is meant for barmill; its libraries speak up when something is wrong.
        None => Ok(EnvFilter::new(format!("warn,barmill={}", log.level))),
    }
}

fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    writer: W,
    is_coloured: bool,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    match format {
        LogFormat::Text => Box::new(builder.with_ansi(is_coloured).with_target(false).finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    }
}

/// Stderr, with the progress bar out of the way for each line.
struct Stderr {
    progress: Progress,
}

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.progress.suspend(|| io::stderr().write_all(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{filter, subscriber};
    use crate::config::{Config, Environment, LogFormat, LogLevel};
    use std::sync::{Arc, Mutex};

    fn logged(format: LogFormat, environment: &Environment, is_coloured: bool) -> String {
        let log = Config::default().log;
        let buffer = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&buffer);
        let make = move || Shared(Arc::clone(&writer));
        let subscriber = subscriber(
            format,
            filter(&log, environment).unwrap(),
            make,
            is_coloured,
        );
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(attempt = 1, of = 3, "retrying");
            tracing::debug!("detail");
        });
        let bytes = buffer.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_pipe_gets_text_without_colours_and_the_level_holds() {
        let text = logged(LogFormat::Text, &Environment::default(), false);
        assert!(
            text.contains("WARN retrying attempt=1 of=3") && !text.contains('\u{1b}'),
            "{text}"
        );
        assert!(!text.contains("detail"));
    }

    #[test]
    fn a_json_line_is_one_object_with_the_fields_at_the_top() {
        let text = logged(LogFormat::Json, &Environment::default(), false);
        let object: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(
            (object["attempt"].as_u64(), object["message"].as_str()),
            (Some(1), Some("retrying"))
        );
    }

    #[test]
    fn the_variable_takes_the_place_of_the_level() {
        let environment = Environment::from_pairs([("BARMILL_LOG", "debug")]);
        assert!(logged(LogFormat::Text, &environment, false).contains("detail"));
        let wrong = Environment::from_pairs([("BARMILL_LOG", "barmill=loud")]);
        let error = filter(&Config::default().log, &wrong).unwrap_err();
        assert!(
            error.to_string().contains("BARMILL_LOG \"barmill=loud\""),
            "{error}"
        );
    }

    #[test]
    fn every_level_is_a_filter() {
        use LogLevel::{Debug, Error, Info, Trace, Warn};
        for level in [Error, Warn, Info, Debug, Trace] {
            let mut log = Config::default().log;
            log.level = level;
            assert!(filter(&log, &Environment::default()).is_ok());
        }
    }
}
