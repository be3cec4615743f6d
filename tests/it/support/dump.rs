//! Everything that a Redis holds, so that two runs can be compared.

use std::collections::BTreeMap;

use redis::Value;

use super::redis::RedisServer;

/// Every value by key and field; a string has no field. Manifests come without the time of their writing.
pub(crate) fn dump(redis: &RedisServer) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    for key in texts(redis.command(&["KEYS", "*"])) {
        // Who owns bars is no bar; `owners` looks at that.
        if key.starts_with("owner:") {
            continue;
        }
        if redis.command(&["TYPE", &key]) == Value::SimpleString("hash".to_owned()) {
            for pair in texts(redis.command(&["HGETALL", &key])).chunks(2) {
                found.insert((key.clone(), pair[0].clone()), timeless(&pair[1]));
            }
        } else {
            let value = redis::from_redis_value(redis.command(&["GET", &key])).expect("a text");
            found.insert((key, String::new()), value);
        }
    }
    found
}

/// Whether a key is one of the manifests.
pub(crate) fn is_manifest(key: &str) -> bool {
    key.contains("manifest")
}

fn timeless(text: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<serde_json::Value>(text) else {
        return text.to_owned();
    };
    match value
        .as_object_mut()
        .map(|fields| fields.remove("updated_at"))
    {
        Some(Some(_)) => value.to_string(),
        Some(None) | None => text.to_owned(),
    }
}

fn texts(value: Value) -> Vec<String> {
    redis::from_redis_value(value).expect("a list of texts")
}
