//! Lengths of files and functions.

use std::fmt::Write;

use crate::source::{Source, closing};

/// How long a file and its longest function are.
pub(crate) struct Row {
    path: String,
    pub(crate) lines: usize,
    functions: Vec<(String, usize)>,
}

impl Row {
    pub(crate) fn of(source: &Source) -> Self {
        Self {
            path: source.path.clone(),
            lines: source.lines,
            functions: functions(source),
        }
    }

    /// What exceeds the limits, for people.
    pub(crate) fn violations(&self, file_lines: usize, function_lines: usize) -> Vec<String> {
        let mut found = Vec::new();
        if self.lines > file_lines {
            found.push(format!(
                "{}: {} lines, at most {file_lines} are allowed",
                self.path, self.lines
            ));
        }
        for (name, lines) in &self.functions {
            if *lines > function_lines {
                let path = &self.path;
                found.push(format!(
                    "{path}: `{name}` has {lines} lines, at most {function_lines} are allowed"
                ));
            }
        }
        found
    }
}

pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = format!("{:>5} {:>7}  file (longest function)\n", "lines", "longest");
    for row in rows {
        let longest = row.functions.iter().max_by_key(|(_, lines)| lines);
        let (name, lines) = longest.map_or(("-", 0), |(name, lines)| (name, *lines));
        writeln!(text, "{:>5} {lines:>7}  {} ({name})", row.lines, row.path).unwrap();
    }
    text
}

/// The names of all functions that have a body, and the lines from `fn` to the closing brace.
fn functions(source: &Source) -> Vec<(String, usize)> {
    let tokens = &source.tokens;
    let mut found = Vec::new();
    for start in 0..tokens.len().saturating_sub(1) {
        // `fn(` is a type.
        if tokens[start].text != "fn" || tokens[start + 1].text == "(" {
            continue;
        }
        let mut nested = 0;
        let body = (start..tokens.len()).find(|&at| {
            match tokens[at].text.as_str() {
                "(" | "[" => nested += 1,
                ")" | "]" => nested -= 1,
                _ => {}
            }
            nested == 0 && ["{", ";"].contains(&tokens[at].text.as_str())
        });
        if let Some(open) = body.filter(|&at| tokens[at].text == "{")
            && let Some(close) = closing(tokens, open)
        {
            let lines = tokens[close].line - tokens[start].line + 1;
            found.push((tokens[start + 1].text.clone(), lines));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "trait T { fn declared(&self) -> [u8; 4]; }
        fn long(callback: fn(u8) -> u8) -> [u8; 2] {
            if true { 1 } else { 2 }
        }
        fn short() {}";

    #[test]
    fn functions_are_measured() {
        let found = functions(&Source::parse("src/x.rs", TEXT));
        assert_eq!(found, [("long".to_owned(), 3), ("short".to_owned(), 1)]);
    }

    #[test]
    fn what_is_too_long_is_named() {
        let row = Row::of(&Source::parse("src/x.rs", TEXT));
        assert_eq!(row.violations(5, 3), [""; 0]);
        let found = row.violations(4, 2);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[1].contains("`long` has 3 lines"), "{found:?}");
        assert!(table(&[row]).contains("    5       3  src/x.rs (long)"));
    }
}
