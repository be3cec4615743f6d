//! JSON as a plain tree: keys in order, repeated ones kept, scalars as their text.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// One JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// An object's members, in order.
    Object(Vec<(String, Tree)>),
    /// An array's elements.
    Array(Vec<Tree>),
    /// The text of a string with its quotes, a number or a word.
    Scalar(String),
}

/// Members in order, repeated keys included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'a>, D::Error> {
        struct Walk;

        impl<'de> Visitor<'de> for Walk {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Walk).map(Members)
    }
}

impl Tree {
    /// Reads one whole JSON text; `None` for anything else.
    pub fn parse(text: &[u8]) -> Option<Tree> {
        Tree::of(serde_json::from_slice(text).ok()?)
    }

    fn of(raw: &RawValue) -> Option<Tree> {
        let text = raw.get();
        match text.as_bytes().first()? {
            b'{' => {
                let Members(members) = serde_json::from_str(text).ok()?;
                members
                    .into_iter()
                    .map(|(key, raw)| Some((key, Tree::of(raw)?)))
                    .collect::<Option<_>>()
                    .map(Tree::Object)
            }
            b'[' => {
                let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                elements
                    .into_iter()
                    .map(Tree::of)
                    .collect::<Option<_>>()
                    .map(Tree::Array)
            }
            _ => Some(Tree::Scalar(text.to_owned())),
        }
    }

    /// The member of an object.
    pub fn get(&self, key: &str) -> Option<&Tree> {
        let Tree::Object(members) = self else {
            return None;
        };
        members
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// The elements of an array.
    pub fn elements(&self) -> Option<&[Tree]> {
        if let Tree::Array(elements) = self {
            Some(elements)
        } else {
            None
        }
    }

    /// The text of a scalar, with its quotes.
    pub fn scalar(&self) -> Option<&str> {
        if let Tree::Scalar(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// Whether no object has a key twice, so that every reader must see the same.
    pub fn is_plain(&self) -> bool {
        match self {
            Tree::Object(members) => members.iter().enumerate().all(|(index, (key, value))| {
                value.is_plain() && members[..index].iter().all(|(other, _)| other != key)
            }),
            Tree::Array(elements) => elements.iter().all(Tree::is_plain),
            Tree::Scalar(_) => true,
        }
    }

    /// The same value, written with blanks and, if asked, with the members turned around.
    pub fn write(&self, out: &mut String, is_turned: bool) {
        match self {
            Tree::Object(members) => {
                out.push('{');
                let mut order: Vec<usize> = (0..members.len()).collect();
                if is_turned {
                    order.reverse();
                }
                for (place, index) in order.into_iter().enumerate() {
                    let (key, value) = &members[index];
                    out.push_str(if place == 0 { " " } else { " ,\n\t" });
                    out.push_str(&serde_json::to_string(key).expect("a text is JSON"));
                    out.push_str(" : ");
                    value.write(out, is_turned);
                }
                out.push_str(" }");
            }
            Tree::Array(elements) => {
                out.push('[');
                for (place, element) in elements.iter().enumerate() {
                    out.push_str(if place == 0 { "\r\n" } else { " , " });
                    element.write(out, is_turned);
                }
                out.push_str(" ]");
            }
            Tree::Scalar(text) => out.push_str(text),
        }
    }
}
