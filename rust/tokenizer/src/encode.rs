//! Text to ids and back.

use tokenizers::processors::PostProcessorWrapper;
use tokenizers::{Encoding, PostProcessor, Tokenizer};

use crate::guard::{Failure, Kind};
use crate::load::Loaded;

/// What to encode, and how.
pub struct Request<'t> {
    pub text: &'t str,
    pub pair: Option<&'t str>,
    pub add_special_tokens: bool,
    pub max_length: Option<usize>,
    pub want_offsets: bool,
    /// The text is the target of a translation.
    pub target: bool,
}

/// What decoding may take, as bytes of a row for each token.
const BYTES_PER_TOKEN: usize = 64;

pub fn encode(loaded: &Loaded, request: &Request) -> Result<Encoding, Failure> {
    onig::start_budget(request.text.len() + request.pair.map_or(0, str::len));
    let encoding = one_text(loaded, request, request.text, 0)?;
    let pair = request.pair.map(|text| one_text(loaded, request, text, 1)).transpose()?;
    let target = loaded.target.as_ref().filter(|_| request.target);
    let processor = target.or(loaded.post_processor.as_ref());
    let (encoding, pair) = truncate(encoding, pair, room(processor, request)?, loaded.from_left);
    match processor {
        Some(processor) => processor.process(encoding, pair, request.add_special_tokens).map_err(model_failure),
        None => {
            let encodings = std::iter::once(encoding).chain(pair).collect();
            let merged = <dyn PostProcessor>::default_process(encodings, request.add_special_tokens);
            Ok(merged.map_err(model_failure)?.pop().unwrap_or_default())
        }
    }
}

pub fn decode(loaded: &Loaded, ids: &[u32], skip_special_tokens: bool) -> Result<String, Failure> {
    if let Some(id) = ids.iter().find(|id| loaded.token(**id).is_none()) {
        return Err(Failure::new(Kind::Input, format!("the id {} is not in the vocabulary", *id as i32)));
    }
    onig::start_budget(ids.len().saturating_mul(BYTES_PER_TOKEN));
    match &loaded.numbers {
        Some(numbers) => numbers.decode(&loaded.tokenizer, ids, skip_special_tokens),
        None => loaded.tokenizer.decode(ids, skip_special_tokens).map_err(model_failure),
    }
}

fn model_failure(error: tokenizers::Error) -> Failure {
    Failure::new(Kind::Model, error.to_string())
}

fn one_text(loaded: &Loaded, request: &Request, text: &str, type_id: u32) -> Result<Encoding, Failure> {
    let encode = |tokenizer: &Tokenizer, text: &str| {
        let encoded = if request.want_offsets {
            tokenizer.encode_char_offsets(text, false)
        } else {
            tokenizer.encode_fast(text, false)
        };
        encoded.map_err(model_failure)
    };
    let mut encoding = match &loaded.numbers {
        None => encode(&loaded.tokenizer, text)?,
        Some(numbers) => {
            let target = numbers.target.as_ref().filter(|_| request.target);
            let (tokenizer, ids) =
                target.map_or((&loaded.tokenizer, &numbers.ids), |side| (&side.tokenizer, &side.ids));
            let code = numbers.code(text);
            numbers.renumber(&encode(tokenizer, &text[code.len()..])?, ids, code)
        }
    };
    if type_id != 0 {
        encoding.set_type_ids(vec![type_id; encoding.len()]);
    }
    Ok(encoding)
}

/// The number of tokens that the texts may take beside the special ones.
fn room(processor: Option<&PostProcessorWrapper>, request: &Request) -> Result<Option<usize>, Failure> {
    let Some(max_length) = request.max_length else { return Ok(None) };
    let special = match processor {
        Some(processor) if request.add_special_tokens => processor.added_tokens(request.pair.is_some()),
        _ => 0,
    };
    match max_length.checked_sub(special) {
        Some(room) => Ok(Some(room)),
        None => Err(Failure::new(
            Kind::Usage,
            format!("a maximal length of {max_length} is less than the {special} special tokens of a row"),
        )),
    }
}

/// Cuts from the right, or from the left. Of two texts the longer one is cut down to the length of the other; if that
/// is not enough, each gets half, the second text the odd token unless it is the shorter one (`longest_first` of the
/// tokenizers crate).
fn truncate(
    encoding: Encoding,
    pair: Option<Encoding>,
    room: Option<usize>,
    from_left: bool,
) -> (Encoding, Option<Encoding>) {
    let keep = |encoding: &Encoding, count: usize| keep(encoding, count, from_left);
    let total = encoding.len() + pair.as_ref().map_or(0, Encoding::len);
    let Some(room) = room.filter(|room| *room < total) else { return (encoding, pair) };
    let Some(pair) = pair else { return (keep(&encoding, room), None) };
    let short = encoding.len().min(pair.len());
    let (shorter, longer) = if short + short.max(room.saturating_sub(short)) <= room {
        (short, short.max(room - short))
    } else {
        (room / 2, room / 2 + room % 2)
    };
    let (first, second) = if encoding.len() > pair.len() { (longer, shorter) } else { (shorter, longer) };
    (keep(&encoding, first), Some(keep(&pair, second)))
}

fn keep(encoding: &Encoding, count: usize, from_left: bool) -> Encoding {
    let count = count.min(encoding.len());
    let range = if from_left { encoding.len() - count..encoding.len() } else { 0..count };
    Encoding::new(
        encoding.get_ids()[range.clone()].to_vec(),
        encoding.get_type_ids()[range.clone()].to_vec(),
        encoding.get_tokens()[range.clone()].to_vec(),
        encoding.get_word_ids()[range.clone()].to_vec(),
        encoding.get_offsets()[range.clone()].to_vec(),
        encoding.get_special_tokens_mask()[range.clone()].to_vec(),
        encoding.get_attention_mask()[range.clone()].to_vec(),
        Vec::new(),
        Default::default(),
    )
}
