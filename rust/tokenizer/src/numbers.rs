//! Vocabularies that number the pieces of a sentencepiece model anew.

use std::collections::{HashMap, HashSet};

use tokenizers::{Decoder, Encoding, Tokenizer};

use crate::guard::{Failure, Kind};

/// A tokenizer and the model's id for each of its own.
pub struct Side {
    pub tokenizer: Tokenizer,
    pub ids: Vec<u32>,
}

/// The model's own ids.
pub struct Numbers {
    /// By the id of the source's tokenizer.
    pub ids: Vec<u32>,
    /// For targets that are cut by another sentencepiece model.
    pub target: Option<Side>,
    pub tokens: HashMap<u32, String>,
    pub by_token: HashMap<String, u32>,
    pub special: HashSet<u32>,
    pub unknown: u32,
    /// A text may begin with the code of the target language, as in `>>fra<< text`.
    pub leading_code: bool,
}

/// The code that a text begins with, such as `>>fra<<`, or nothing.
fn leading_code(text: &str) -> &str {
    match text.strip_prefix(">>").and_then(|rest| rest.find("<<")) {
        Some(end) => &text[..2 + end + 2],
        None => "",
    }
}

impl Numbers {
    /// What of a text the tokenizer does not see.
    pub fn code<'t>(&self, text: &'t str) -> &'t str {
        if self.leading_code {
            leading_code(text)
        } else {
            ""
        }
    }

    /// The encoding of the rest of a text with the model's ids, behind the code that the text begins with.
    pub fn renumber(&self, encoding: &Encoding, ids: &[u32], code: &str) -> Encoding {
        let first = usize::from(!code.is_empty());
        let shift = code.chars().count();
        let number = |id: &u32| ids.get(*id as usize).copied().unwrap_or(self.unknown);
        let code_id = self.by_token.get(code).copied().unwrap_or(self.unknown);
        let head = std::iter::repeat_n(code_id, first);
        let offsets = encoding.get_offsets().iter().map(|(start, end)| (start + shift, end + shift));
        let length = encoding.len() + first;
        Encoding::new(
            head.chain(encoding.get_ids().iter().map(number)).collect(),
            vec![0; length],
            std::iter::repeat_n(code.to_owned(), first).chain(encoding.get_tokens().iter().cloned()).collect(),
            vec![None; length],
            std::iter::repeat_n((0, shift), first).chain(offsets).collect(),
            vec![0; length],
            vec![1; length],
            Vec::new(),
            Default::default(),
        )
    }

    pub fn decode(&self, tokenizer: &Tokenizer, ids: &[u32], skip_special_tokens: bool) -> Result<String, Failure> {
        let kept = ids.iter().filter(|id| !(skip_special_tokens && self.special.contains(id)));
        let tokens: Vec<String> = kept.filter_map(|id| self.tokens.get(id).cloned()).collect();
        let text = match tokenizer.get_decoder() {
            Some(decoder) => decoder.decode(tokens),
            None => Ok(tokens.join("")),
        };
        text.map_err(|error| Failure::new(Kind::Model, error.to_string()))
    }
}
