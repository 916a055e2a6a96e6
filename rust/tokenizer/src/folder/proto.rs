//! Reads sentencepiece's ModelProto (sentencepiece_model.proto of google/sentencepiece); every length is checked.

use crate::guard::{Failure, Kind};

/// More pieces than any vocabulary in use has (262 144 in the largest).
const MAX_PIECES: usize = 1 << 21;
/// The longest piece in bytes; trained ones have at most 16 characters, symbols that a user defined may be longer.
const MAX_PIECE_BYTES: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PieceKind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

#[derive(Clone, Debug)]
pub struct Piece {
    pub text: String,
    pub score: f64,
    pub kind: PieceKind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Algorithm {
    Unigram,
    Bpe,
}

/// What of a model the tokenizers are built from; the defaults are those of the proto's definition.
#[derive(Debug)]
pub struct SentencePiece {
    pub pieces: Vec<Piece>,
    pub algorithm: Algorithm,
    pub unk_id: usize,
    pub unk_piece: String,
    pub charsmap: Vec<u8>,
    pub add_dummy_prefix: bool,
    pub remove_extra_whitespaces: bool,
    pub treat_whitespace_as_suffix: bool,
}

fn bad<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::new(Kind::Model, message))
}

enum Field<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Float(f32),
    Other,
}

/// The fields of one message, in their order.
struct Fields<'a> {
    rest: &'a [u8],
    message: &'static str,
}

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Result<u64, Failure> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let Some((&byte, rest)) = self.rest.split_first() else {
                return bad(format!("{}: ends inside a number", self.message));
            };
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        bad(format!("{}: a number of more than ten bytes", self.message))
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], Failure> {
        match usize::try_from(count).ok().and_then(|count| self.rest.split_at_checked(count)) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => bad(format!("{}: a field of {count} bytes, {} are left", self.message, self.rest.len())),
        }
    }

    fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, Failure> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => {
                self.take(8)?;
                Field::Other
            }
            2 => {
                let size = self.varint()?;
                Field::Bytes(self.take(size)?)
            }
            5 => {
                let bytes = self.take(4)?;
                Field::Float(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            }
            wire => return bad(format!("{}: field {} has wire type {wire}", self.message, key >> 3)),
        };
        Ok(Some((key >> 3, field)))
    }
}

fn string(what: &str, bytes: &[u8]) -> Result<String, Failure> {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.len() <= MAX_PIECE_BYTES => Ok(text.to_owned()),
        Ok(_) => bad(format!("{what} has {} bytes, at most {MAX_PIECE_BYTES} are read", bytes.len())),
        Err(error) => bad(format!("{what} is not UTF-8: {error}")),
    }
}

fn piece(bytes: &[u8], index: usize) -> Result<Piece, Failure> {
    let mut fields = Fields { rest: bytes, message: "pieces" };
    let mut piece = Piece { text: String::new(), score: 0.0, kind: PieceKind::Normal };
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Bytes(text)) => piece.text = string(&format!("pieces[{index}].piece"), text)?,
            (2, Field::Float(score)) if score.is_finite() => piece.score = f64::from(score),
            (3, Field::Varint(kind)) => {
                piece.kind = match kind {
                    1 => PieceKind::Normal,
                    2 => PieceKind::Unknown,
                    3 => PieceKind::Control,
                    4 => PieceKind::UserDefined,
                    5 => PieceKind::Unused,
                    6 => PieceKind::Byte,
                    _ => return bad(format!("pieces[{index}].type is {kind}, expected 1 to 6")),
                }
            }
            (1..=3, _) => return bad(format!("pieces[{index}]: field {number} is of the wrong type or not finite")),
            _ => {}
        }
    }
    Ok(piece)
}

impl SentencePiece {
    pub fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let mut model = Self {
            pieces: Vec::new(),
            algorithm: Algorithm::Unigram,
            unk_id: 0,
            unk_piece: "<unk>".into(),
            charsmap: Vec::new(),
            add_dummy_prefix: true,
            remove_extra_whitespaces: true,
            treat_whitespace_as_suffix: false,
        };
        let mut fields = Fields { rest: bytes, message: "ModelProto" };
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Bytes(message)) => {
                    if model.pieces.len() == MAX_PIECES {
                        return bad(format!("pieces: more than {MAX_PIECES}"));
                    }
                    model.pieces.push(piece(message, model.pieces.len())?);
                }
                (2, Field::Bytes(message)) => model.read_trainer(message)?,
                (3, Field::Bytes(message)) => model.read_normalizer(message)?,
                (1..=3, _) => return bad(format!("ModelProto: field {number} is no message")),
                _ => {}
            }
        }
        model.check()?;
        Ok(model)
    }

    fn read_trainer(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut fields = Fields { rest: bytes, message: "trainer_spec" };
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (3, Field::Varint(1)) => self.algorithm = Algorithm::Unigram,
                (3, Field::Varint(2)) => self.algorithm = Algorithm::Bpe,
                (3, Field::Varint(kind)) => {
                    return bad(format!("trainer_spec.model_type is {kind}, expected 1 (unigram) or 2 (bpe)"))
                }
                (24, Field::Varint(flag)) => self.treat_whitespace_as_suffix = flag != 0,
                (40, Field::Varint(id)) => self.unk_id = usize::try_from(id).unwrap_or(usize::MAX),
                (45, Field::Bytes(text)) => self.unk_piece = string("trainer_spec.unk_piece", text)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_normalizer(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut fields = Fields { rest: bytes, message: "normalizer_spec" };
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (2, Field::Bytes(charsmap)) => self.charsmap = charsmap.to_vec(),
                (3, Field::Varint(flag)) => self.add_dummy_prefix = flag != 0,
                (4, Field::Varint(flag)) => self.remove_extra_whitespaces = flag != 0,
                (5, Field::Varint(0)) => return bad("normalizer_spec.escape_whitespaces is false, expected true"),
                _ => {}
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Failure> {
        if self.pieces.is_empty() {
            return bad("pieces: there are none");
        }
        let mut seen = std::collections::HashMap::with_capacity(self.pieces.len());
        for (index, piece) in self.pieces.iter().enumerate() {
            if piece.text.is_empty() {
                return bad(format!("pieces[{index}].piece is empty"));
            }
            if let Some(first) = seen.insert(piece.text.as_str(), index) {
                return bad(format!("pieces[{index}].piece is {:?}, as is that of pieces[{first}]", piece.text));
            }
        }
        if self.unk_id >= self.pieces.len() {
            return bad(format!("trainer_spec.unk_id is {}, there are {} pieces", self.unk_id, self.pieces.len()));
        }
        if self.treat_whitespace_as_suffix {
            return bad("trainer_spec.treat_whitespace_as_suffix is true, expected false");
        }
        Ok(())
    }
}
