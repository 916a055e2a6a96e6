//! What a rendering may spend. Instructions are counted by the engine; what one instruction can make or walk through
//! is counted here, so that a few of them cannot fill memory or take forever.

use std::cell::Cell;

use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// Elements and bytes/64 that all values of a rendering together may come to.
const MAX_WORK: usize = 20_000_000;
/// Bytes and elements of one value, beyond what the conversation has.
const MAX_VALUE: usize = 4 << 20;
/// Lists within lists.
const MAX_DEPTH: usize = 100;

thread_local! {
    static WORK: Cell<usize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

pub fn start(context_bytes: usize) {
    WORK.set(MAX_WORK + 64 * context_bytes);
    LARGEST.set(MAX_VALUE + 4 * context_bytes);
}

fn exceeded(what: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("the template exceeds a limit: {what}"))
}

fn spend(work: usize) -> Result<(), Error> {
    let left = WORK.get().checked_sub(work).ok_or_else(|| exceeded("it computes too much"))?;
    WORK.set(left);
    Ok(())
}

/// To be called before a text of this size is made.
pub fn text(bytes: usize) -> Result<(), Error> {
    if bytes > LARGEST.get() {
        return Err(exceeded(&format!("a text of {bytes} bytes")));
    }
    spend(1 + bytes / 16)
}

/// To be called before a list of this many elements is made.
pub fn items(count: usize) -> Result<(), Error> {
    if count > LARGEST.get() / 16 {
        return Err(exceeded(&format!("a list of {count} elements")));
    }
    spend(1 + count)
}

/// The value with its lists and mappings made anew: what is lazy is computed, what is shared or refers to itself is
/// written out, so that every later operation on it takes as long as it is large.
pub fn plain(value: &Value) -> Result<Value, Error> {
    let mut left = LARGEST.get();
    copy(value, 0, &mut left)
}

fn take(left: &mut usize, size: usize) -> Result<(), Error> {
    *left = left.checked_sub(size).ok_or_else(|| exceeded("a value is too large"))?;
    Ok(())
}

fn copy(value: &Value, depth: usize, left: &mut usize) -> Result<Value, Error> {
    if depth > MAX_DEPTH {
        return Err(exceeded("lists within lists"));
    }
    take(left, 16)?;
    spend(1)?;
    if let Some(text) = value.as_str() {
        take(left, text.len())?;
        spend(text.len() / 64)?;
        return Ok(value.clone());
    }
    if value.is_kwargs() {
        return Ok(value.clone());
    }
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            let mut items = Vec::new();
            for item in value.try_iter()?.checked() {
                items.push(copy(&item?, depth + 1, left)?);
            }
            Ok(if value.is_tuple() { Value::from(Tuple::from(items)) } else { Value::from(items) })
        }
        ValueKind::Map => {
            let mut pairs = Vec::new();
            for key in value.try_iter()?.checked() {
                let key = key?;
                let item = copy(&value.get_item(&key)?, depth + 1, left)?;
                pairs.push((copy(&key, depth + 1, left)?, item));
            }
            Ok(Value::from_pairs(pairs))
        }
        _ => Ok(value.clone()),
    }
}
