//! Tokenizers whose vocabulary is a sentencepiece model.

use serde_json::{json, Map, Value};

use super::class::{Class, Tokens};
use super::files::{refuse, unsupported, Files};
use super::languages::{Languages, MBART, MBART50};
use super::merges::{self, Order};
use super::parts::{self, Draft, Post, SPACE};
use super::proto::{Algorithm, Piece, PieceKind, SentencePiece};
use super::settings::{Settings, Spec};
use crate::guard::Failure;

/// The most sentinel tokens that T5's class adds, and the most that Pegasus' does.
const MAX_EXTRA: u64 = 10_000;

/// Where the classes look for their model; generation 5 takes any other's name where its own is missing.
pub fn model_file(class: Class, files: &Files) -> Result<&'static str, Failure> {
    let own = match class {
        Class::T5 | Class::Albert | Class::Pegasus | Class::BigBird => "spiece.model",
        Class::DebertaV2 => "spm.model",
        Class::Llama | Class::LlamaFour | Class::Gemma => "tokenizer.model",
        _ => "sentencepiece.bpe.model",
    };
    match [own, "tokenizer.model"].into_iter().find(|name| files.has(name)) {
        Some(name) => Ok(name),
        None => unsupported(format!("{own} is missing, which the folder's tokenizer is made of")),
    }
}

pub fn read(file: &str, files: &Files) -> Result<SentencePiece, Failure> {
    SentencePiece::read(files.bytes(file).unwrap_or_default()).map_err(|failure| failure.within(file))
}

fn scored<'a>(pieces: impl IntoIterator<Item = &'a Piece>) -> Vec<(String, f64)> {
    pieces.into_iter().map(|piece| (piece.text.clone(), piece.score)).collect()
}

/// fairseq's first entries instead of sentencepiece's.
fn fairseq(tokens: &Tokens, first: &str, pieces: &[Piece]) -> Result<Vec<(String, f64)>, Failure> {
    let names = [first, "pad_token", "eos_token", "unk_token"];
    let start: Result<Vec<_>, _> = names.iter().map(|name| Ok((tokens.need(name)?.to_owned(), 0.0))).collect();
    Ok([start?, scored(pieces.iter().skip(3))].concat())
}

fn with_last(mut vocabulary: Vec<(String, f64)>, last: &[&str]) -> Vec<(String, f64)> {
    vocabulary.extend(last.iter().map(|content| ((*content).to_owned(), 0.0)));
    vocabulary
}

fn unigram(vocabulary: Vec<(String, f64)>, unk_id: usize) -> Value {
    json!({"type": "Unigram", "vocab": vocabulary, "unk_id": unk_id, "byte_fallback": false})
}

fn position(vocabulary: &[(String, f64)], content: &str) -> Option<usize> {
    vocabulary.iter().position(|(piece, score)| piece == content && *score == 0.0)
}

/// Ids by place.
pub fn ids<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Value {
    let entries = pieces.into_iter().enumerate();
    Value::Object(entries.map(|(id, piece)| (piece.to_owned(), json!(id))).collect::<Map<_, _>>())
}

/// Control pieces and those that a user defined are added tokens, the former special.
fn added_pieces(model: &SentencePiece) -> Vec<Spec> {
    let added = model.pieces.iter().filter(|p| matches!(p.kind, PieceKind::Control | PieceKind::UserDefined));
    added
        .map(|piece| Spec {
            content: piece.text.clone(),
            normalized: Some(false),
            special: Some(piece.kind == PieceKind::Control),
            ..Spec::default()
        })
        .collect()
}

fn numbered(name: &str, range: impl Iterator<Item = u64>) -> Vec<String> {
    range.map(|number| format!("<{name}_{number}>")).collect()
}

fn plain(contents: &[String]) -> Vec<Spec> {
    contents.iter().map(Spec::plain).collect()
}

/// What the drafts of a class are made from.
struct Source<'a> {
    file: &'static str,
    model: SentencePiece,
    settings: &'a Settings,
    tokens: &'a Tokens,
    languages: Option<&'a Languages>,
}

