//! What is wrong with a description: collected while it is made, and told at once.

use std::error::Error;
use std::fmt;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The value of a result, or none with its fault kept.
pub(crate) fn kept<T, E: Into<BoxError>>(
    faults: &mut Vec<BoxError>,
    result: Result<T, E>,
) -> Option<T> {
    result.map_err(|error| faults.push(error.into())).ok()
}

/// All errors of a description, at least one.
///
/// See the example of [`PipelineBuilder`](crate::PipelineBuilder).
#[derive(Debug)]
pub struct BuildError {
    faults: Vec<BoxError>,
}

impl BuildError {
    /// `Ok` without faults.
    pub(crate) fn check(faults: Vec<BoxError>) -> Result<(), BuildError> {
        if faults.is_empty() {
            Ok(())
        } else {
            Err(BuildError { faults })
        }
    }

    /// One fault.
    pub(crate) fn one(fault: impl Into<BoxError>) -> BuildError {
        BuildError {
            faults: vec![fault.into()],
        }
    }

    /// The faults, in the order of the description.
    pub fn faults(&self) -> impl Iterator<Item = &(dyn Error + 'static)> {
        self.faults.iter().map(|fault| {
            let fault: &(dyn Error + 'static) = fault.as_ref();
            fault
        })
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults().enumerate() {
            if 0 < index {
                f.write_str("; ")?;
            }
            write!(f, "{fault}")?;
            let mut cause = fault.source();
            while let Some(next) = cause {
                write!(f, ": {next}")?;
                cause = next.source();
            }
        }
        Ok(())
    }
}

impl Error for BuildError {}
