//! Running the crate's code so that nothing of it unwinds into C or prints.

use std::any::Any;
use std::cell::Cell;
use std::panic::{catch_unwind, set_hook, take_hook, AssertUnwindSafe};
use std::sync::Once;

/// Why a call failed; the numbers are those of the header.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Model = 1,
    Input = 2,
    Usage = 3,
    Unsupported = 4,
}

/// A failed call: its kind and one line of text.
#[derive(Debug)]
pub struct Failure {
    pub kind: Kind,
    pub message: String,
}

impl Failure {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: one_line(&message.into()) }
    }

    /// The same with the file's name before it.
    pub fn within(self, file: &str) -> Self {
        Self::new(self.kind, format!("{file}: {}", self.message))
    }
}

/// Longest message that is passed on, in characters.
const MAX_MESSAGE: usize = 400;

/// Control characters become spaces, and what is too long is cut.
fn one_line(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_MESSAGE).collect();
    if text.chars().nth(MAX_MESSAGE).is_some() {
        line.push('…');
    }
    line
}

thread_local! {
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Runs `call`; a panic becomes a failure of this kind. Other threads' panics reach the hook that was there before.
pub fn guarded<T>(kind: Kind, call: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    HOOK.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            if !SILENT.get() {
                previous(info);
            }
        }));
    });
    let before = SILENT.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(call));
    SILENT.set(before);
    outcome.unwrap_or_else(|payload| Err(from_panic(kind, payload)))
}

fn from_panic(kind: Kind, payload: Box<dyn Any + Send>) -> Failure {
    let text = match payload.downcast::<onig::Exceeded>() {
        Ok(exceeded) => return Failure::new(kind, exceeded.0),
        Err(payload) => match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => payload.downcast_ref::<&str>().map_or_else(String::new, |text| (*text).to_owned()),
        },
    };
    Failure::new(kind, format!("the tokenizers crate panicked: {text}"))
}