impl Source<'_> {
    fn merged_pieces(&self, order: Order) -> Result<(Value, Value), Failure> {
        if self.model.algorithm != Algorithm::Bpe {
            return refuse(self.file, "trainer_spec.model_type is 1 (unigram), expected 2 (bpe) for this class");
        }
        let pieces = &self.model.pieces;
        let merges = merges::generate(self.file, pieces, order)?;
        Ok((ids(pieces.iter().map(|piece| piece.text.as_str())), merges))
    }

    fn charsmap(&self) -> Option<Value> {
        (!self.model.charsmap.is_empty()).then(|| parts::precompiled(&self.model.charsmap))
    }

    fn normalizers(&self, after: Vec<Value>) -> Value {
        parts::sequence("normalizers", self.charsmap().into_iter().chain(after).collect())
    }

    fn scheme(&self, otherwise: &'static str) -> Result<&'static str, Failure> {
        Ok(if self.settings.flag("add_prefix_space")?.unwrap_or(true) { "always" } else { otherwise })
    }

    fn draft(&self, normalizer: Value, pre_tokenizer: Value, model: Value, post: Post) -> Draft {
        Draft { file: self.file, normalizer, pre_tokenizer, model, decoder: parts::metaspace("always", true), post }
    }

    fn ends(&self) -> Result<(&str, &str), Failure> {
        Ok((self.tokens.need("cls_token")?, self.tokens.need("sep_token")?))
    }

    fn language_post(&self) -> Post {
        self.languages.map_or(Post::Ends, |languages| languages.source_post())
    }

    fn t5(&self) -> Result<(Draft, Vec<Spec>), Failure> {
        let count = self.settings.count("extra_ids", 100, MAX_EXTRA)?;
        let sentinels = numbered("extra_id", 0..count);
        let mut vocabulary = scored(&self.model.pieces);
        vocabulary.extend(sentinels.iter().rev().map(|content| (content.clone(), 0.0)));
        let eos = self.tokens.need("eos_token")?;
        let single = vec![parts::Place::A, parts::token(eos, 0)];
        let pair = [single.clone(), vec![parts::Place::B(0), parts::token(eos, 0)]].concat();
        let post = Post::Template { single, pair };
        let mut extra = added_pieces(&self.model);
        if !extra.iter().any(|spec| spec.content.contains("<extra_id_")) {
            extra.extend(plain(&sentinels));
        }
        let normalizer = self.charsmap().unwrap_or(Value::Null);
        let draft = self.draft(normalizer, parts::metaspace_of_words("always"), unigram(vocabulary, 2), post);
        Ok((draft, extra))
    }

    fn albert(&self) -> Result<Draft, Failure> {
        let (cls, sep) = self.ends()?;
        let mut normalizers = vec![parts::replace("``", "\""), parts::replace("''", "\"")];
        if !self.settings.flag("keep_accents")?.unwrap_or(false) {
            normalizers.extend([json!({"type": "NFKD"}), json!({"type": "StripAccents"})]);
        }
        if self.settings.flag("do_lower_case")?.unwrap_or(true) {
            normalizers.push(json!({"type": "Lowercase"}));
        }
        normalizers.extend(self.charsmap());
        let normalizer = parts::sequence("normalizers", normalizers);
        let pre_tokenizer = parts::metaspace_of_words(self.scheme("never")?);
        Ok(self.draft(normalizer, pre_tokenizer, unigram(scored(&self.model.pieces), 1), parts::cls_sep(cls, sep)))
    }

    fn roberta_like(&self, vocabulary: Vec<(String, f64)>, unk_id: usize) -> Result<Draft, Failure> {
        let post = parts::doubled_sep(self.tokens.need("bos_token")?, self.tokens.need("eos_token")?);
        let normalizer = self.charsmap().unwrap_or(Value::Null);
        let pre_tokenizer = parts::metaspace_of_words(self.scheme("never")?);
        Ok(self.draft(normalizer, pre_tokenizer, unigram(vocabulary, unk_id), post))
    }

    fn camembert(&self) -> Result<Draft, Failure> {
        let unk = self.tokens.need("unk_token")?;
        let start = ["<s>NOTUSED", self.tokens.need("pad_token")?, "</s>NOTUSED", unk];
        let mut vocabulary = with_last(Vec::new(), &start);
        vocabulary.push(("<unk>NOTUSED".into(), -100.0));
        vocabulary.extend(scored(self.model.pieces.iter().skip(1)));
        let vocabulary = with_last(vocabulary, &[self.tokens.need("mask_token")?]);
        let unk_id = vocabulary.iter().position(|(piece, _)| piece == unk).unwrap_or(0);
        self.roberta_like(vocabulary, unk_id)
    }

    fn mbart(&self, class: Class) -> Result<(Draft, Vec<Spec>), Failure> {
        let (first, languages) =
            if class == Class::MBart { ("bos_token", &MBART[..]) } else { ("cls_token", &MBART50[..]) };
        let vocabulary = with_last(fairseq(self.tokens, first, &self.model.pieces)?, languages);
        let model = unigram(with_last(vocabulary, &[self.tokens.need("mask_token")?]), 3);
        let codes: Vec<_> = languages.iter().map(|code| Spec::plain(*code)).collect();
        let draft = if class == Class::MBart {
            self.draft(Value::Null, parts::metaspace_of_words("always"), model, self.language_post())
        } else {
            let normalizer = self.normalizers(vec![parts::replace_regex(" {2,}", " ")]);
            self.draft(normalizer, parts::metaspace("always", true), model, self.language_post())
        };
        let (first, second) =
            if class == Class::MBart { (codes, added_pieces(&self.model)) } else { (added_pieces(&self.model), codes) };
        Ok((draft, [first, second].concat()))
    }

    fn nllb(&self) -> Result<Draft, Failure> {
        let pieces: Vec<_> = fairseq(self.tokens, "bos_token", &self.model.pieces)?;
        let (_, merges) = self.merged_pieces(Order::Ids)?;
        let unk = self.tokens.need("unk_token")?;
        let model = parts::bpe(ids(pieces.iter().map(|(piece, _)| piece.as_str())), merges, true, false, Some(unk));
        let normalizer = match self.charsmap() {
            Some(_) => self.normalizers(vec![parts::replace_regex(" {2,}", " ")]),
            None => Value::Null,
        };
        Ok(self.draft(normalizer, parts::metaspace("always", true), model, self.language_post()))
    }

    fn deberta_v2(&self) -> Result<Draft, Failure> {
        let (cls, sep) = self.ends()?;
        let vocabulary = scored(&self.model.pieces);
        let unk_id = position(&vocabulary, self.tokens.need("unk_token")?).unwrap_or(self.model.unk_id);
        let mut normalizers = Vec::new();
        if self.settings.flag("do_lower_case")?.unwrap_or(false) {
            normalizers.push(json!({"type": "Lowercase"}));
        }
        let spaces = parts::replace_regex(r"\s{2,}|[\n\r\t]", " ");
        normalizers.extend([spaces, json!({"type": "NFC"}), parts::strip(false, true)]);
        let mut splits = Vec::new();
        if self.settings.flag("split_by_punct")?.unwrap_or(false) {
            splits.push(json!({"type": "Punctuation", "behavior": "Isolated"}));
        }
        splits.push(parts::metaspace(self.scheme("first")?, true));
        let pre_tokenizer = parts::sequence("pretokenizers", splits);
        let normalizer = parts::sequence("normalizers", normalizers);
        Ok(self.draft(normalizer, pre_tokenizer, unigram(vocabulary, unk_id), parts::cls_sep(cls, sep)))
    }

    fn pegasus(&self) -> Result<(Draft, Vec<Spec>), Failure> {
        let offset = self.settings.count("offset", 103, MAX_EXTRA)?;
        let sentence = |default: &str| match self.settings.says("mask_token_sent") {
            true => self.settings.string("mask_token_sent"),
            false => Ok(Some(default.to_owned())),
        };
        let (pad, eos) = (self.tokens.need("pad_token")?, self.tokens.need("eos_token")?);
        // Where the folder names no masks, they stand in the vocabulary the other way round than the class names them.
        let mask = self.settings.token("mask_token", Some(Spec::plain("<mask_1>"))).map(|spec| spec.content);
        let second = sentence("<mask_2>")?.filter(|content| Some(content) != mask.as_ref());
        let sentence = sentence("<mask_1>")?;
        let masks: Vec<_> = mask.iter().chain(&second).map(String::as_str).collect();
        let start = [vec![pad, eos], masks].concat();
        let unknown = numbered("unk", 2..offset);
        let mut vocabulary = with_last(Vec::new(), &start);
        vocabulary.extend(unknown.iter().map(|content| (content.clone(), -100.0)));
        vocabulary.extend(scored(self.model.pieces.iter().skip(2)));
        let unk = self.tokens.need("unk_token")?;
        let Some(unk_id) = position(&vocabulary, unk) else {
            return refuse(self.file, format!("pieces: {unk:?} is missing or has a score"));
        };
        let spaces = parts::replace_regex(" {2,}", " ");
        let normalizer = match self.charsmap() {
            Some(charsmap) => vec![charsmap, spaces],
            None => vec![parts::replace_regex("\\n", " "), spaces],
        };
        let normalizer = parts::sequence("normalizers", normalizer);
        let post = parts::around(&[], &[eos]);
        let extra = [sentence.iter().map(Spec::plain).collect(), plain(&unknown)].concat();
        let model = unigram(vocabulary, unk_id);
        Ok((self.draft(normalizer, parts::metaspace("always", true), model, post), extra))
    }

    fn big_bird(&self) -> Result<Draft, Failure> {
        let (cls, sep) = self.ends()?;
        let vocabulary = scored(&self.model.pieces);
        let unk_id = position(&vocabulary, self.tokens.need("unk_token")?).unwrap_or(100);
        let spaces = parts::replace_regex(" {2,}", SPACE);
        let normalizer = parts::sequence("normalizers", vec![parts::strip(false, false), spaces]);
        let pre_tokenizer = parts::metaspace(self.scheme("never")?, true);
        Ok(self.draft(normalizer, pre_tokenizer, unigram(vocabulary, unk_id), parts::cls_sep(cls, sep)))
    }

    fn xglm(&self) -> Result<Draft, Failure> {
        // Generation 5 leaves sentencepiece's own numbering, which is not the model's; this is generation 4's.
        let words: Vec<_> = (0..7).map(|number| format!("<madeupword{number}>")).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let vocabulary = with_last(fairseq(self.tokens, "bos_token", &self.model.pieces)?, &words);
        let eos = self.tokens.need("eos_token")?;
        let single = vec![parts::token(eos, 0), parts::Place::A];
        let between = vec![parts::token(eos, 0), parts::token(eos, 0), parts::Place::B(0)];
        let post = Post::Template { pair: [single.clone(), between].concat(), single };
        let normalizer = self.normalizers(vec![parts::strip(false, true), parts::replace_regex(" {2,}", SPACE)]);
        Ok(self.draft(normalizer, parts::metaspace("always", true), unigram(vocabulary, 3), post))
    }

    fn llama(&self) -> Result<Draft, Failure> {
        let (vocabulary, merges) = self.merged_pieces(Order::Ids)?;
        let prefix = self.settings.flag("add_prefix_space")?.unwrap_or(true);
        let scheme = match (prefix, self.settings.flag("legacy")?.unwrap_or(false)) {
            (false, _) => "never",
            (true, true) => "always",
            (true, false) => "first",
        };
        let model = parts::bpe(vocabulary, merges, true, true, None);
        let mut draft = self.draft(Value::Null, parts::metaspace(scheme, false), model, Post::Ends);
        draft.decoder = parts::byte_fallback_decoder(prefix);
        Ok(draft)
    }

    fn llama_four(&self) -> Result<Draft, Failure> {
        let (vocabulary, merges) = self.merged_pieces(Order::Scores)?;
        let prefix = self.settings.flag("add_prefix_space")?.unwrap_or(true);
        let legacy = self.settings.flag("legacy")?.unwrap_or(true);
        let (normalizer, pre_tokenizer) = if legacy {
            let before = prefix.then(|| json!({"type": "Prepend", "prepend": SPACE}));
            let normalizers = before.into_iter().chain([parts::replace(" ", SPACE)]).collect();
            (parts::sequence("normalizers", normalizers), Value::Null)
        } else {
            (Value::Null, parts::metaspace(if prefix { "first" } else { "never" }, false))
        };
        let model = parts::bpe(vocabulary, merges, true, true, Some(&self.model.unk_piece));
        let mut draft = self.draft(normalizer, pre_tokenizer, model, Post::Ends);
        draft.decoder = parts::byte_fallback_decoder(prefix);
        Ok(draft)
    }

    fn gemma(&self) -> Result<Draft, Failure> {
        let (vocabulary, merges) = self.merged_pieces(Order::Ids)?;
        let split = json!({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious",
                           "invert": false});
        let model = parts::bpe(vocabulary, merges, true, true, Some(self.tokens.need("unk_token")?));
        let mut draft = self.draft(parts::replace(" ", SPACE), split, model, Post::Ends);
        draft.decoder = parts::byte_fallback_decoder(false);
        Ok(draft)
    }
}

