//! The merges of a sentencepiece BPE model, which its file only implies.

use std::cmp::Ordering;
use std::collections::HashMap;

use serde_json::{json, Value};

use super::files::refuse;
use super::proto::Piece;
use crate::guard::Failure;

/// Each way of cutting a piece in two is looked up, which costs the square of its length.
const MAX_WORK: usize = 1 << 30;

/// What comes first among merges.
#[derive(Clone, Copy, PartialEq)]
pub enum Order {
    /// The piece of the lower id, then the shorter left part (generation 5).
    Ids,
    /// The piece of the higher score, then the longer left part (generation 4).
    Scores,
}

/// Every pair of pieces whose concatenation is a piece, in the order in which transformers generates them.
pub fn generate(file: &str, pieces: &[Piece], order: Order) -> Result<Value, Failure> {
    let work = pieces.iter().fold(0usize, |work, piece| work.saturating_add(piece.text.len() * piece.text.len()));
    if work > MAX_WORK {
        return refuse(file, "pieces: too long for a BPE model");
    }
    let ids: HashMap<&str, usize> = pieces.iter().enumerate().map(|(id, piece)| (piece.text.as_str(), id)).collect();
    let mut merges: Vec<(f64, usize, &str, &str)> = Vec::new();
    for (id, piece) in pieces.iter().enumerate() {
        let rank = if order == Order::Ids { -(id as f64) } else { piece.score };
        let mut found: Vec<_> = (piece.text.char_indices().skip(1).enumerate())
            .map(|(index, (at, _))| (index, piece.text.split_at(at)))
            .filter(|(_, (left, right))| ids.contains_key(left) && ids.contains_key(right))
            .map(|(index, (left, right))| (rank, index + 1, left, right))
            .collect();
        found.sort_by_key(|(_, _, left, right)| (ids[left], ids[right]));
        merges.extend(found);
    }
    merges.sort_by(|a, b| {
        let lengths = match order {
            Order::Ids => (a.1, a.3.chars().count()).cmp(&(b.1, b.3.chars().count())),
            Order::Scores => (b.1, b.3.chars().count()).cmp(&(a.1, a.3.chars().count())),
        };
        b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal).then(lengths)
    });
    Ok(merges.into_iter().map(|(_, _, left, right)| json!([left, right])).collect())
}
