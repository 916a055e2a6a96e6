//! From the bytes of a tokenizer.json to a tokenizer that is safe to use.

use serde::Deserialize;
use serde_json::{json, Value};
use tokenizers::models::ModelWrapper;
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::{AddedToken, Encoding, PostProcessor, Tokenizer};

use crate::guard::{Failure, Kind};
use crate::numbers::Numbers;

/// The deepest nesting of arrays and objects that is read; files in use have about eight levels. The crate tries one
/// reading after another at each level, so that depth costs exponentially.
const MAX_DEPTH: usize = 24;
/// The longest text that a normalizer may put in for a match or before a row: it multiplies a row's size.
const MAX_INSERTED_BYTES: usize = 64;
/// WordPiece tries every part of a word, so that a row costs its length times the square of this.
const MAX_WORD_CHARS: usize = 1000;

/// A tokenizer with its post-processor apart, so that truncation can come between them without changing the tokenizer.
pub struct Loaded {
    pub tokenizer: Tokenizer,
    pub post_processor: Option<PostProcessorWrapper>,
    /// For the targets of a translation, where they have other special tokens than its sources.
    pub target: Option<PostProcessorWrapper>,
    /// Truncation takes tokens from the beginning.
    pub from_left: bool,
    /// Where the model numbers the tokenizer's pieces anew.
    pub numbers: Option<Numbers>,
}

impl Loaded {
    pub fn token(&self, id: u32) -> Option<String> {
        match &self.numbers {
            Some(numbers) => numbers.tokens.get(&id).cloned(),
            None => self.tokenizer.id_to_token(id),
        }
    }

    pub fn id(&self, token: &str) -> Option<u32> {
        match &self.numbers {
            Some(numbers) => numbers.by_token.get(token).copied(),
            None => self.tokenizer.token_to_id(token),
        }
    }

    pub fn is_special(&self, id: u32) -> bool {
        match &self.numbers {
            Some(numbers) => numbers.special.contains(&id),
            None => {
                let added = self.tokenizer.get_added_vocabulary().get_added_tokens_decoder();
                added.get(&id).is_some_and(|token| token.special)
            }
        }
    }

    /// Puts lower-casing before the normalizer, unless it names that step itself, as sentence-transformers does for
    /// `do_lower_case`.
    pub fn lower_first(&mut self) -> Result<(), Failure> {
        let wrong = |e: serde_json::Error| Failure::new(Kind::Model, format!("the normalizer: {e}"));
        let normalizer = serde_json::to_value(self.tokenizer.get_normalizer()).map_err(wrong)?;
        let mut steps = match &normalizer {
            Value::Null => vec![],
            one if one["type"] == "Sequence" => one["normalizers"].as_array().cloned().unwrap_or_default(),
            one => vec![one.clone()],
        };
        if steps.iter().any(|step| step["type"] == "Lowercase") {
            return Ok(());
        }
        steps.insert(0, json!({"type": "Lowercase"}));
        let sequence: NormalizerWrapper =
            serde_json::from_value(json!({"type": "Sequence", "normalizers": steps})).map_err(wrong)?;
        let done = self.tokenizer.with_normalizer(Some(sequence));
        done.map(|_| ()).map_err(|e| Failure::new(Kind::Model, format!("the normalizer: {e}")))
    }

    /// Takes `text`, or else its first word, as one special token wherever a row holds it, if the vocabulary has it.
    pub fn keep_whole(&mut self, text: &str) -> Result<(), Failure> {
        let failure = |e: tokenizers::Error| Failure::new(Kind::Model, e.to_string());
        let word = text.split_whitespace().next().unwrap_or_default();
        for piece in [text, word] {
            if word.is_empty() || self.tokenizer.token_to_id(piece).is_none() {
                continue;
            }
            onig::start_budget(piece.len());
            if self.tokenizer.encode_fast(piece, false).map_err(failure)?.get_tokens() != [piece] {
                let token = AddedToken::from(piece, true).normalized(false);
                self.tokenizer.add_special_tokens([token]).map_err(failure)?;
            }
            break;
        }
        Ok(())
    }

    /// Number of entries, added tokens included.
    pub fn size(&self) -> usize {
        self.numbers.as_ref().map_or_else(|| self.tokenizer.get_vocab_size(true), |numbers| numbers.tokens.len())
    }
}

#[derive(Deserialize)]
struct Declared {
    #[serde(default)]
    added_tokens: Vec<DeclaredToken>,
}

#[derive(Deserialize)]
struct DeclaredToken {
    id: u32,
    content: String,
}

fn refuse<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::new(Kind::Model, message))
}

