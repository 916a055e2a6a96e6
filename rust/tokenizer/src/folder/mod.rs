//! The tokenizer of a model folder: its tokenizer.json, or the pipeline that transformers builds from older files.

mod class;
mod entries;
mod files;
mod languages;
mod merges;
mod numbered;
mod parts;
mod pieces;
mod proto;
mod settings;
mod words;

use std::collections::HashSet;

use serde_json::{json, Map, Value};
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::AddedToken;

use class::{Choice, Class, Tokens};
pub use files::Files;
use files::{refuse, unsupported};
use languages::Languages;
use parts::{Draft, Place, Post};
use settings::{Settings, Spec};

use crate::guard::{guarded, Failure, Kind};
use crate::load::{self, Loaded};

const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";

/// Opens the tokenizer that the files describe. A failure of the kind Unsupported leaves the folder usable without one.
pub fn open(files: &Files) -> Result<Loaded, Failure> {
    let settings = Settings::read(files)?;
    let choice = Choice::of(&settings, files)?;
    if let Some(why) = choice.refused {
        return unsupported(format!("{} is not supported: {why}", choice.name));
    }
    let tokens = Tokens::of(choice.class, &settings);
    let languages = match choice.class {
        Some(class) => Languages::of(class, &settings, &tokens)?,
        None => None,
    };
    let mut loaded = if let Some(json) = files.bytes(TOKENIZER) {
        from_json(json, choice.class, &settings, &tokens, languages.as_ref())?
    } else {
        from_older_files(files, &choice, &settings, &tokens, languages.as_ref())?
    };
    if let (Some(languages), None) = (&languages, &loaded.target) {
        loaded.target = processor(&loaded, &languages.target_post()).ok();
    }
    loaded.from_left = match settings.string("truncation_side")?.as_deref() {
        None | Some("right") => false,
        Some("left") => true,
        Some(side) => return refuse(CONFIG, format!("truncation_side is {side:?}, expected \"left\" or \"right\"")),
    };
    let split_special_tokens = settings.flag("split_special_tokens")?.unwrap_or(false);
    loaded.tokenizer.set_encode_special_tokens(split_special_tokens);
    Ok(loaded)
}

/// As `load::load`, with the name of the file in the message, that of a panic too.
fn load(file: &str, json: &[u8]) -> Result<Loaded, Failure> {
    guarded(Kind::Model, || load::load(json)).map_err(|failure| failure.within(file))
}

/// A tokenizer.json is taken as it is; beside it, only tokens are added and languages chosen.
fn from_json(
    json: &[u8],
    class: Option<Class>,
    settings: &Settings,
    tokens: &Tokens,
    languages: Option<&Languages>,
) -> Result<Loaded, Failure> {
    let mut loaded = load(TOKENIZER, json)?;
    if let Some(class) = class {
        override_parts(&mut loaded, class, settings)?;
    }
    // A class's own tokens that nobody has written down count only if the vocabulary knows them.
    let written = Tokens::of(None, settings);
    let known =
        |spec: &&Spec| written.all().any(|said| said == *spec) || loaded.tokenizer.token_to_id(&spec.content).is_some();
    let named: Vec<_> = tokens.all().filter(known).cloned().collect();
    let extra = settings.extra.clone().unwrap_or_default();
    add_tokens(&mut loaded, settings, &named, &extra)?;
    if let Some(languages) = languages {
        match processor(&loaded, &languages.source_post()) {
            Ok(processor) => loaded.post_processor = Some(processor),
            Err(failure) if settings.says("src_lang") => return Err(failure),
            Err(_) => {} // a vocabulary without the class's own language keeps what the file says
        }
    }
    Ok(loaded)
}

