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

impl From<ValueError> for SetError {
    fn from(error: ValueError) -> SetError {
        SetError::Value(error)
    }
}

/// A section, seen by key name.
pub(super) trait Section {
    /// The section's name.
    fn name(&self) -> &str;
    /// Its keys, in the order of `config.toml`.
    fn keys(&self) -> Vec<&'static str>;
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
            fn name(&self) -> &str {
                $name
            }

            fn keys(&self) -> Vec<&'static str> {
                vec![$( stringify!($key), )*]
            }

            fn set(
                &mut self,
                key: &str,
                value: &$crate::config::value::Value,
            ) -> Result<(), $crate::config::section::SetError> {
                match key {
                    $( stringify!($key) => {
                        self.$key = $crate::config::section::section!(@read value, $value $(, $range)?)?;
                    } )*
                    _ => return Err($crate::config::section::SetError::UnknownKey),
                }
                Ok(())
            }

            fn show(&self, key: &str) -> Option<String> {
                match key {
                    $( stringify!($key) => Some($crate::config::value::Setting::show(&self.$key)), )*
                    _ => None,
                }
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
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type {
            $( $(#[$doc])* $variant, )*
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(match self {
                    $( $type::$variant => $name, )*
                })
            }
        }

        $crate::config::section::names! { $type { $( $variant = $name, )* } }
    };
}

/// Declares the names that a key allows, each for a value of an enum.
macro_rules! names {
    ($type:ident { $( $variant:ident = $name:literal, )* }) => {
        impl $crate::config::value::Setting for $type {
            fn read(value: &$crate::config::value::Value) -> Result<$type, $crate::config::ValueError> {
                match value.text()? {
                    $( $name => Ok($type::$variant), )*
                    text => Err($crate::config::section::not_a_choice(text, &[$( $name, )*])),
                }
            }

            fn show(&self) -> String {
                $crate::config::value::quoted(match self {
                    $( $type::$variant => $name, )*
                })
            }
        }
    };
}

/// Declares the value of a key that is a list of so many entries at least, none twice.
macro_rules! list {
    ($(#[$about:meta])* $type:ident of $item:ty, $len_min:literal..) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct $type(pub Vec<$item>);

        impl $type {
            /// The entries, in the order given.
            pub fn as_slice(&self) -> &[$item] {
                &self.0
            }
        }

        impl $crate::config::value::Setting for $type {
            fn read(value: &$crate::config::value::Value) -> Result<$type, $crate::config::ValueError> {
                $crate::config::value::read_list(value, $len_min).map($type)
            }

            fn show(&self) -> String {
                let shown: Vec<String> = self.0.iter().map(|one| one.show()).collect();
                format!("[{}]", shown.join(", "))
            }
        }
    };
}

pub(super) use {choice, list, names, section};

/// The refusal of a text that is none of `names`.
pub(super) fn not_a_choice(text: &str, names: &[&str]) -> ValueError {
    ValueError::NotAllowed {
        value: text.to_owned(),
        allowed: names.join(", "),
        nearest: super::value::nearest(text, names.iter().copied()).map(str::to_owned),
    }
}
