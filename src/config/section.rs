//! Sections of the config: one macro line per key gives the field, its default, its range and its TOML text.
//!
//! A new key is one line in its section's file and its paragraph in `config.toml`; a test fails until both are there.

use super::ValueError;
use super::value::Value;

/// Why a key was not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SetError {
    /// The section has no such key.
    UnknownKey,
    /// The value is not one of the key's.
    Value(ValueError),
}

/// A section, seen by key name.
pub(super) trait Section {
    /// The section's name.
    fn name(&self) -> &'static str;
    /// Its keys, in the order of `config.toml`.
    fn keys(&self) -> &'static [&'static str];
    /// Sets one key.
    fn set(&mut self, key: &str, value: &Value) -> Result<(), SetError>;
    /// The TOML text of one key's value; `None` for an unknown key.
    fn show(&self, key: &str) -> Option<String>;
}

/// Declares a section: `key: type = default` or `key: type = default, min..=max`.
macro_rules! section {
    (
        $(#[$about:meta])*
        $type:ident, $name:literal {
            $( $(#[$doc:meta])* $key:ident : $value:ty = $default:expr $(, $range:expr)? ; )*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $type {
            $( $(#[$doc])* pub $key: $value, )*
        }

        impl Default for $type {
            fn default() -> $type {
                $type { $( $key: $default, )* }
            }
        }

        impl $crate::config::section::Section for $type {
            fn name(&self) -> &'static str {
                $name
            }

            fn keys(&self) -> &'static [&'static str] {
                &[$( stringify!($key), )*]
            }

            fn set(
                &mut self,
                key: &str,
                value: &$crate::config::value::Value,
            ) -> Result<(), $crate::config::section::SetError> {
                use $crate::config::section::SetError;
                $(
                    if key == stringify!($key) {
                        let read = $crate::config::section::section!(@read value, $value $(, $range)?);
                        self.$key = read.map_err(SetError::Value)?;
                        return Ok(());
                    }
                )*
                Err(SetError::UnknownKey)
            }

            fn show(&self, key: &str) -> Option<String> {
                $(
                    if key == stringify!($key) {
                        return Some($crate::config::value::Show::show(&self.$key));
                    }
                )*
                None
            }
        }
    };
    (@read $from:ident, $value:ty) => {
        <$value as $crate::config::value::Setting>::read($from)
    };
    (@read $from:ident, $value:ty, $range:expr) => {
        $crate::config::value::read_in::<$value>($from, &$range)
    };
}

/// Declares an enum of the names that a key allows.
macro_rules! choice {
    (
        $(#[$about:meta])*
        $type:ident { $( $(#[$doc:meta])* $variant:ident = $name:literal, )* }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $type {
            $( $(#[$doc])* $variant, )*
        }

        impl $type {
            /// Every choice, in the order of the documentation.
            pub const ALL: &'static [$type] = &[$( $type::$variant, )*];

            /// The name in the config and on the command line.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( $type::$variant => $name, )*
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::config::value::Show for $type {
            fn show(&self) -> String {
                $crate::config::value::quoted(self.as_str())
            }
        }

        impl $crate::config::value::Setting for $type {
            fn read(value: &$crate::config::value::Value) -> Result<$type, $crate::config::ValueError> {
                let text = value.text()?;
                let found = $type::ALL.iter().find(|choice| choice.as_str() == text);
                found.copied().ok_or_else(|| $crate::config::section::not_a_choice(text, &[$( $name, )*]))
            }
        }
    };
}

pub(super) use {choice, section};

/// The refusal of a text that is none of `names`.
pub(super) fn not_a_choice(text: &str, names: &[&str]) -> ValueError {
    ValueError::NotAllowed {
        value: text.to_owned(),
        allowed: names.join(", "),
        nearest: super::value::nearest(text, names.iter().copied()).map(str::to_owned),
    }
}
