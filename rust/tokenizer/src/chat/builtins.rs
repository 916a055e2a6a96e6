//! Filters, tests, functions and methods, as Jinja in Python has them; what can make much of little counts it first.

use minijinja::value::{from_args, Kwargs, Tuple, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::{budget, python, raise, rewrite};

/// Of the engine's filters, those that transformers does not know or whose results are not bounded by what they read.
const REMOVED_FILTERS: &[&str] = &[
    "lines", "split", "zip", "chain", "bool", "escape", "e", "format", "pprint", "batch", "slice", "urlencode",
];
const REMOVED_FUNCTIONS: &[&str] = &["debug"];

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

pub fn install(env: &mut Environment, date: Option<(i32, u32, u32)>) {
    for name in REMOVED_FILTERS {
        env.remove_filter(name);
    }
    for name in REMOVED_FUNCTIONS {
        env.remove_global(name);
    }
    env.set_formatter(|out, _, value| out.write_str(&python::text(value)?).map_err(Error::from));
    env.set_unknown_method_callback(method);

    env.add_function(rewrite::PLAIN, |value: &Value| budget::plain(value));
    env.add_function(rewrite::CONCAT, concat);
    env.add_function(rewrite::ADD, add);
    env.add_function(rewrite::MULTIPLY, multiply);
    env.add_function("range", range);
    env.add_function("raise_exception", |message: &Value| Err::<Value, _>(raise(python::text(message)?)));
    env.add_function("strftime_now", move |format: &str| match date {
        None => Err(raise("it asks for today's date (strftime_now), which is not given: --chat-date".into())),
        Some(date) => python::strftime(format, date)
            .ok_or_else(|| invalid(format!("strftime_now: the format {format:?} is not supported"))),
    });

    env.add_filter("string", |value: &Value| python::text(value));
    env.add_filter("length", length);
    env.add_filter("count", length);
    env.add_filter("list", list);
    env.add_filter("sum", sum);
    env.add_filter("join", join_filter);
    env.add_filter("replace", replace);
    env.add_filter("trim", trim);
    env.add_filter("indent", indent);
    env.add_filter("tojson", tojson);

    env.add_test("iterable", is_iterable);
    env.add_test("sequence", |value: &Value| is_iterable(value) && value.kind() != ValueKind::Iterable);
    env.add_test("number", |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool));
    env.add_test("callable", |value: &Value| value.kind() == ValueKind::Plain);
}

fn is_iterable(value: &Value) -> bool {
    use ValueKind::{Iterable, Map, Seq, String, Undefined};
    matches!(value.kind(), String | Seq | Map | Iterable | Undefined)
}

fn concat(a: &Value, b: &Value) -> Result<String, Error> {
    let (a, b) = (python::text(a)?, python::text(b)?);
    budget::text(a.len() + b.len())?;
    Ok(a + &b)
}

fn is_list(value: &Value) -> bool {
    value.kind() == ValueKind::Seq
}

fn elements(value: &Value) -> Result<Vec<Value>, Error> {
    budget::items(value.len().unwrap_or(0))?;
    value.try_iter()?.checked().collect()
}

fn sequence(items: Vec<Value>, tuple: bool) -> Value {
    if tuple {
        Value::from(Tuple::from(items))
    } else {
        Value::from(items)
    }
}

fn kind_of(value: &Value) -> String {
    if value.is_undefined() {
        "an undefined value".into()
    } else {
        format!("a {}", value.kind())
    }
}

fn add(a: &Value, b: &Value) -> Result<Value, Error> {
    let numeric = |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool);
    if let (Some(left), Some(right)) = (a.as_str(), b.as_str()) {
        budget::text(left.len() + right.len())?;
        return Ok(Value::from(left.to_owned() + right));
    }
    if is_list(a) && is_list(b) && a.is_tuple() == b.is_tuple() {
        let mut items = elements(a)?;
        items.extend(elements(b)?);
        return budget::plain(&sequence(items, a.is_tuple()));
    }
    if numeric(a) && numeric(b) {
        if let (Ok(left), Ok(right)) = (i64::try_from(a.clone()), i64::try_from(b.clone())) {
            let both = a.kind() == ValueKind::Bool || b.kind() == ValueKind::Bool || (a.is_integer() && b.is_integer());
            if both {
                return left.checked_add(right).map(Value::from).ok_or_else(|| invalid("a number is too large"));
            }
        }
        return Ok(Value::from(f64::try_from(a.clone())? + f64::try_from(b.clone())?));
    }
    Err(invalid(format!("cannot add {} and {}", kind_of(a), kind_of(b))))
}

