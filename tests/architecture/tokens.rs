//! Cutting Rust into tokens, just well enough to find names and braces.

/// A word or a sign of Rust. Comments, strings and characters are no tokens, as nothing is looked for in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// From 1.
    pub(crate) line: usize,
}

pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let (length, is_token) = if let Some(length) = not_code(rest) {
            (length, false)
        } else if is_word(first) {
            (rest.find(|c| !is_word(c)).unwrap_or(rest.len()), true)
        } else if rest.starts_with("::") {
            (2, true)
        } else {
            (first.len_utf8(), !first.is_whitespace())
        };
        let (text, after) = rest.split_at(length);
        if is_token {
            found.push(Token {
                text: text.into(),
                line,
            });
        }
        line += text.matches('\n').count();
        rest = after;
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the comment, string, character or lifetime that begins here.
fn not_code(rest: &str) -> Option<usize> {
    let end_of = |at: Option<usize>| at.unwrap_or(rest.len());
    if rest.starts_with("//") {
        return Some(end_of(rest.find('\n')));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    let unprefixed = ["br", "cr", "b", "c", "r"]
        .iter()
        .find_map(|prefix| rest.strip_prefix(prefix));
    let raw = rest.starts_with('r') || rest.starts_with("br") || rest.starts_with("cr");
    for text in [Some(rest), unprefixed].into_iter().flatten() {
        let before = rest.len() - text.len();
        let hashes = text.len() - text.trim_start_matches('#').len();
        if before > 0 && raw && text[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = before + hashes + 1;
            return Some(end_of(
                rest[body..].find(&end).map(|at| body + at + end.len()),
            ));
        }
        if text.starts_with('"') {
            return Some(before + quoted(text));
        }
    }
    rest.starts_with('\'').then(|| character_or_lifetime(rest))
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// From one quote to the next of its kind that no backslash stands before.
fn quoted(text: &str) -> usize {
    let quote = text.chars().next();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if Some(c) == quote {
            return at + 1;
        }
    }
    text.len()
}

fn character_or_lifetime(rest: &str) -> usize {
    let mut chars = rest.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (_, Some('\'')) => quoted(rest),
        _ => 1,
    }
}

#[test]
fn only_code_is_seen() {
    let source = r####"
        a /* b /* c */ d */ :: e // f
        "g \" h" 'i' '\'' '{' 'static r"j \" k r#"l " m"# b"n" br##"o"# p"## q r_s break_t
    "####;
    let texts: Vec<_> = tokens(source).into_iter().map(|token| token.text).collect();
    assert_eq!(
        texts,
        ["a", "::", "e", "static", "k", "q", "r_s", "break_t"]
    );
}

#[test]
fn lines_are_counted_through_strings() {
    let found = tokens("a \"1\n2\n\" b /* \n */ c");
    let lines: Vec<_> = found.iter().map(|token| token.line).collect();
    assert_eq!(lines, [1, 3, 4]);
}
