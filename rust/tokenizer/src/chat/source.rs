//! A template's text as the engine takes it.

/// Newlines are \n, and the tags {% generation %} and {% endgeneration %}, with which a template marks what the model
/// says, become a scope: that is what they are where nobody asks for the marks.
pub fn prepare(template: &str) -> Result<String, String> {
    let text = template.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('{') {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let length = if tail.starts_with("{#") {
            tail.find("#}").map_or(tail.len(), |end| end + 2)
        } else if tail.starts_with("{%") || tail.starts_with("{{") {
            tag_length(tail)
        } else {
            1
        };
        let tag = &tail[..length];
        match word(tag) {
            Some("generation") => out.push_str(&tag.replacen("generation", "with", 1)),
            Some("endgeneration") => out.push_str(&tag.replacen("endgeneration", "endwith", 1)),
            Some("raw") => {
                let end = end_of_raw(tail).ok_or("{% raw %} without {% endraw %}")?;
                out.push_str(&tail[..end]);
                rest = &tail[end..];
                continue;
            }
            _ => out.push_str(tag),
        }
        rest = &tail[length..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Bytes of a tag to its end, strings in it passed over.
fn tag_length(tail: &str) -> usize {
    let end = if tail.starts_with("{%") { b"%}" } else { b"}}" };
    let bytes = tail.as_bytes();
    let mut quote = None;
    let mut at = 2;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (None, byte @ (b'\'' | b'"')) => quote = Some(byte),
            (None, _) if bytes[at..].starts_with(end) => return at + 2,
            _ => {}
        }
        at += 1;
    }
    tail.len()
}

/// The only word of a block tag, or nothing.
fn word(tag: &str) -> Option<&str> {
    let inside = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    let inside = inside.strip_prefix(['-', '+']).unwrap_or(inside);
    let inside = inside.strip_suffix(['-', '+']).unwrap_or(inside).trim();
    inside.bytes().all(|byte| byte.is_ascii_alphabetic()).then_some(inside)
}

fn end_of_raw(tail: &str) -> Option<usize> {
    let mut from = 2;
    while let Some(found) = tail[from..].find("{%") {
        let at = from + found;
        let length = tag_length(&tail[at..]);
        if word(&tail[at..at + length]) == Some("endraw") {
            return Some(at + length);
        }
        from = at + 2;
    }
    None
}
