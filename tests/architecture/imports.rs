//! A module uses only those declared above it in `lib.rs`.

use crate::{source::Source, tokens::Token};

/// The modules in the order in which `lib.rs` declares them.
pub(crate) fn order(lib: &Source) -> Vec<String> {
    let texts: Vec<_> = lib.tokens.iter().map(|token| token.text.as_str()).collect();
    texts
        .windows(3)
        .filter(|window| window[0] == "mod" && window[2] == ";")
        .map(|window| window[1].to_owned())
        .collect()
}

/// What a file names from the crate's root that does not stand above its own module; for people.
pub(crate) fn violations(order: &[String], source: &Source) -> Vec<String> {
    let Some(own) = own_module(&source.path) else {
        return Vec::new();
    };
    let Some(allowed) = order.iter().position(|module| module == own) else {
        return vec![format!("{}: `{own}` is no module of lib.rs", source.path)];
    };
    uses(&source.tokens, depth(&source.path))
        .into_iter()
        .filter(|used| !order[..=allowed].contains(&used.text))
        .map(|Token { text, line }| {
            format!(
                "{}:{line}: `{text}` is not above `{own}` in lib.rs",
                source.path
            )
        })
        .collect()
}

/// `src/sql/ident.rs` and `src/sql.rs` belong to `sql`; `src/lib.rs` and `src/main.rs` to nobody.
fn own_module(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let first = inside.split('/').next()?.trim_end_matches(".rs");
    (!["lib", "main"].contains(&first)).then_some(first)
}

/// How many `super` lead from a file to the crate's root.
fn depth(path: &str) -> usize {
    let folders = path.matches('/').count();
    if path.ends_with("/mod.rs") {
        folders - 1
    } else {
        folders
    }
}

/// The first words of all paths that begin at the crate's root.
fn uses(tokens: &[Token], depth: usize) -> Vec<Token> {
    let mut found = Vec::new();
    for start in 0..tokens.len() {
        let inside_a_path = start > 0 && tokens[start - 1].text == "::";
        if !inside_a_path && let Some(after) = after_root(&tokens[start..], depth) {
            found.extend(first_words(after).into_iter().cloned());
        }
    }
    found
}

/// What follows `crate::`, or as many `super::` as it takes, if the tokens begin so.
fn after_root(tokens: &[Token], depth: usize) -> Option<&[Token]> {
    let steps = |word: &str| {
        let pairs = tokens.chunks_exact(2);
        pairs
            .take_while(|pair| pair[0].text == word && pair[1].text == "::")
            .count()
    };
    match (steps("crate"), steps("super")) {
        (1, _) => Some(&tokens[2..]),
        (0, supers) if supers >= depth => Some(&tokens[2 * supers..]),
        _ => None,
    }
}

/// `a::b` has one first word; `{a::b, c::{d}}` has `a` and `c`.
fn first_words(tokens: &[Token]) -> Vec<&Token> {
    let Some(first) = tokens.first() else {
        return Vec::new();
    };
    if first.text != "{" {
        return vec![first];
    }
    let (mut depth, mut expected, mut found) = (0, false, Vec::new());
    for token in tokens {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ if expected => found.push(token),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        expected = depth == 1 && (token.text == "," || token.text == "{");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, text: &str) -> Vec<String> {
        let lib = Source::parse("src/lib.rs", "pub mod low;\npub mod middle;\nmod high;");
        violations(&order(&lib), &Source::parse(path, text))
    }

    #[test]
    fn what_stands_above_may_be_used() {
        let text = "use crate::{low::{high, A}, middle};\npub(crate) fn f() { super::low::g() }";
        assert_eq!(of("src/middle/deep.rs", text), [""; 0]);
        assert_eq!(
            of(
                "src/middle/mod.rs",
                "use self::high; use other::crate_high::high;"
            ),
            [""; 0]
        );
        assert_eq!(of("src/main.rs", "use crate::high;"), [""; 0]);
        assert_eq!(
            of("src/low.rs", "#[cfg(test)] mod tests { use crate::high; }"),
            [""; 0]
        );
    }

    #[test]
    fn what_stands_below_may_not() {
        for text in [
            "use crate::high;",
            "use crate::{low, high::{A, B}};",
            "fn f() { crate::high::g() }",
            "use super::super::high;",
            "use crate::*;",
        ] {
            let found = of("src/middle/deep.rs", text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].starts_with("src/middle/deep.rs:1: "), "{found:?}");
        }
        assert_eq!(of("src/low.rs", "use super::middle::A;").len(), 1);
        assert_eq!(of("src/stray.rs", "").len(), 1);
    }
}
