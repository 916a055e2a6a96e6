//! What tokenizer_config.json, special_tokens_map.json and added_tokens.json say, read as transformers reads them.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::entries::{self, Keys};
use super::files::{refuse, shown, Files};
use crate::guard::Failure;

const CONFIG: &str = "tokenizer_config.json";
const TOKENS_MAP: &str = "special_tokens_map.json";
const ADDED: &str = "added_tokens.json";

/// The names that every tokenizer's special tokens have, in the order in which they are added.
pub const NAMES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The most tokens that a list of further ones may have, and the most names of the model's own; files in use have some
/// thousands and some ten.
const MAX_EXTRA: usize = 1 << 14;
const MAX_NAMED: usize = 1 << 10;

/// A token with those of its properties that are said; the others follow from `special`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spec {
    pub content: String,
    pub single_word: Option<bool>,
    pub lstrip: Option<bool>,
    pub rstrip: Option<bool>,
    pub normalized: Option<bool>,
    pub special: Option<bool>,
    /// Written as a string, which makes it special.
    pub plain: bool,
}

impl Spec {
    pub fn plain(content: impl Into<String>) -> Self {
        Self { content: content.into(), plain: true, ..Self::default() }
    }

    pub fn added(&self, named: &HashSet<&str>) -> AddedToken {
        let special = self.plain || self.special == Some(true) || named.contains(self.content.as_str());
        let mut token = AddedToken::from(self.content.clone(), special);
        token.single_word = self.single_word.unwrap_or(token.single_word);
        token.lstrip = self.lstrip.unwrap_or(token.lstrip);
        token.rstrip = self.rstrip.unwrap_or(token.rstrip);
        token.normalized = self.normalized.unwrap_or(token.normalized);
        token
    }

    fn read(file: &str, key: &str, value: &Value) -> Result<Self, Failure> {
        let Value::Object(members) = value else {
            return match value.as_str() {
                Some(text) => Ok(Self::plain(text)),
                None => refuse(file, format!("{key} is {}, expected a token", shown(value))),
            };
        };
        let mut spec = Self::default();
        for (name, member) in members {
            let flag = || match member.as_bool() {
                Some(flag) => Ok(Some(flag)),
                None => refuse(file, format!("{key}: {name} is {}, expected true or false", shown(member))),
            };
            match name.as_str() {
                "content" => spec.content = text(file, key, member)?,
                "single_word" => spec.single_word = flag()?,
                "lstrip" => spec.lstrip = flag()?,
                "rstrip" => spec.rstrip = flag()?,
                "normalized" => spec.normalized = flag()?,
                "special" => spec.special = flag()?,
                "__type" | "id" => {}
                _ => return refuse(file, format!("{key}: {name:?} is no property of a token")),
            }
        }
        Ok(spec)
    }

    fn read_all(file: &str, key: &str, value: &Value) -> Result<Vec<Self>, Failure> {
        match value {
            Value::Array(items) if items.len() > MAX_EXTRA => {
                refuse(file, format!("{key} has {} tokens, at most {MAX_EXTRA} are taken", items.len()))
            }
            Value::Array(items) => items.iter().map(|item| Self::read(file, key, item)).collect(),
            _ => refuse(file, format!("{key} is {}, expected an array of tokens", shown(value))),
        }
    }
}

fn text(file: &str, key: &str, value: &Value) -> Result<String, Failure> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => refuse(file, format!("{key} is {}, expected a string", shown(value))),
    }
}

/// The settings of a folder.
#[derive(Default)]
pub struct Settings {
    config: Map<String, Value>,
    /// Named tokens in the order of `NAMES`, then those of the model's own names; None where the file says null.
    named: Vec<(String, Option<Spec>)>,
    /// Further special tokens; None where no file lists any.
    pub extra: Option<Vec<Spec>>,
    /// Added tokens by id, ascending.
    pub added: Vec<(u64, Spec)>,
    /// The file that `added` comes from.
    pub added_file: &'static str,
}

impl Settings {
    pub fn read(files: &Files) -> Result<Self, Failure> {
        let mut settings = Self { config: files.object(CONFIG)?.unwrap_or_default(), ..Self::default() };
        let config = settings.config.clone();
        for (key, value) in &config {
            settings.read_token(CONFIG, key, value)?;
        }
        if settings.extra.as_ref().is_none_or(Vec::is_empty) {
            if let Some(value) = config.get("additional_special_tokens").filter(|value| !value.is_null()) {
                settings.extra = Some(Spec::read_all(CONFIG, "additional_special_tokens", value)?);
            }
        }
        settings.order_tokens(&entries::keys(files.bytes(CONFIG)));
        match config.get("added_tokens_decoder") {
            Some(value) => settings.read_added_decoder(value)?,
            None => settings.read_older_files(files)?,
        }
        settings.added.sort_by_key(|(id, _)| *id);
        Ok(settings)
    }

