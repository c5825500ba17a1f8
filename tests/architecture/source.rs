//! The files of the project, without their tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::tokens::{Token, tokens};

/// A file of the project, without its tests.
pub(crate) struct Source {
    /// From the project's root, such as `src/sql/ident.rs`.
    pub(crate) path: String,
    pub(crate) tokens: Vec<Token>,
    pub(crate) lines: usize,
}

impl Source {
    pub(crate) fn read(path: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self::parse(path, &fs::read_to_string(root.join(path)).unwrap())
    }

    /// Every Rust file in the directory and below, sorted; those with nothing but tests left out.
    pub(crate) fn all(directory: &str) -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut paths = Vec::new();
        collect(&root.join(directory), &mut paths);
        paths.sort();
        let relative = paths.iter().map(|path| path.strip_prefix(root).unwrap());
        relative
            .filter(|path| !path.ends_with("tests.rs"))
            .map(|path| Self::read(path.to_str().unwrap()))
            .collect()
    }

    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let mut tokens = tokens(text);
        let mut lines = text.lines().count();
        while let Some((start, end)) = test_item(&tokens) {
            lines -= tokens[end].line - tokens[start].line + 1;
            tokens.drain(start..=end);
        }
        Self {
            path: path.into(),
            tokens,
            lines,
        }
    }
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// The first and the last token of the first item that only tests are compiled with.
fn test_item(tokens: &[Token]) -> Option<(usize, usize)> {
    let attribute = ["#", "[", "cfg", "(", "test", ")", "]"];
    let start = tokens
        .windows(attribute.len())
        .position(|window| window.iter().map(|token| token.text.as_str()).eq(attribute))?;
    let body = start + attribute.len();
    let end = tokens[body..]
        .iter()
        .position(|token| token.text == "{" || token.text == ";")?
        + body;
    let end = if tokens[end].text == "{" {
        closing(tokens, end)?
    } else {
        end
    };
    Some((start, end))
}

/// The brace that closes the one at `open`.
pub(crate) fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0;
    (open..tokens.len()).find(|&at| {
        match tokens[at].text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

#[test]
fn tests_do_not_count() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { \"}\" }\n}\nfn c() {}\n";
    let source = Source::parse("src/x.rs", text);
    let words: Vec<_> = source
        .tokens
        .iter()
        .map(|token| token.text.as_str())
        .collect();
    assert_eq!(words.concat(), "fna(){}fnc(){}");
    assert_eq!(source.lines, 2);
}
