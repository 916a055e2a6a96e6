//! The C face of the tokenizers crate; include/layerscope_tokenizer.h describes it.

mod chat;
mod encode;
mod folder;
mod guard;
mod load;
mod numbers;

use std::ffi::{c_char, c_int, c_void};
use std::ptr::{copy_nonoverlapping, null_mut, slice_from_raw_parts_mut};
use std::slice::from_raw_parts;
use std::str::from_utf8;

use encode::Request;
use guard::{guarded, Failure, Kind};
use load::Loaded;

extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn free(memory: *mut c_void);
}

/// `layerscope_encoding` of the header.
#[repr(C)]
pub struct Row {
    length: usize,
    ids: *mut i32,
    type_ids: *mut u8,
    special: *mut u8,
    sequence: *mut i8,
    offsets: *mut i64,
}

fn text_for_c(text: &str) -> *mut c_char {
    unsafe {
        let memory: *mut u8 = malloc(text.len() + 1).cast();
        if !memory.is_null() {
            copy_nonoverlapping(text.as_ptr(), memory, text.len());
            memory.add(text.len()).write(0);
        }
        memory.cast()
    }
}

fn array_for_c<T>(values: Vec<T>) -> *mut T {
    Box::into_raw(values.into_boxed_slice()).cast()
}

unsafe fn free_array<T>(values: &mut *mut T, length: usize) {
    if !values.is_null() {
        drop(unsafe { Box::from_raw(slice_from_raw_parts_mut(*values, length)) });
        *values = null_mut();
    }
}

unsafe fn bytes<'a, T>(data: *const T, size: usize) -> &'a [T] {
    if data.is_null() {
        &[]
    } else {
        unsafe { from_raw_parts(data, size) }
    }
}

unsafe fn utf8<'a>(data: *const c_char, size: usize) -> Result<&'a str, Failure> {
    from_utf8(unsafe { bytes(data.cast(), size) }).map_err(|e| Failure::new(Kind::Input, format!("not UTF-8: {e}")))
}

unsafe fn report<T>(outcome: Result<T, Failure>, error: *mut *mut c_char, give: impl FnOnce(T)) -> c_int {
    match outcome {
        Ok(value) => {
            give(value);
            0
        }
        Err(failure) => {
            unsafe { error.write(text_for_c(&failure.message)) };
            failure.kind as c_int
        }
    }
}