/// The pipeline of a class of this module and the tokens that the class adds; nothing for other classes.
pub fn draft(
    class: Class,
    files: &Files,
    settings: &Settings,
    tokens: &Tokens,
    languages: Option<&Languages>,
) -> Result<Option<(Draft, Vec<Spec>)>, Failure> {
    if matches!(class, Class::Marian | Class::M2m100) {
        return Ok(None);
    }
    let file = model_file(class, files)?;
    let source = Source { file, model: read(file, files)?, settings, tokens, languages };
    let draft = match class {
        Class::T5 => return source.t5().map(Some),
        Class::MBart | Class::MBart50 => return source.mbart(class).map(Some),
        Class::Pegasus => return source.pegasus().map(Some),
        Class::Albert => source.albert()?,
        Class::XlmRoberta => {
            let vocabulary = fairseq(tokens, "bos_token", &source.model.pieces)?;
            source.roberta_like(with_last(vocabulary, &[tokens.need("mask_token")?]), 3)?
        }
        Class::Camembert => source.camembert()?,
        Class::Nllb => source.nllb()?,
        Class::DebertaV2 => source.deberta_v2()?,
        Class::BigBird => source.big_bird()?,
        Class::Xglm => source.xglm()?,
        Class::Llama => source.llama()?,
        Class::LlamaFour => source.llama_four()?,
        Class::Gemma => source.gemma()?,
        _ => return Ok(None),
    };
    Ok(Some((draft, added_pieces(&source.model))))
}
