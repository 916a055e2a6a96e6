//! Chat templates: Jinja as transformers renders it (utils/chat_template_utils.py), by the minijinja crate. A template
//! comes with a model and is not trusted: it has steps, bytes and depth to spend, and nothing to reach.

mod budget;
mod builtins;
mod python;
mod rewrite;
mod source;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::thread;

use minijinja::machinery::{ast, eval, make_string_output, parse, CodeGenerator};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value};

use crate::guard::{Failure, Kind};

/// The largest template; real ones have some ten thousand bytes.
const MAX_TEMPLATE: usize = 256 << 10;
/// Instructions of one rendering.
const MAX_STEPS: u64 = 2_000_000;
/// Room for the longest chain of operators that a template of that size can hold.
const STACK: usize = 512 << 20;

thread_local! {
    /// What the template itself said through raise_exception.
    static RAISED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// One rendering. `context` is a JSON object: the variables of the template.
pub struct Request<'a> {
    pub template: &'a str,
    pub context: &'a str,
    /// What strftime_now tells: year, month, day. Without it a template that asks for the date fails.
    pub date: Option<(i32, u32, u32)>,
}

/// The text that the template makes of the context.
pub fn render(request: &Request) -> Result<String, Failure> {
    if request.template.len() > MAX_TEMPLATE {
        let message = format!("a template of {} bytes, at most {MAX_TEMPLATE} are read", request.template.len());
        return Err(Failure::new(Kind::Model, message));
    }
    // A thread of its own for its stack: operators may nest as deep as the template is long.
    thread::scope(|scope| {
        let worker = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || {
            crate::guard::guarded(Kind::Model, || render_here(request))
        });
        let worker = worker.map_err(|e| Failure::new(Kind::Input, format!("no thread to render in: {e}")))?;
        worker.join().unwrap_or_else(|_| Err(Failure::new(Kind::Model, "the template could not be rendered")))
    })
}

fn render_here(request: &Request) -> Result<String, Failure> {
    let context: Value = serde_json::from_str(request.context)
        .map_err(|e| Failure::new(Kind::Input, format!("the conversation is no JSON: {e}")))?;
    budget::start(request.context.len());
    RAISED.with_borrow_mut(|raised| *raised = None);
    let source = source::prepare(request.template).map_err(|message| Failure::new(Kind::Model, message))?;
    run(&source, context, request.date).map_err(|error| failure(&error))
}

fn run(source: &str, context: Value, date: Option<(i32, u32, u32)>) -> Result<String, Error> {
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    let tree = rewrite::guarded(&parse(source, "chat template", syntax)?)?;
    let (instructions, blocks) = compile(&tree, source);
    let mut env = Environment::new();
    env.set_fuel(Some(MAX_STEPS));
    builtins::install(&mut env, date);
    let mut text = String::new();
    let mut output = make_string_output(&mut text);
    eval(&env, &instructions, context, &blocks, &mut output, AutoEscape::None)?;
    drop(output);
    Ok(text)
}

type Compiled<'a> = minijinja::machinery::Instructions<'a>;

fn compile<'a>(tree: &ast::Stmt<'a>, source: &'a str) -> (Compiled<'a>, BTreeMap<&'a str, Compiled<'a>>) {
    let mut generator = CodeGenerator::new("chat template", source);
    generator.compile_stmt(tree);
    generator.finish()
}

/// raise_exception ends a rendering with the template's own words: the conversation is at fault, not the template.
fn raise(message: String) -> Error {
    RAISED.with_borrow_mut(|raised| *raised = Some(message.clone()));
    Error::new(ErrorKind::InvalidOperation, message)
}

fn failure(error: &Error) -> Failure {
    if let Some(message) = RAISED.with_borrow_mut(Option::take) {
        return Failure::new(Kind::Input, format!("refuses the conversation: {message}"));
    }
    let line = error.line().map_or(String::new(), |line| format!("line {line}: "));
    let what = match error.kind() {
        ErrorKind::OutOfFuel => format!("takes more than {MAX_STEPS} steps"),
        kind => error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}")),
    };
    Failure::new(Kind::Model, format!("{line}{what}"))
}
