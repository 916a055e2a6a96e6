//! The files of a model folder that describe its tokenizer, as bytes.

use serde_json::{Map, Value};

use crate::guard::{Failure, Kind};
use crate::load::check_depth;

/// A refusal that names the file.
pub fn refuse<T>(file: &str, message: impl std::fmt::Display) -> Result<T, Failure> {
    Err(Failure::new(Kind::Model, format!("{file}: {message}")))
}

/// A folder that may be sound, but whose tokenizer is not built here.
pub fn unsupported<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::new(Kind::Unsupported, message))
}

/// A value as a message shows it, cut to a line's part.
pub fn shown(value: &Value) -> String {
    let text = value.to_string();
    let mut part: String = text.chars().take(60).collect();
    if part.len() < text.len() {
        part.push('…');
    }
    part
}

/// Name and content of each file that is there.
pub struct Files<'a>(pub Vec<(&'a str, &'a [u8])>);

impl<'a> Files<'a> {
    pub fn bytes(&self, name: &str) -> Option<&'a [u8]> {
        self.0.iter().find(|(file, _)| *file == name).map(|(_, bytes)| *bytes)
    }

    pub fn has(&self, name: &str) -> bool {
        self.bytes(name).is_some()
    }

    pub fn text(&self, name: &str) -> Result<Option<&'a str>, Failure> {
        let Some(bytes) = self.bytes(name) else { return Ok(None) };
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(error) => refuse(name, format!("not UTF-8: {error}")),
        }
    }

    /// The object of a JSON file; nothing for a missing one.
    pub fn object(&self, name: &str) -> Result<Option<Map<String, Value>>, Failure> {
        let Some(bytes) = self.bytes(name) else { return Ok(None) };
        check_depth(bytes).map_err(|failure| failure.within(name))?;
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(members)) => Ok(Some(members)),
            Ok(value) => refuse(name, format!("{}, expected an object", shown(&value))),
            Err(error) => refuse(name, error),
        }
    }
}