fn multiply(a: &Value, b: &Value) -> Result<Value, Error> {
    let (times, repeated) = if a.is_integer() { (a, b) } else { (b, a) };
    let many = repeated.as_str().is_some() || is_list(repeated);
    if many && times.is_integer() {
        let count = i64::try_from(times.clone()).map_err(|_| invalid("a number is too large"))?;
        let count = usize::try_from(count).unwrap_or(0);
        if let Some(text) = repeated.as_str() {
            budget::text(text.len().saturating_mul(count))?;
            return Ok(Value::from(text.repeat(count)));
        }
        let items = elements(repeated)?;
        budget::items(items.len().saturating_mul(count))?;
        let repeats = std::iter::repeat_n(items, count).flatten().collect();
        return budget::plain(&sequence(repeats, repeated.is_tuple()));
    }
    if a.is_integer() && b.is_integer() {
        let product = i64::try_from(a.clone()).ok().zip(i64::try_from(b.clone()).ok());
        let product = product.and_then(|(left, right)| left.checked_mul(right));
        return product.map(Value::from).ok_or_else(|| invalid("a number is too large"));
    }
    if a.is_number() && b.is_number() {
        return Ok(Value::from(f64::try_from(a.clone())? * f64::try_from(b.clone())?));
    }
    Err(invalid(format!("cannot multiply {} and {}", kind_of(a), kind_of(b))))
}

fn range(first: i64, stop: Option<i64>, step: Option<i64>) -> Result<Vec<i64>, Error> {
    let (start, stop, step) = (if stop.is_some() { first } else { 0 }, stop.unwrap_or(first), step.unwrap_or(1));
    if step == 0 {
        return Err(invalid("range: a step of 0"));
    }
    let distance = if step > 0 { i128::from(stop) - i128::from(start) } else { i128::from(start) - i128::from(stop) };
    let step_size = i128::from(step.unsigned_abs());
    let count = usize::try_from((distance.max(0) + step_size - 1) / step_size).unwrap_or(usize::MAX);
    budget::items(count)?;
    Ok((0..count as i64).map(|index| start + index * step).collect())
}

fn length(value: &Value) -> Result<usize, Error> {
    if value.is_undefined() {
        return Ok(0);
    }
    value.len().ok_or_else(|| invalid(format!("{} has no length", kind_of(value))))
}

fn list(value: &Value) -> Result<Vec<Value>, Error> {
    if value.is_undefined() {
        return Ok(Vec::new());
    }
    if let Some(text) = value.as_str() {
        budget::items(text.len())?;
        return Ok(text.chars().map(|c| Value::from(c.to_string())).collect());
    }
    value.try_iter()?.checked().collect()
}

fn sum(values: &Value, kwargs: Kwargs) -> Result<Value, Error> {
    let attribute: Option<String> = kwargs.get("attribute")?;
    let start: Option<Value> = kwargs.get("start")?;
    kwargs.assert_all_used()?;
    let mut total = start.unwrap_or_else(|| Value::from(0));
    for item in list(values)? {
        let item = match &attribute {
            Some(name) => item.get_attr(name)?,
            None => item,
        };
        total = add(&total, &item)?;
    }
    Ok(total)
}

fn joined(values: &Value, separator: &str, attribute: Option<&str>) -> Result<String, Error> {
    let mut out = String::new();
    for (index, item) in list(values)?.into_iter().enumerate() {
        let item = match attribute {
            Some(name) => item.get_attr(name)?,
            None => item,
        };
        let text = python::text(&item)?;
        budget::text(out.len() + separator.len() + text.len())?;
        out.push_str(if index > 0 { separator } else { "" });
        out.push_str(&text);
    }
    Ok(out)
}