/// Parses and checks a tokenizer.json.
pub fn load(json: &[u8]) -> Result<Loaded, Failure> {
    check_depth(json)?;
    onig::start_budget(json.len());
    let mut tokenizer: Tokenizer =
        serde_json::from_slice(json).map_err(|e| Failure::new(Kind::Model, e.to_string()))?;
    let declared: Declared = serde_json::from_slice(json).map_err(|e| Failure::new(Kind::Model, e.to_string()))?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|e| Failure::new(Kind::Model, e.to_string()))?;
    check_added_tokens(&tokenizer, &declared.added_tokens)?;
    check_model(&tokenizer)?;
    for (name, part) in [
        ("normalizer", serde_json::to_value(tokenizer.get_normalizer())),
        ("pre_tokenizer", serde_json::to_value(tokenizer.get_pre_tokenizer())),
        ("decoder", serde_json::to_value(tokenizer.get_decoder())),
    ] {
        check_part(name, &part.map_err(|e| Failure::new(Kind::Model, format!("{name}: {e}")))?)?;
    }
    let post_processor = tokenizer.get_post_processor().cloned();
    tokenizer.with_post_processor(None::<PostProcessorWrapper>);
    check_post_processor(&tokenizer, post_processor.as_ref())?;
    Ok(Loaded { tokenizer, post_processor, target: None, from_left: false, numbers: None })
}

pub fn check_depth(json: &[u8]) -> Result<(), Failure> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for &byte in json {
        if in_string {
            (in_string, escaped) = (escaped || byte != b'"', !escaped && byte == b'\\');
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return refuse(format!("nested deeper than {MAX_DEPTH} levels"));
        }
    }
    Ok(())
}

/// The crate gives an added token that the vocabulary lacks the next free id, whatever the file says.
fn check_added_tokens(tokenizer: &Tokenizer, declared: &[DeclaredToken]) -> Result<(), Failure> {
    for token in declared.iter().filter(|token| !token.content.is_empty()) {
        let id = tokenizer.token_to_id(&token.content);
        if id != Some(token.id) {
            return refuse(format!(
                "added_tokens: {:?} has id {}, but {} is its id by the vocabulary",
                token.content,
                token.id,
                id.map_or_else(|| "none".into(), |id| id.to_string())
            ));
        }
    }
    Ok(())
}

fn check_model(tokenizer: &Tokenizer) -> Result<(), Failure> {
    match tokenizer.get_model() {
        ModelWrapper::BPE(bpe) if bpe.dropout.is_some_and(|dropout| dropout != 0.0) => {
            return refuse("model: dropout makes the tokens random, expected null");
        }
        ModelWrapper::WordPiece(model) if model.max_input_chars_per_word > MAX_WORD_CHARS => {
            let chars = model.max_input_chars_per_word;
            return refuse(format!("model: max_input_chars_per_word is {chars}, at most {MAX_WORD_CHARS} are taken"));
        }
        _ => {}
    }
    let vocabulary = tokenizer.get_vocab(true);
    if vocabulary.is_empty() {
        return refuse("model: the vocabulary is empty");
    }
    match vocabulary.iter().max_by_key(|(_, id)| **id) {
        Some((token, id)) if i32::try_from(*id).is_err() => {
            refuse(format!("model: the id {id} of {token:?} is larger than {}", i32::MAX))
        }
        _ => Ok(()),
    }
}

/// Looks for parts that would multiply a text's size, and for one that has no meaning.
fn check_part(name: &str, part: &Value) -> Result<(), Failure> {
    match part {
        Value::Array(items) => items.iter().try_for_each(|item| check_part(name, item)),
        Value::Object(members) => {
            for key in ["content", "prepend"] {
                if members.get(key).and_then(Value::as_str).is_some_and(|text| text.len() > MAX_INSERTED_BYTES) {
                    return refuse(format!("{name}: {key} is longer than {MAX_INSERTED_BYTES} bytes"));
                }
            }
            if members.get("type").and_then(Value::as_str) == Some("FixedLength")
                && members.get("length").and_then(Value::as_u64) == Some(0)
            {
                return refuse(format!("{name}: FixedLength has length 0"));
            }
            members.values().try_for_each(|member| check_part(name, member))
        }
        _ => Ok(()),
    }
}

pub fn check_post_processor(
    tokenizer: &Tokenizer,
    post_processor: Option<&PostProcessorWrapper>,
) -> Result<(), Failure> {
    let Some(post_processor) = post_processor else { return Ok(()) };
    for pair in [None, Some(Encoding::default())] {
        let encoding = post_processor
            .process(Encoding::default(), pair, true)
            .map_err(|e| Failure::new(Kind::Model, format!("post_processor: {e}")))?;
        if let Some(id) = encoding.get_ids().iter().find(|id| tokenizer.id_to_token(**id).is_none()) {
            return refuse(format!("post_processor: the id {id} is not in the vocabulary"));
        }
        if let Some(id) = encoding.get_type_ids().iter().find(|id| u8::try_from(**id).is_err()) {
            return refuse(format!("post_processor: the type id {id} is larger than 255"));
        }
    }
    Ok(())
}
