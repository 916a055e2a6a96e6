//! The part of the `onig` crate's interface that the tokenizers crate uses, over Oniguruma itself, with limits.
//!
//! A search that exceeds a limit unwinds with [`Exceeded`]; no panic hook runs. An error that only ended the iteration
//! would give a silently different tokenisation.

use std::cell::Cell;
use std::ffi::{c_int, c_long, c_uint, c_ulong, c_void};
use std::fmt;
use std::panic::resume_unwind;
use std::ptr::{addr_of_mut, null_mut};
use std::sync::{Mutex, Once, PoisonError};

/// Steps that every row may take whatever its length.
const BASE_STEPS: i64 = 20_000_000;
/// Steps more for each byte of the row; the patterns of GPT-2, Llama 3 and Qwen 2 take below 50 of any text.
const STEPS_PER_BYTE: i64 = 200;
/// Entries of the match stack for each byte of the searched text, beside the base; `\p{L}+` takes one.
const STACK_PER_BYTE: usize = 4;
const BASE_STACK: usize = 1 << 20;
/// Calls of subexpressions (`\g<name>`) in one search: each may walk the whole match stack.
const MAX_SUBEXPRESSION_CALLS: c_ulong = 10_000;
const MAX_PATTERN_DEPTH: c_uint = 200;
const MAX_PATTERN_BYTES: usize = 64 << 10;

const STEPS_OVER: c_int = -2001;

thread_local! {
    static STEPS_LEFT: Cell<i64> = const { Cell::new(BASE_STEPS) };
}

/// What a search unwinds with.
#[derive(Debug)]
pub struct Exceeded(pub String);

/// Sets what all searches of this thread may take together from now on, for a row of so many bytes.
pub fn start_budget(bytes: usize) {
    STEPS_LEFT.set(budget(bytes));
}

/// The budget of a row of so many bytes.
pub fn budget(bytes: usize) -> i64 {
    BASE_STEPS.saturating_add(STEPS_PER_BYTE.saturating_mul(i64::try_from(bytes).unwrap_or(i64::MAX)))
}

/// What is left of the budget.
pub fn steps_left() -> i64 {
    STEPS_LEFT.get()
}

fn spend(steps: i64) {
    let left = STEPS_LEFT.get() - steps;
    STEPS_LEFT.set(left);
    if left < 0 {
        exceeded(STEPS_OVER);
    }
}

fn exceeded(code: c_int) -> ! {
    resume_unwind(Box::new(Exceeded(match code {
        STEPS_OVER => "a pattern of the tokenizer exceeds the step limit of this text".into(),
        code => format!("a pattern of the tokenizer exceeds a limit of the search: {}", message(code, null_mut())),
    })))
}

#[repr(C)]
struct Steps {
    left: c_long,
    seen: *const u8,
}

extern "C" {
    fn layerscope_onig_search_with_param(
        regex: onig_sys::OnigRegex,
        text: *const u8,
        end: *const u8,
        start: *const u8,
        range: *const u8,
        region: *mut onig_sys::OnigRegion,
        options: c_uint,
        param: *mut onig_sys::OnigMatchParam,
    ) -> c_int;
    fn layerscope_onig_new_match_param() -> *mut onig_sys::OnigMatchParam;
    fn layerscope_onig_free_match_param(param: *mut onig_sys::OnigMatchParam);
    fn layerscope_onig_initialize_match_param(param: *mut onig_sys::OnigMatchParam) -> c_int;
    fn layerscope_onig_set_match_stack_limit_size_of_match_param(
        param: *mut onig_sys::OnigMatchParam,
        size: c_uint,
    ) -> c_int;
    fn layerscope_onig_set_retry_limit_in_match_of_match_param(
        param: *mut onig_sys::OnigMatchParam,
        limit: c_ulong,
    ) -> c_int;
    fn layerscope_onig_set_callout_user_data_of_match_param(
        param: *mut onig_sys::OnigMatchParam,
        data: *mut c_void,
    ) -> c_int;
    fn layerscope_onig_init_for_match_at(regex: onig_sys::OnigRegex) -> c_int;
    fn layerscope_onig_set_subexp_call_limit_in_search(limit: c_ulong) -> c_int;
}

fn message(code: c_int, info: *mut onig_sys::OnigErrorInfo) -> String {
    let mut buffer = [0u8; onig_sys::ONIG_MAX_ERROR_MESSAGE_LEN as usize];
    let length = unsafe { onig_sys::onig_error_code_to_str(buffer.as_mut_ptr(), code, info) };
    String::from_utf8_lossy(&buffer[..usize::try_from(length).unwrap_or(0).min(buffer.len())]).into_owned()
}

/// Why a pattern was refused.
#[derive(Debug)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// A compiled pattern, in Ruby's syntax over UTF-8.
#[derive(Debug)]
pub struct Regex {
    raw: onig_sys::OnigRegex,
}