/// The settings of BERT's and the byte-level classes hold against tokenizer.json, in both generations.
fn override_parts(loaded: &mut Loaded, class: Class, settings: &Settings) -> Result<(), Failure> {
    let wrong = |error: serde_json::Error| Failure::new(Kind::Model, format!("{TOKENIZER}: {error}"));
    match class {
        Class::Bert | Class::MpNet => {
            let mut part = serde_json::to_value(loaded.tokenizer.get_normalizer()).map_err(wrong)?;
            if part["type"] == "BertNormalizer" {
                part["lowercase"] = json!(settings.flag("do_lower_case")?.unwrap_or(true));
                part["strip_accents"] = json!(settings.flag("strip_accents")?);
                part["handle_chinese_chars"] = json!(settings.flag("tokenize_chinese_chars")?.unwrap_or(true));
                let part: NormalizerWrapper = serde_json::from_value(part).map_err(wrong)?;
                let done = loaded.tokenizer.with_normalizer(Some(part));
                done.map_err(|error| Failure::new(Kind::Model, format!("{TOKENIZER}: {error}")))?;
            }
        }
        Class::Roberta | Class::Gpt2 | Class::CodeGen | Class::GptNeoX | Class::Deberta | Class::Blenderbot => {
            let mut part = serde_json::to_value(loaded.tokenizer.get_pre_tokenizer()).map_err(wrong)?;
            if part["type"] == "ByteLevel" {
                let prefix = settings.flag("add_prefix_space")?.unwrap_or(class == Class::Blenderbot);
                part["add_prefix_space"] = json!(prefix);
                let part: PreTokenizerWrapper = serde_json::from_value(part).map_err(wrong)?;
                loaded.tokenizer.with_pre_tokenizer(Some(part));
            }
        }
        _ => {}
    }
    Ok(())
}

fn from_older_files(
    files: &Files,
    choice: &Choice,
    settings: &Settings,
    tokens: &Tokens,
    languages: Option<&Languages>,
) -> Result<Loaded, Failure> {
    let Some(class) = choice.class else {
        let name = if choice.name.is_empty() { "a tokenizer of no class" } else { &choice.name };
        return unsupported(format!("there is no {TOKENIZER}, and {name} is not built from other files"));
    };
    if let Some(loaded) = numbered::open(class, files, settings, tokens, languages)? {
        return Ok(loaded);
    }
    let (draft, extra) = match words::draft(class, files, settings, tokens)? {
        Some(draft) => (draft, Vec::new()),
        None => match pieces::draft(class, files, settings, tokens, languages)? {
            Some(made) => made,
            None => return unsupported(format!("there is no {TOKENIZER}, and {} needs one", choice.name)),
        },
    };
    let json = json!({"version": "1.0", "added_tokens": [], "normalizer": draft.normalizer,
                      "pre_tokenizer": draft.pre_tokenizer, "model": draft.model, "decoder": draft.decoder,
                      "post_processor": null});
    let mut loaded = load(draft.file, json.to_string().as_bytes())?;
    let named: Vec<_> = tokens.all().cloned().collect();
    add_tokens(&mut loaded, settings, &named, settings.extra.as_ref().unwrap_or(&extra))?;
    if class == Class::Esm {
        add_entries(&mut loaded)?;
    }
    check_ids(&loaded, settings)?;
    loaded.post_processor = post_processor(&loaded, &draft, class, settings, tokens)?;
    load::check_post_processor(&loaded.tokenizer, loaded.post_processor.as_ref())
        .map_err(|failure| failure.within(draft.file))?;
    Ok(loaded)
}

/// Every entry of the vocabulary is found inside words too.
fn add_entries(loaded: &mut Loaded) -> Result<(), Failure> {
    let mut entries: Vec<_> = loaded.tokenizer.get_vocab(false).into_iter().map(|(entry, id)| (id, entry)).collect();
    let added = loaded.tokenizer.get_added_vocabulary().get_added_tokens_decoder();
    entries.retain(|(id, _)| !added.contains_key(id));
    entries.sort();
    let tokens =
        entries.into_iter().map(|(_, content)| AddedToken { content, normalized: false, ..Default::default() });
    let tokens: Vec<_> = tokens.collect();
    match loaded.tokenizer.add_tokens(tokens) {
        Ok(_) => Ok(()),
        Err(error) => refuse(words::VOCAB_TXT, error),
    }
}

/// Adds tokens as `TokenizersBackend.__init__` does (tokenization_utils_tokenizers.py): those with ids, then named ones
/// and further ones that are not there yet. Properties of a token that is there already are replaced.
fn add_tokens(loaded: &mut Loaded, settings: &Settings, named: &[Spec], extra: &[Spec]) -> Result<(), Failure> {
    let mut there: HashSet<String> = loaded
        .tokenizer
        .get_added_vocabulary()
        .get_added_tokens_decoder()
        .values()
        .map(|t| t.content.clone())
        .collect();
    let mut specs: Vec<&Spec> = settings.added.iter().map(|(_, spec)| spec).collect();
    there.extend(specs.iter().map(|spec| spec.content.clone()));
    for spec in named.iter().chain(extra) {
        if !there.contains(&spec.content) && !specs.contains(&spec) {
            specs.push(spec);
        }
    }
    let names: HashSet<&str> = named.iter().map(|spec| spec.content.as_str()).collect();
    let added: Vec<_> = specs.iter().map(|spec| spec.added(&names)).collect();
    onig::start_budget(added.iter().map(|token| token.content.len()).sum());
    match loaded.tokenizer.add_tokens(added) {
        Ok(_) => Ok(()),
        Err(error) => refuse(CONFIG, format!("the added tokens: {error}")),
    }
}

