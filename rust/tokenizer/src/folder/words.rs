//! Tokenizers whose vocabulary is a text file: vocab.txt, or vocab.json with merges.txt.

use std::collections::HashMap;

use serde_json::{json, Map, Value};

use super::class::{Class, Tokens};
use super::files::{refuse, shown, unsupported, Files};
use super::parts::{self, Draft, Post};
use super::settings::Settings;
use crate::guard::Failure;

pub const VOCAB_TXT: &str = "vocab.txt";
pub const VOCAB_JSON: &str = "vocab.json";
pub const MERGES: &str = "merges.txt";

/// Splits as the class does (tokenization_qwen2.py).
const QWEN2_PATTERN: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*",
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
);

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_terminator('\n').map(|line| line.strip_suffix('\r').unwrap_or(line))
}

/// One token a line.
pub fn vocab_txt(files: &Files) -> Result<Map<String, Value>, Failure> {
    let Some(text) = files.text(VOCAB_TXT)? else { return missing(VOCAB_TXT) };
    let mut vocabulary = Map::new();
    for (id, line) in lines(text).enumerate() {
        if let Some(first) = vocabulary.insert(line.trim_end().to_owned(), json!(id)) {
            return refuse(VOCAB_TXT, format!("line {}: {:?} is also on line {}", id + 1, line, number(&first) + 1));
        }
    }
    Ok(vocabulary)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(u64::MAX)
}

fn missing<T>(name: &str) -> Result<T, Failure> {
    unsupported(format!("{name} is missing, which the folder's tokenizer is made of"))
}

pub fn vocab_json(files: &Files) -> Result<Map<String, Value>, Failure> {
    let Some(vocabulary) = files.object(VOCAB_JSON)? else { return missing(VOCAB_JSON) };
    let mut tokens = HashMap::with_capacity(vocabulary.len());
    for (token, id) in &vocabulary {
        let Some(number) = id.as_u64().filter(|id| *id < i32::MAX as u64) else {
            return refuse(VOCAB_JSON, format!("{token:?} has {}, expected an id", shown(id)));
        };
        if let Some(other) = tokens.insert(number, token) {
            return refuse(VOCAB_JSON, format!("{token:?} and {other:?} both have the id {number}"));
        }
    }
    Ok(vocabulary)
}

/// Two tokens a line, the more important merge first.
fn merges(files: &Files, vocabulary: &Map<String, Value>) -> Result<Value, Failure> {
    let Some(text) = files.text(MERGES)? else { return missing(MERGES) };
    let mut merges = Vec::new();
    for (index, line) in lines(text).enumerate() {
        if line.starts_with("#version") || line.is_empty() {
            continue;
        }
        let Some((left, right)) = line.split_once(' ').filter(|(_, right)| !right.contains(' ')) else {
            return refuse(MERGES, format!("line {}: {line:?}, expected two tokens", index + 1));
        };
        for token in [left, right, &format!("{left}{right}")] {
            if !vocabulary.contains_key(token) {
                return refuse(MERGES, format!("line {}: {token:?} is not in {VOCAB_JSON}", index + 1));
            }
        }
        merges.push(json!([left, right]));
    }
    Ok(Value::Array(merges))
}

