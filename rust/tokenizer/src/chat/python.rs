//! Values as Python writes them: str() and repr(), json.dumps and strftime.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use super::budget;

fn push(out: &mut String, text: &str) -> Result<(), Error> {
    budget::text(out.len() + text.len())?;
    out.push_str(text);
    Ok(())
}

/// str(value): what {{ value }} writes.
pub fn text(value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        budget::text(text.len())?;
        return Ok(text.to_owned());
    }
    let mut out = String::new();
    if !value.is_undefined() {
        repr(&mut out, &budget::plain(value)?)?;
    }
    Ok(out)
}

fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    f64::try_from(value.clone()).map_or_else(|_| value.to_string(), float)
}

/// The shortest digits that read back to the same number, with an exponent below 1e-4 and from 1e16 on.
fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.into();
    }
    let magnitude = value.abs();
    if value != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let digits = format!("{value:e}");
        let (mantissa, exponent) = digits.split_once('e').unwrap_or((&digits, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        return format!("{mantissa}e{sign}{exponent:0>2}");
    }
    let digits = format!("{value}");
    if digits.contains('.') {
        digits
    } else {
        digits + ".0"
    }
}

fn constant(value: &Value) -> Option<&'static str> {
    match value.kind() {
        ValueKind::Undefined => Some("Undefined"),
        ValueKind::None => Some("None"),
        ValueKind::Bool => Some(if value.is_true() { "True" } else { "False" }),
        _ => None,
    }
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

fn repr(out: &mut String, value: &Value) -> Result<(), Error> {
    if let Some(word) = constant(value) {
        return push(out, word);
    }
    match value.kind() {
        ValueKind::Number => push(out, &number(value)),
        ValueKind::String => push(out, &quoted(value.as_str().unwrap_or_default())),
        ValueKind::Seq | ValueKind::Iterable => {
            let tuple = value.is_tuple();
            push(out, if tuple { "(" } else { "[" })?;
            for (index, item) in value.try_iter()?.checked().enumerate() {
                push(out, if index > 0 { ", " } else { "" })?;
                repr(out, &item?)?;
            }
            push(out, if tuple && value.len() == Some(1) { "," } else { "" })?;
            push(out, if tuple { ")" } else { "]" })
        }
        ValueKind::Map => {
            push(out, "{")?;
            for (index, key) in value.try_iter()?.checked().enumerate() {
                let key = key?;
                push(out, if index > 0 { ", " } else { "" })?;
                repr(out, &key)?;
                push(out, ": ")?;
                repr(out, &value.get_item(&key)?)?;
            }
            push(out, "}")
        }
        kind => Err(Error::new(ErrorKind::InvalidOperation, format!("a {kind} cannot be written"))),
    }
}

/// How json.dumps lays out a document.
pub struct Layout {
    pub ascii: bool,
    pub indent: Option<String>,
    pub item: String,
    pub key: String,
    pub sorted: bool,
}

/// json.dumps(value).
pub fn json(value: &Value, layout: &Layout) -> Result<String, Error> {
    let mut out = String::new();
    dump(&mut out, &budget::plain(value)?, layout, 0)?;
    Ok(out)
}

fn json_text(text: &str, ascii: bool) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c if ascii && !c.is_ascii() => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn json_key(key: &Value) -> Result<String, Error> {
    Ok(match key.kind() {
        ValueKind::String => key.as_str().unwrap_or_default().to_owned(),
        ValueKind::Number => number(key),
        ValueKind::Bool => if key.is_true() { "true" } else { "false" }.to_owned(),
        ValueKind::None => "null".to_owned(),
        kind => return Err(Error::new(ErrorKind::InvalidOperation, format!("a {kind} is no key of JSON"))),
    })
}

fn dump(out: &mut String, value: &Value, layout: &Layout, depth: usize) -> Result<(), Error> {
    let line = |depth: usize| layout.indent.as_ref().map(|indent| format!("\n{}", indent.repeat(depth)));
    let mut nest = |open: &str, close: &str, parts: Vec<(String, Value)>| -> Result<(), Error> {
        push(out, open)?;
        let empty = parts.is_empty();
        for (index, (key, item)) in parts.into_iter().enumerate() {
            push(out, if index > 0 { &layout.item } else { "" })?;
            push(out, &line(depth + 1).unwrap_or_default())?;
            push(out, &key)?;
            dump(out, &item, layout, depth + 1)?;
        }
        push(out, &if empty { String::new() } else { line(depth).unwrap_or_default() })?;
        push(out, close)
    };
    match value.kind() {
        ValueKind::None => push(out, "null"),
        ValueKind::Bool => push(out, if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => push(out, &number(value)),
        ValueKind::String => push(out, &json_text(value.as_str().unwrap_or_default(), layout.ascii)),
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Result<Vec<_>, Error> = value.try_iter()?.checked().map(|item| Ok((String::new(), item?))).collect();
            nest("[", "]", items?)
        }
        ValueKind::Map => {
            let mut pairs = Vec::new();
            for key in value.try_iter()?.checked() {
                let key = key?;
                pairs.push((json_key(&key)?, value.get_item(&key)?));
            }
            if layout.sorted {
                pairs.sort_by(|a, b| a.0.cmp(&b.0));
            }
            let written = |(key, item): (String, Value)| (json_text(&key, layout.ascii) + &layout.key, item);
            nest("{", "}", pairs.into_iter().map(written).collect())
        }
        kind => Err(Error::new(ErrorKind::InvalidOperation, format!("a {kind} is no JSON"))),
    }
}

const MONTHS: [&str; 12] = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The day of the week, 0 = Sunday (Sakamoto's rule), and of the year, from 1.
fn day_numbers(year: i32, month: u32, day: u32) -> (usize, u32) {
    const SHIFTS: [i32; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
    const BEFORE: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let index = month as usize - 1;
    let y = if month < 3 { year - 1 } else { year };
    let weekday = (y + y / 4 - y / 100 + y / 400 + SHIFTS[index] + day as i32).rem_euclid(7);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    (weekday as usize, BEFORE[index] + day + u32::from(leap && month > 2))
}

/// strftime of a date at midnight; `None` for a directive that is not among the common ones.
pub fn strftime(format: &str, (year, month, day): (i32, u32, u32)) -> Option<String> {
    let (weekday, year_day) = day_numbers(year, month, day);
    let name = MONTHS[month as usize - 1];
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match rest.next()? {
            'Y' => out.push_str(&year.to_string()),
            'y' => out.push_str(&format!("{:02}", year % 100)),
            'm' => out.push_str(&format!("{month:02}")),
            'd' => out.push_str(&format!("{day:02}")),
            'B' => out.push_str(name),
            'b' | 'h' => out.push_str(&name[..3]),
            'A' => out.push_str(DAYS[weekday]),
            'a' => out.push_str(&DAYS[weekday][..3]),
            'j' => out.push_str(&format!("{year_day:03}")),
            'F' => out.push_str(&format!("{year}-{month:02}-{day:02}")),
            'H' | 'M' | 'S' => out.push_str("00"),
            'I' => out.push_str("12"),
            'p' => out.push_str("AM"),
            '%' => out.push('%'),
            '-' => match rest.next()? {
                'd' => out.push_str(&day.to_string()),
                'm' => out.push_str(&month.to_string()),
                _ => return None,
            },
            _ => return None,
        }
    }
    Some(out)
}