/// The crate numbers new tokens by their order, whatever a file says.
fn check_ids(loaded: &Loaded, settings: &Settings) -> Result<(), Failure> {
    for (id, spec) in &settings.added {
        let actual = loaded.tokenizer.token_to_id(&spec.content);
        if !spec.content.is_empty() && actual.map(u64::from) != Some(*id) {
            let actual = actual.map_or_else(|| "none".to_owned(), |actual| actual.to_string());
            let content = &spec.content;
            return refuse(
                settings.added_file,
                format!("{content:?} has id {id}, but {actual} is the next by the vocabulary"),
            );
        }
    }
    Ok(())
}

fn post_processor(
    loaded: &Loaded,
    draft: &Draft,
    class: Class,
    settings: &Settings,
    tokens: &Tokens,
) -> Result<Option<PostProcessorWrapper>, Failure> {
    match &draft.post {
        Post::Ends => ends(loaded, class, settings, tokens).map(Some),
        Post::EndsIfSaid if settings.says("add_bos_token") || settings.says("add_eos_token") => {
            ends(loaded, class, settings, tokens).map(Some)
        }
        Post::EndsIfSaid => Ok(None),
        post => processor(loaded, post).map(Some),
    }
}

/// `[bos] A [eos]`, and for pairs `[bos] A [eos] [bos] B [eos]`, the second text's of type 1.
fn ends(loaded: &Loaded, class: Class, settings: &Settings, tokens: &Tokens) -> Result<PostProcessorWrapper, Failure> {
    let bos = settings.flag("add_bos_token")?.unwrap_or(class == Class::LlamaFour);
    let bos = tokens.get("bos_token").filter(|_| bos);
    let eos = settings.flag("add_eos_token")?.unwrap_or(false);
    let eos = tokens.get("eos_token").filter(|_| eos);
    let around = |place: Place, type_id: u8| {
        let before = bos.map(|bos| parts::token(bos, type_id));
        let after = eos.map(|eos| parts::token(eos, type_id));
        before.into_iter().chain([place]).chain(after).collect::<Vec<_>>()
    };
    let single = around(Place::A, 0);
    let pair = [single.clone(), around(Place::B(1), 1)].concat();
    processor(loaded, &Post::Template { single, pair })
}

fn processor(loaded: &Loaded, post: &Post) -> Result<PostProcessorWrapper, Failure> {
    named_processor(post, &|content| loaded.tokenizer.token_to_id(content))
}

fn named_processor(post: &Post, find: &dyn Fn(&str) -> Option<u32>) -> Result<PostProcessorWrapper, Failure> {
    let id = |content: &str| match find(content) {
        Some(id) => Ok(id),
        None => unsupported(format!("the token {content:?}, which {CONFIG} asks for, is not in the vocabulary")),
    };
    let value = match post {
        Post::Template { single, pair } => {
            let mut special = Map::new();
            for place in single.iter().chain(pair) {
                if let Place::Token(content, _) = place {
                    special.insert(content.clone(), json!({"id": content, "ids": [id(content)?], "tokens": [content]}));
                }
            }
            let places = |places: &[Place]| places.iter().map(place).collect::<Vec<_>>();
            json!({"type": "TemplateProcessing", "single": places(single), "pair": places(pair),
                   "special_tokens": special})
        }
        Post::Roberta { sep, cls, trim_offsets, add_prefix_space } => {
            json!({"type": "RobertaProcessing", "sep": [sep, id(sep)?], "cls": [cls, id(cls)?],
                   "trim_offsets": trim_offsets, "add_prefix_space": add_prefix_space})
        }
        Post::Ends | Post::EndsIfSaid => Value::Null,
    };
    serde_json::from_value(value).map_err(|error| Failure::new(Kind::Model, format!("{CONFIG}: {error}")))
}

fn place(place: &Place) -> Value {
    match place {
        Place::A => json!({"Sequence": {"id": "A", "type_id": 0}}),
        Place::B(type_id) => json!({"Sequence": {"id": "B", "type_id": type_id}}),
        Place::Token(content, type_id) => json!({"SpecialToken": {"id": content, "type_id": type_id}}),
    }
}
