//! Translation models whose vocab.json numbers the pieces of sentencepiece models: Marian and M2M-100.

use std::collections::{HashMap, HashSet};

use serde_json::{json, Map, Value};
use tokenizers::Tokenizer;

use super::class::{Class, Tokens};
use super::files::{refuse, unsupported, Files};
use super::languages::{Languages, M2M100};
use super::merges::{self, Order};
use super::parts::{self, around, Post};
use super::pieces::{ids, read};
use super::proto::{Algorithm, SentencePiece};
use super::settings::{Settings, Spec};
use super::words::{vocab_json, VOCAB_JSON};
use super::{load, named_processor, CONFIG};
use crate::guard::{Failure, Kind};
use crate::load::Loaded;
use crate::numbers::{Numbers, Side};

/// sentencepiece's own pipeline: its normalisation, one space between words and none around, a mark for each.
fn tokenizer(file: &str, model: &SentencePiece) -> Result<Tokenizer, Failure> {
    let pieces = &model.pieces;
    let built = match model.algorithm {
        Algorithm::Unigram => {
            let scored: Vec<_> = pieces.iter().map(|piece| (&piece.text, piece.score)).collect();
            json!({"type": "Unigram", "vocab": scored, "unk_id": model.unk_id, "byte_fallback": false})
        }
        Algorithm::Bpe => {
            let vocabulary = ids(pieces.iter().map(|piece| piece.text.as_str()));
            let unk = pieces[model.unk_id].text.as_str();
            parts::bpe(vocabulary, merges::generate(file, pieces, Order::Scores)?, true, false, Some(unk))
        }
    };
    let mut normalizers = Vec::new();
    if !model.charsmap.is_empty() {
        normalizers.push(parts::precompiled(&model.charsmap));
    }
    if model.remove_extra_whitespaces {
        normalizers.extend([parts::strip(true, true), parts::replace_regex(" {2,}", " ")]);
    }
    let scheme = if model.add_dummy_prefix { "always" } else { "never" };
    let json = json!({"version": "1.0", "added_tokens": [], "model": built, "post_processor": null,
                      "normalizer": parts::sequence("normalizers", normalizers),
                      "pre_tokenizer": parts::metaspace(scheme, true), "decoder": parts::metaspace("always", true)});
    let loaded = load(file, json.to_string().as_bytes())?;
    Ok(loaded.tokenizer)
}

/// The entries of vocab.json, and for M2M-100 the languages after them.
fn numbering(class: Class, vocabulary: &Map<String, Value>) -> HashMap<String, u32> {
    let number = |id: &Value| id.as_u64().and_then(|id| u32::try_from(id).ok()).unwrap_or(u32::MAX);
    let mut by_token: HashMap<String, u32> = vocabulary.iter().map(|(token, id)| (token.clone(), number(id))).collect();
    if class == Class::M2m100 {
        for (index, code) in M2M100.split_whitespace().enumerate() {
            by_token.insert(format!("__{code}__"), (vocabulary.len() + index) as u32);
        }
    }
    by_token
}

fn add(tokenizer: &mut Tokenizer, specs: &[Spec], by_token: &HashMap<String, u32>) -> Result<(), Failure> {
    let names: HashSet<&str> = HashSet::new();
    let mut added = Vec::new();
    for spec in specs {
        if !by_token.contains_key(&spec.content) {
            return unsupported(format!(
                "the token {:?}, which {CONFIG} asks for, is not in {VOCAB_JSON}",
                spec.content
            ));
        }
        let mut token = spec.added(&names);
        token.normalized = false;
        added.push(token);
    }
    tokenizer.add_tokens(added).map_err(|error| Failure::new(Kind::Model, format!("{CONFIG}: {error}")))?;
    Ok(())
}

fn side(
    file: &'static str,
    files: &Files,
    added: &[Spec],
    by_token: &HashMap<String, u32>,
    unknown: u32,
) -> Result<Side, Failure> {
    if !files.has(file) {
        return unsupported(format!("{file} is missing, which the folder's tokenizer is made of"));
    }
    let mut tokenizer = tokenizer(file, &read(file, files)?)?;
    add(&mut tokenizer, added, by_token)?;
    let own = tokenizer.get_vocab(true);
    let mut ids = vec![unknown; own.len()];
    for (token, id) in own {
        if let (Some(place), Some(number)) = (ids.get_mut(id as usize), by_token.get(&token)) {
            *place = *number;
        }
    }
    Ok(Side { tokenizer, ids })
}

/// The tokenizer of a class of this module; nothing for the others.
pub fn open(
    class: Class,
    files: &Files,
    settings: &Settings,
    tokens: &Tokens,
    languages: Option<&Languages>,
) -> Result<Option<Loaded>, Failure> {
    let (source, target) = match class {
        Class::Marian => ("source.spm", Some("target.spm")),
        Class::M2m100 => ("sentencepiece.bpe.model", None),
        _ => return Ok(None),
    };
    if settings.flag("separate_vocabs")?.unwrap_or(false) {
        return unsupported(format!("{CONFIG}: separate_vocabs is true, which is not supported"));
    }
    if settings.string("language_codes")?.is_some_and(|codes| codes != "m2m100") {
        return unsupported(format!("{CONFIG}: only the language_codes of m2m100 are supported"));
    }
    let vocabulary = vocab_json(files)?;
    let by_token = numbering(class, &vocabulary);
    let unk = tokens.need("unk_token")?;
    let Some(unknown) = by_token.get(unk).copied() else {
        return refuse(VOCAB_JSON, format!("the unknown token {unk:?} is missing"));
    };
    let named: Vec<Spec> = tokens.all().filter(|spec| by_token.contains_key(&spec.content)).cloned().collect();
    let extra = settings.extra.clone().unwrap_or_default();
    let listed: Vec<Spec> = settings.added.iter().map(|(_, spec)| spec.clone()).collect();
    let added = [listed, named, extra].concat();
    let special = added.iter().filter_map(|spec| by_token.get(&spec.content)).copied().collect();
    let Side { tokenizer, ids } = side(source, files, &added, &by_token, unknown)?;
    let target = target.map(|file| side(file, files, &added, &by_token, unknown)).transpose()?;
    let eos = tokens.need("eos_token")?;
    let post = languages.map_or_else(|| around(&[], &[eos]), Languages::source_post);
    let processor = |post: &Post| named_processor(post, &|content| by_token.get(content).copied());
    let post_processor = Some(processor(&post)?);
    let target_post = languages.map(|languages| processor(&languages.target_post())).transpose()?;
    let mut tokens: HashMap<u32, String> = HashMap::with_capacity(by_token.len());
    for (token, id) in &by_token {
        if let Some(other) = tokens.insert(*id, token.clone()) {
            return refuse(VOCAB_JSON, format!("{token:?} and {other:?} both have the id {id}"));
        }
    }
    let leading_code = class == Class::Marian;
    let numbers = Numbers { ids, target, tokens, by_token, special, unknown, leading_code };
    Ok(Some(Loaded { tokenizer, post_processor, target: target_post, from_left: false, numbers: Some(numbers) }))
}