fn join_filter(values: &Value, separator: Option<&Value>, kwargs: Kwargs) -> Result<String, Error> {
    let attribute: Option<String> = kwargs.get("attribute")?;
    let named: Option<String> = kwargs.get("d")?;
    kwargs.assert_all_used()?;
    let separator = separator.map(python::text).transpose()?.or(named).unwrap_or_default();
    joined(values, &separator, attribute.as_deref())
}

fn replaced(text: &str, old: &str, new: &str, most: Option<i64>) -> Result<String, Error> {
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let places = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() }.min(most);
    budget::text(text.len().saturating_add(places.saturating_mul(new.len())))?;
    Ok(text.replacen(old, new, most))
}

fn replace(value: &Value, old: &Value, new: &Value, count: Option<i64>) -> Result<String, Error> {
    replaced(&python::text(value)?, &python::text(old)?, &python::text(new)?, count)
}

fn trim(value: &Value, characters: Option<&str>) -> Result<String, Error> {
    let text = python::text(value)?;
    Ok(match characters {
        Some(characters) => text.trim_matches(|c| characters.contains(c)).to_owned(),
        None => text.trim().to_owned(),
    })
}

fn indent(text: &str, width: Option<&Value>, first: Option<bool>, blank: Option<bool>, kwargs: Kwargs) -> Result<String, Error> {
    let named: Option<Value> = kwargs.get("width")?;
    let first = first.or(kwargs.get("first")?).unwrap_or(false);
    let blank = blank.or(kwargs.get("blank")?).unwrap_or(false);
    kwargs.assert_all_used()?;
    let width = width.cloned().or(named).unwrap_or_else(|| Value::from(4));
    let lines = text.split('\n').count();
    let indention = match width.as_str() {
        Some(indention) => indention.to_owned(),
        None => {
            let columns = width.as_usize().ok_or_else(|| invalid("indent: the width is no number"))?;
            budget::text(columns.saturating_mul(lines))?;
            " ".repeat(columns)
        }
    };
    budget::text(text.len() + lines.saturating_mul(indention.len()))?;
    let indented = text.split('\n').enumerate().map(|(index, line)| {
        let wanted = if index == 0 { first } else { blank || !line.is_empty() };
        (if wanted { indention.clone() } else { String::new() }) + line
    });
    Ok(indented.collect::<Vec<_>>().join("\n"))
}

fn tojson(value: &Value, ascii: Option<bool>, kwargs: Kwargs) -> Result<String, Error> {
    let indent: Option<Value> = kwargs.get("indent")?;
    let separators: Option<Value> = kwargs.get("separators")?;
    let mut layout = python::Layout {
        ascii: ascii.or(kwargs.get("ensure_ascii")?).unwrap_or(false),
        indent: None,
        item: ", ".into(),
        key: ": ".into(),
        sorted: kwargs.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
    };
    kwargs.assert_all_used()?;
    if let Some(indent) = indent.filter(|indent| !indent.is_none()) {
        layout.item = ",".into();
        layout.indent = Some(match indent.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(indent.as_usize().filter(|width| *width <= 100).ok_or_else(|| invalid("tojson: an indent beyond 100"))?),
        });
    }
    if let Some(separators) = separators.filter(|separators| !separators.is_none()) {
        layout.item = python::text(&separators.get_item_by_index(0)?)?;
        layout.key = python::text(&separators.get_item_by_index(1)?)?;
    }
    python::json(value, &layout)
}

/// Methods of Python's str, dict and list.
fn method(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    match (value.as_str(), name) {
        (Some(text), "replace") => {
            let (old, new, count): (&str, &str, Option<i64>) = from_args(args)?;
            replaced(text, old, new, count).map(Value::from)
        }
        (Some(separator), "join") => {
            let (values,): (&Value,) = from_args(args)?;
            joined(values, separator, None).map(Value::from)
        }
        (Some(text), "removeprefix") => {
            let (prefix,): (&str,) = from_args(args)?;
            Ok(Value::from(text.strip_prefix(prefix).unwrap_or(text)))
        }
        (Some(text), "removesuffix") => {
            let (suffix,): (&str,) = from_args(args)?;
            Ok(Value::from(text.strip_suffix(suffix).unwrap_or(text)))
        }
        (Some(_), "format" | "center" | "ljust" | "rjust" | "zfill" | "expandtabs") => {
            Err(invalid(format!("the method {name} of a string is not supported")))
        }
        _ => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args),
    }
}
