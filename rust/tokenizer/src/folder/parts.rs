//! Parts of a tokenizer.json, as the crate writes them.

use serde_json::{json, Value};

pub const SPACE: &str = "\u{2581}";

pub fn sequence(kind: &str, parts: Vec<Value>) -> Value {
    json!({"type": "Sequence", kind: parts})
}

pub fn replace(pattern: &str, content: &str) -> Value {
    json!({"type": "Replace", "pattern": {"String": pattern}, "content": content})
}

pub fn replace_regex(pattern: &str, content: &str) -> Value {
    json!({"type": "Replace", "pattern": {"Regex": pattern}, "content": content})
}

pub fn strip(left: bool, right: bool) -> Value {
    json!({"type": "Strip", "strip_left": left, "strip_right": right})
}

pub fn precompiled(charsmap: &[u8]) -> Value {
    json!({"type": "Precompiled", "precompiled_charsmap": base64::encode(charsmap)})
}

pub fn metaspace(scheme: &str, split: bool) -> Value {
    json!({"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": split})
}

/// Words apart at white space, each with a mark of its space.
pub fn metaspace_of_words(scheme: &str) -> Value {
    sequence("pretokenizers", vec![json!({"type": "WhitespaceSplit"}), metaspace(scheme, true)])
}

pub fn byte_level(add_prefix_space: bool, use_regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": true, "use_regex": use_regex})
}

/// From pieces with bytes among them to text.
pub fn byte_fallback_decoder(strip_first_space: bool) -> Value {
    let mut decoders = vec![replace(SPACE, " "), json!({"type": "ByteFallback"}), json!({"type": "Fuse"})];
    if strip_first_space {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    sequence("decoders", decoders)
}

pub fn bpe(vocabulary: Value, merges: Value, fuse_unk: bool, byte_fallback: bool, unk: Option<&str>) -> Value {
    json!({"type": "BPE", "vocab": vocabulary, "merges": merges, "dropout": null, "unk_token": unk,
           "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": fuse_unk,
           "byte_fallback": byte_fallback})
}

/// One place of a template: a text or a token, with its type id.
#[derive(Clone, Debug)]
pub enum Place {
    A,
    B(u8),
    Token(String, u8),
}

/// What puts special tokens around the texts.
#[derive(Clone, Debug)]
pub enum Post {
    Template {
        single: Vec<Place>,
        pair: Vec<Place>,
    },
    Roberta {
        sep: String,
        cls: String,
        trim_offsets: bool,
        add_prefix_space: bool,
    },
    /// Begin and end tokens as `add_bos_token` and `add_eos_token` say.
    Ends,
    /// As `Ends` if the folder says anything about them, otherwise nothing but ByteLevel's offsets.
    EndsIfSaid,
}

pub fn token(content: &str, type_id: u8) -> Place {
    Place::Token(content.to_owned(), type_id)
}

/// `cls A sep`, `cls A sep B sep`, the second text of type 1.
pub fn cls_sep(cls: &str, sep: &str) -> Post {
    let single = vec![token(cls, 0), Place::A, token(sep, 0)];
    let pair = [single.clone(), vec![Place::B(1), token(sep, 1)]].concat();
    Post::Template { single, pair }
}

/// `bos A eos`, `bos A eos eos B eos`, all of type 0.
pub fn doubled_sep(bos: &str, eos: &str) -> Post {
    let single = vec![token(bos, 0), Place::A, token(eos, 0)];
    let pair = [single.clone(), vec![token(eos, 0), Place::B(0), token(eos, 0)]].concat();
    Post::Template { single, pair }
}

/// `before A after`, `before A B after`, all of type 0.
pub fn around(before: &[&str], after: &[&str]) -> Post {
    let place = |tokens: &[&str]| tokens.iter().map(|content| token(content, 0)).collect::<Vec<_>>();
    let single = [place(before), vec![Place::A], place(after)].concat();
    let pair = [place(before), vec![Place::A, Place::B(0)], place(after)].concat();
    Post::Template { single, pair }
}

/// A pipeline without its vocabulary of added tokens.
pub struct Draft {
    /// The file that the model comes from, for messages.
    pub file: &'static str,
    pub normalizer: Value,
    pub pre_tokenizer: Value,
    pub model: Value,
    pub decoder: Value,
    pub post: Post,
}