// Oniguruma never writes to a compiled pattern.
unsafe impl Send for Regex {}
unsafe impl Sync for Regex {}

static SETTINGS: Once = Once::new();
static COMPILING: Mutex<()> = Mutex::new(());

impl Regex {
    /// Compiles a pattern.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(Error(format!("a pattern of {} bytes, at most {MAX_PATTERN_BYTES} are taken", pattern.len())));
        }
        SETTINGS.call_once(|| unsafe {
            onig_sys::onig_set_parse_depth_limit(MAX_PATTERN_DEPTH);
            layerscope_onig_set_subexp_call_limit_in_search(MAX_SUBEXPRESSION_CALLS);
        });
        let mut raw: onig_sys::OnigRegex = null_mut();
        let mut info = onig_sys::OnigErrorInfo { enc: null_mut(), par: null_mut(), par_end: null_mut() };
        let bytes = pattern.as_bytes().as_ptr_range();
        let code = {
            let _guard = COMPILING.lock().unwrap_or_else(PoisonError::into_inner);
            unsafe {
                onig_sys::onig_new(
                    &mut raw,
                    bytes.start,
                    bytes.end,
                    onig_sys::ONIG_OPTION_NONE,
                    addr_of_mut!(onig_sys::OnigEncodingUTF8),
                    addr_of_mut!(onig_sys::OnigSyntaxRuby),
                    &mut info,
                )
            }
        };
        if code != onig_sys::ONIG_NORMAL as c_int {
            return Err(Error(format!("the pattern {pattern:?} is refused: {}", message(code, &mut info))));
        }
        // The compiled instructions hold addresses inside the matcher that runs them.
        unsafe { layerscope_onig_init_for_match_at(raw) };
        Ok(Self { raw })
    }

    /// All matches from left to right, as byte offsets. An empty match right after a match is left out.
    pub fn find_iter<'r, 't>(&'r self, text: &'t str) -> FindMatches<'r, 't> {
        spend(text.len() as i64);
        FindMatches { regex: self, text, search: Search::new(text.len()), from: 0, last_end: None }
    }
}

impl Drop for Regex {
    fn drop(&mut self) {
        unsafe { onig_sys::onig_free(self.raw) }
    }
}

/// What Oniguruma needs beside the text.
struct Search {
    region: *mut onig_sys::OnigRegion,
    param: *mut onig_sys::OnigMatchParam,
}

impl Search {
    fn new(bytes: usize) -> Self {
        let stack = c_uint::try_from(bytes.saturating_mul(STACK_PER_BYTE) + BASE_STACK).unwrap_or(c_uint::MAX);
        unsafe {
            let param = layerscope_onig_new_match_param();
            layerscope_onig_initialize_match_param(param);
            layerscope_onig_set_match_stack_limit_size_of_match_param(param, stack);
            layerscope_onig_set_retry_limit_in_match_of_match_param(param, 0);
            Self { region: onig_sys::onig_region_new(), param }
        }
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        unsafe {
            onig_sys::onig_region_free(self.region, 1);
            layerscope_onig_free_match_param(self.param);
        }
    }
}

/// The matches of a pattern in a text.
pub struct FindMatches<'r, 't> {
    regex: &'r Regex,
    text: &'t str,
    search: Search,
    from: usize,
    last_end: Option<usize>,
}

impl FindMatches<'_, '_> {
    fn search(&mut self) -> Option<(usize, usize)> {
        let text = self.text.as_bytes().as_ptr_range();
        let start = &self.text.as_bytes()[self.from..];
        let mut steps = Steps { left: STEPS_LEFT.get() as c_long, seen: start.as_ptr() };
        let code = unsafe {
            layerscope_onig_set_callout_user_data_of_match_param(self.search.param, addr_of_mut!(steps).cast());
            layerscope_onig_search_with_param(
                self.regex.raw,
                text.start,
                text.end,
                start.as_ptr(),
                text.end,
                self.search.region,
                onig_sys::ONIG_OPTION_NONE,
                self.search.param,
            )
        };
        STEPS_LEFT.set(steps.left as i64);
        if code == onig_sys::ONIG_MISMATCH {
            return None;
        }
        if code < 0 {
            exceeded(code);
        }
        let (begin, end) = unsafe { (*(*self.search.region).beg, *(*self.search.region).end) };
        Some((begin as usize, end as usize))
    }
}

impl Iterator for FindMatches<'_, '_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        while self.from <= self.text.len() {
            let (begin, end) = self.search()?;
            if begin == end && self.last_end == Some(end) {
                self.from += self.text[self.from..].chars().next().map_or(1, char::len_utf8);
                continue;
            }
            self.from = end;
            self.last_end = Some(end);
            return Some((begin, end));
        }
        None
    }
}