    fn read_token(&mut self, file: &str, key: &str, value: &Value) -> Result<(), Failure> {
        if key == "extra_special_tokens" {
            match value {
                Value::Null => {}
                Value::Object(members) => {
                    for (name, member) in members {
                        self.set(file, name, Some(Spec::read(file, name, member)?))?;
                    }
                }
                _ => self.extra = Some(Spec::read_all(file, key, value)?),
            }
        } else if NAMES.contains(&key)
            || key.ends_with("_token") && (value.is_null() || value.is_string() || value.is_object())
        {
            let spec = if value.is_null() { None } else { Some(Spec::read(file, key, value)?) };
            self.set(file, key, spec)?;
        }
        Ok(())
    }

    /// The model's own tokens in the order of the file, those of `extra_special_tokens` last.
    fn order_tokens(&mut self, keys: &Keys) {
        let mut places = HashMap::new();
        for (place, key) in keys.own.iter().chain(&keys.extra).enumerate() {
            places.entry(key.as_str()).or_insert(place);
        }
        self.named.sort_by_key(|(name, _)| places.get(name.as_str()).copied());
    }

    fn set(&mut self, file: &str, name: &str, spec: Option<Spec>) -> Result<(), Failure> {
        if let Some((_, value)) = self.named.iter_mut().find(|(known, _)| known == name) {
            *value = spec;
        } else if self.named.len() < MAX_NAMED {
            self.named.push((name.to_owned(), spec));
        } else {
            return refuse(file, format!("more than {MAX_NAMED} names of special tokens"));
        }
        Ok(())
    }

    fn read_added_decoder(&mut self, value: &Value) -> Result<(), Failure> {
        let Value::Object(members) = value else {
            return refuse(CONFIG, format!("added_tokens_decoder is {}, expected an object", shown(value)));
        };
        self.added_file = CONFIG;
        for (id, member) in members {
            let Ok(number) = id.parse::<u64>() else {
                return refuse(CONFIG, format!("added_tokens_decoder: the key {id:?} is no id"));
            };
            if !member.is_object() {
                return refuse(CONFIG, format!("added_tokens_decoder: {id} is {}, expected a token", shown(member)));
            }
            self.added.push((number, Spec::read(CONFIG, "added_tokens_decoder", member)?));
        }
        Ok(())
    }

    fn read_older_files(&mut self, files: &Files) -> Result<(), Failure> {
        for (key, value) in files.object(TOKENS_MAP)?.unwrap_or_default() {
            if key == "additional_special_tokens" {
                let mut specs = Spec::read_all(TOKENS_MAP, &key, &value)?;
                specs.iter_mut().for_each(|spec| spec.special = spec.special.or(Some(true)));
                if self.extra.as_ref().is_none_or(Vec::is_empty) {
                    self.extra = Some(specs);
                }
                continue;
            }
            self.read_token(TOKENS_MAP, &key, &value)?;
        }
        let special: HashSet<String> =
            self.named().map(|(_, spec)| spec).chain(self.extra.iter().flatten()).map(|s| s.content.clone()).collect();
        for (content, id) in files.object(ADDED)?.unwrap_or_default() {
            let Some(id) = id.as_u64() else {
                return refuse(ADDED, format!("{content:?} has {}, expected an id", shown(&id)));
            };
            let is_special = special.contains(&content);
            let spec = Spec { content, normalized: Some(!is_special), special: Some(is_special), ..Spec::default() };
            self.added.push((id, spec));
        }
        self.added_file = ADDED;
        Ok(())
    }

    fn named(&self) -> impl Iterator<Item = (&str, &Spec)> {
        self.named.iter().filter_map(|(name, spec)| spec.as_ref().map(|spec| (name.as_str(), spec)))
    }

    /// The named token, where the folder says nothing about it the class's own.
    pub fn token(&self, name: &str, default: Option<Spec>) -> Option<Spec> {
        match self.named.iter().find(|(known, _)| known == name) {
            Some((_, spec)) => spec.clone(),
            None => default,
        }
    }

    /// Tokens with names of the model's own, such as `image_token`.
    pub fn own_tokens(&self) -> impl Iterator<Item = &Spec> {
        self.named().filter(|(name, _)| !NAMES.contains(name)).map(|(_, spec)| spec)
    }

    pub fn says(&self, key: &str) -> bool {
        self.config.contains_key(key)
    }

    /// A setting that is true, false, or absent; null counts as absent.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, Failure> {
        match self.config.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(value) => refuse(CONFIG, format!("{key} is {}, expected true or false", shown(value))),
        }
    }

    pub fn count(&self, key: &str, default: u64, limit: u64) -> Result<u64, Failure> {
        match self.config.get(key) {
            None => Ok(default),
            Some(value) => match value.as_u64().filter(|count| *count <= limit) {
                Some(count) => Ok(count),
                None => refuse(CONFIG, format!("{key} is {}, expected 0 to {limit}", shown(value))),
            },
        }
    }

    pub fn string(&self, key: &str) -> Result<Option<String>, Failure> {
        match self.config.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => text(CONFIG, key, value).map(Some),
        }
    }
}