fn word_piece(files: &Files, settings: &Settings, tokens: &Tokens, post: Post) -> Result<Draft, Failure> {
    let vocabulary = vocab_txt(files)?;
    let unk = tokens.need("unk_token")?;
    Ok(Draft {
        file: VOCAB_TXT,
        normalizer: json!({"type": "BertNormalizer", "clean_text": true,
            "handle_chinese_chars": settings.flag("tokenize_chinese_chars")?.unwrap_or(true),
            "strip_accents": settings.flag("strip_accents")?,
            "lowercase": settings.flag("do_lower_case")?.unwrap_or(true)}),
        pre_tokenizer: json!({"type": "BertPreTokenizer"}),
        model: json!({"type": "WordPiece", "vocab": vocabulary, "unk_token": unk,
            "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}),
        decoder: json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
        post,
    })
}

/// Residues apart at white space; every entry of the vocabulary is also found inside words.
fn esm(files: &Files, tokens: &Tokens) -> Result<Draft, Failure> {
    let (cls, eos) = (tokens.need("cls_token")?, tokens.need("eos_token")?);
    let single = vec![parts::token(cls, 0), parts::Place::A, parts::token(eos, 0)];
    let pair = [single.clone(), vec![parts::Place::B(0), parts::token(eos, 0)]].concat();
    Ok(Draft {
        file: VOCAB_TXT,
        normalizer: Value::Null,
        pre_tokenizer: json!({"type": "WhitespaceSplit"}),
        model: json!({"type": "WordLevel", "vocab": vocab_txt(files)?, "unk_token": tokens.need("unk_token")?}),
        decoder: Value::Null,
        post: Post::Template { single, pair },
    })
}

fn byte_level(files: &Files, normalizer: Value, pre_tokenizer: Value, post: Post) -> Result<Draft, Failure> {
    let vocabulary = vocab_json(files)?;
    let merges = merges(files, &vocabulary)?;
    Ok(Draft {
        file: VOCAB_JSON,
        normalizer,
        pre_tokenizer,
        model: parts::bpe(Value::Object(vocabulary), merges, false, false, None),
        decoder: parts::byte_level(true, true),
        post,
    })
}

/// The pipeline of a class of this module; nothing for the others.
pub fn draft(class: Class, files: &Files, settings: &Settings, tokens: &Tokens) -> Result<Option<Draft>, Failure> {
    let prefix_space = |default: bool| settings.flag("add_prefix_space").map(|flag| flag.unwrap_or(default));
    let nfc = json!({"type": "NFC"});
    Ok(Some(match class {
        Class::Bert => {
            let post = parts::cls_sep(tokens.need("cls_token")?, tokens.need("sep_token")?);
            word_piece(files, settings, tokens, post)?
        }
        Class::MpNet => {
            let (cls, sep) = (tokens.need("cls_token")?.into(), tokens.need("sep_token")?.into());
            let post = Post::Roberta { sep, cls, trim_offsets: true, add_prefix_space: false };
            word_piece(files, settings, tokens, post)?
        }
        Class::Esm => esm(files, tokens)?,
        Class::Gpt2 => byte_level(files, Value::Null, parts::byte_level(prefix_space(false)?, true), Post::Ends)?,
        Class::CodeGen => {
            byte_level(files, Value::Null, parts::byte_level(prefix_space(false)?, true), Post::EndsIfSaid)?
        }
        Class::GptNeoX => byte_level(files, nfc, parts::byte_level(prefix_space(false)?, true), Post::Ends)?,
        Class::Roberta => {
            let add_prefix_space = prefix_space(false)?;
            let (cls, sep) = (tokens.need("cls_token")?.into(), tokens.need("sep_token")?.into());
            let trim_offsets = settings.flag("trim_offsets")?.unwrap_or(true);
            let post = Post::Roberta { sep, cls, trim_offsets, add_prefix_space };
            byte_level(files, Value::Null, parts::byte_level(add_prefix_space, true), post)?
        }
        Class::Deberta => {
            let post = parts::doubled_sep(tokens.need("cls_token")?, tokens.need("sep_token")?);
            byte_level(files, Value::Null, parts::byte_level(prefix_space(false)?, true), post)?
        }
        Class::Blenderbot => {
            // Generation 5 forgets the end token, which the models were trained with and generation 4 puts.
            let single = vec![parts::Place::A, parts::token(tokens.need("eos_token")?, 0)];
            let post = Post::Template { single, pair: vec![parts::Place::A, parts::Place::B(1)] };
            byte_level(files, Value::Null, parts::byte_level(prefix_space(true)?, true), post)?
        }
        Class::Qwen2 => {
            let split = json!({"type": "Split", "pattern": {"Regex": QWEN2_PATTERN}, "behavior": "Isolated",
                               "invert": false});
            let splits = vec![split, parts::byte_level(prefix_space(false)?, false)];
            byte_level(files, nfc, parts::sequence("pretokenizers", splits), Post::Ends)?
        }
        _ => return Ok(None),
    }))
}