fn row(encoding: &tokenizers::Encoding, want_offsets: bool) -> Result<Row, Failure> {
    let too_large = |what: &str, id: &u32| Failure::new(Kind::Model, format!("the {what} {id} is too large"));
    let ids: Result<Vec<i32>, _> =
        encoding.get_ids().iter().map(|id| i32::try_from(*id).map_err(|_| too_large("id", id))).collect();
    let type_ids: Result<Vec<u8>, _> =
        encoding.get_type_ids().iter().map(|id| u8::try_from(*id).map_err(|_| too_large("type id", id))).collect();
    let (ids, type_ids) = (ids?, type_ids?);
    let special: Vec<u8> = encoding.get_special_tokens_mask().iter().map(|mask| u8::from(*mask != 0)).collect();
    let mut row = Row {
        length: ids.len(),
        ids: array_for_c(ids),
        type_ids: array_for_c(type_ids),
        special: array_for_c(special),
        sequence: null_mut(),
        offsets: null_mut(),
    };
    if want_offsets {
        let sequence: Vec<i8> =
            encoding.get_sequence_ids().iter().map(|id| id.map_or(-1, |id| i8::from(id != 0))).collect();
        let offsets = encoding.get_offsets().iter().zip(&sequence);
        let flat = offsets.flat_map(|((start, end), id)| if *id < 0 { [-1, -1] } else { [*start as i64, *end as i64] });
        row.offsets = array_for_c(flat.collect());
        row.sequence = array_for_c(sequence);
    }
    Ok(row)
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn layerscope_tokenizer_load(
    json: *const u8,
    size: usize,
    tokenizer: *mut *mut Loaded,
    error: *mut *mut c_char,
) -> c_int {
    let outcome = guarded(Kind::Model, || load::load(unsafe { bytes(json, size) }));
    unsafe { report(outcome, error, |loaded| tokenizer.write(Box::into_raw(Box::new(loaded)))) }
}

/// `layerscope_file` of the header.
#[repr(C)]
pub struct File {
    name: *const c_char,
    name_size: usize,
    bytes: *const u8,
    size: usize,
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn layerscope_tokenizer_load_folder(
    files: *const File,
    count: usize,
    tokenizer: *mut *mut Loaded,
    error: *mut *mut c_char,
) -> c_int {
    let outcome = guarded(Kind::Model, || {
        let mut named = Vec::with_capacity(count);
        for file in unsafe { bytes(files, count) } {
            let name = unsafe { utf8(file.name, file.name_size) }?;
            named.push((name, unsafe { bytes(file.bytes, file.size) }));
        }
        folder::open(&folder::Files(named))
    });
    unsafe { report(outcome, error, |loaded| tokenizer.write(Box::into_raw(Box::new(loaded)))) }
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn layerscope_tokenizer_lower_first(tokenizer: *mut Loaded, error: *mut *mut c_char) -> c_int {
    let outcome = guarded(Kind::Model, || unsafe { &mut *tokenizer }.lower_first());
    unsafe { report(outcome, error, |()| ()) }
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn layerscope_tokenizer_keep_whole(
    tokenizer: *mut Loaded,
    text: *const c_char,
    size: usize,
    error: *mut *mut c_char,
) -> c_int {
    let outcome = guarded(Kind::Model, || unsafe { &mut *tokenizer }.keep_whole(unsafe { utf8(text, size) }?));
    unsafe { report(outcome, error, |()| ()) }
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn layerscope_tokenizer_free(tokenizer: *mut Loaded) {
    if !tokenizer.is_null() {
        drop(unsafe { Box::from_raw(tokenizer) });
    }
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn layerscope_tokenizer_encode(
    tokenizer: *const Loaded,
    text: *const c_char,
    text_size: usize,
    pair: *const c_char,
    pair_size: usize,
    add_special_tokens: c_int,
    max_length: i64,
    want_offsets: c_int,
    target: c_int,
    encoding: *mut Row,
    error: *mut *mut c_char,
) -> c_int {
    let outcome = guarded(Kind::Input, || {
        let request = Request {
            text: unsafe { utf8(text, text_size) }?,
            pair: if pair.is_null() { None } else { Some(unsafe { utf8(pair, pair_size) }?) },
            add_special_tokens: add_special_tokens != 0,
            max_length: usize::try_from(max_length).ok(),
            want_offsets: want_offsets != 0,
            target: target != 0,
        };
        row(&encode::encode(unsafe { &*tokenizer }, &request)?, request.want_offsets)
    });
    unsafe { report(outcome, error, |row| encoding.write(row)) }
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn layerscope_tokenizer_free_encoding(encoding: *mut Row) {
    unsafe {
        let row = &mut *encoding;
        free_array(&mut row.ids, row.length);
        free_array(&mut row.type_ids, row.length);
        free_array(&mut row.special, row.length);
        free_array(&mut row.sequence, row.length);
        free_array(&mut row.offsets, 2 * row.length);
        row.length = 0;
    }
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn layerscope_tokenizer_decode(
    tokenizer: *const Loaded,
    ids: *const i32,
    count: usize,
    skip_special_tokens: c_int,
    text: *mut *mut c_char,
    text_size: *mut usize,
    error: *mut *mut c_char,
) -> c_int {
    let outcome = guarded(Kind::Input, || {
        let ids: Vec<u32> = unsafe { bytes(ids, count) }.iter().map(|id| *id as u32).collect();
        encode::decode(unsafe { &*tokenizer }, &ids, skip_special_tokens != 0)
    });
    let give = |decoded: String| unsafe {
        text_size.write(decoded.len());
        text.write(text_for_c(&decoded));
    };
    unsafe { report(outcome, error, give) }
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn layerscope_chat_render(
    template: *const c_char,
    template_size: usize,
    context: *const c_char,
    context_size: usize,
    date: *const i32,
    text: *mut *mut c_char,
    text_size: *mut usize,
    error: *mut *mut c_char,
) -> c_int {
    let outcome = guarded(Kind::Input, || {
        let date = match unsafe { bytes(date, if date.is_null() { 0 } else { 3 }) } {
            [year, month @ 1..=12, day @ 1..=31] => Some((*year, *month as u32, *day as u32)),
            [] => None,
            _ => return Err(Failure::new(Kind::Usage, "no date")),
        };
        let template = unsafe { utf8(template, template_size) }
            .map_err(|failure| Failure::new(Kind::Model, failure.message))?;
        chat::render(&chat::Request { template, context: unsafe { utf8(context, context_size) }?, date })
    });
    let give = |rendered: String| unsafe {
        text_size.write(rendered.len());
        text.write(text_for_c(&rendered));
    };
    unsafe { report(outcome, error, give) }
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn layerscope_tokenizer_token(
    tokenizer: *const Loaded,
    id: i32,
    size: *mut usize,
) -> *mut c_char {
    let find = || Ok(u32::try_from(id).ok().and_then(|id| unsafe { &*tokenizer }.token(id)));
    match guarded(Kind::Input, find) {
        Ok(Some(token)) => {
            unsafe { size.write(token.len()) };
            text_for_c(&token)
        }
        _ => null_mut(),
    }
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn layerscope_tokenizer_id(tokenizer: *const Loaded, token: *const c_char, size: usize) -> i32 {
    let find = || Ok(unsafe { &*tokenizer }.id(unsafe { utf8(token, size) }?));
    guarded(Kind::Input, find).ok().flatten().and_then(|id| i32::try_from(id).ok()).unwrap_or(-1)
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn layerscope_tokenizer_is_special(tokenizer: *const Loaded, id: i32) -> c_int {
    c_int::from(u32::try_from(id).is_ok_and(|id| unsafe { &*tokenizer }.is_special(id)))
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn layerscope_tokenizer_size(tokenizer: *const Loaded) -> i64 {
    unsafe { &*tokenizer }.size() as i64
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn layerscope_tokenizer_free_text(text: *mut c_char) {
    unsafe { free(text.cast()) }
}
