//! What a script's `-- tenantry: …` header lines ask for.
//!
//! A directive is never passed over in silence: what cannot be understood, or stands too late, is a problem.

use std::{ops::Range, path::Path, sync::Arc, time::Duration};

use jiff::fmt::friendly::SpanParser;

use super::{Code, Problem, code};
use crate::sql::{Lexer, TokenKind};

/// PostgreSQL counts its timeouts in milliseconds, in 31 bits.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// What a script's `-- tenantry: …` header lines ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directives {
    /// `no-transaction`: the statements are carried one by one, outside a transaction.
    pub no_transaction: bool,
    /// `irreversible`: the migration has no down, on purpose.
    pub irreversible: bool,
    /// `lock-timeout=5s`: how long a statement may wait for a lock. At least a millisecond.
    pub lock_timeout: Option<Duration>,
    /// `statement-timeout=10min`: how long a statement may run. At least a millisecond.
    pub statement_timeout: Option<Duration>,
    /// `phase=contract`: takes away what an older application needs. A rollout applies it once the fleet has all that comes
    /// before it, and somebody said that the older application is gone.
    pub contract: bool,
    /// `requires-backfill=NAME`: a rollout applies it once these are done in every tenant.
    pub backfills: Vec<String>,
}

/// Reads the directives of a script, and what is wrong with them.
pub(super) fn read(path: &Path, text: &Arc<str>) -> (Directives, Vec<Problem>) {
    let mut directives = Directives::default();
    let mut problems = Vec::new();
    for line in lines(text) {
        let refused = |code, what: String, span| Problem::new(code, path, what).at(text, span, "");
        if line.late {
            let what = "the directive stands after the first statement".to_owned();
            problems.push(refused(&code::DIRECTIVE_MISPLACED, what, line.span));
            continue;
        }
        if line.words.is_empty() {
            let what = "the directive line asks for nothing".to_owned();
            problems.push(refused(&code::DIRECTIVE_VALUE, what, line.span));
        }
        for (word, span) in line.words {
            if let Err((code, what)) = directives.take(word) {
                problems.push(refused(code, what, span));
            }
        }
    }
    (directives, problems)
}

/// Where a script's header has the directive `word`.
pub(super) fn place(text: &str, word: &str) -> Option<Range<usize>> {
    let mut words = lines(text)
        .into_iter()
        .filter(|line| !line.late)
        .flat_map(|line| line.words);
    words
        .find(|(found, _)| *found == word)
        .map(|(_, span)| span)
}

impl Directives {
    /// Whether a rollout waits for something before it applies it.
    pub fn is_held(&self) -> bool {
        self.contract || !self.backfills.is_empty()
    }

    fn phase(&mut self, value: Option<&str>) -> Result<(), String> {
        match value {
            Some("contract") => self.contract = true,
            Some("expand") => {}
            _ => return Err("`phase` is `expand` or `contract`".to_owned()),
        }
        Ok(())
    }

    fn take(&mut self, word: &str) -> Result<(), (&'static Code, String)> {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        match name {
            "no-transaction" => mark(&mut self.no_transaction, name, value),
            "irreversible" => mark(&mut self.irreversible, name, value),
            "lock-timeout" => limit(&mut self.lock_timeout, name, value),
            "statement-timeout" => limit(&mut self.statement_timeout, name, value),
            "phase" => self.phase(value),
            "requires-backfill" => match value.filter(|value| !value.is_empty()) {
                Some(backfill) => {
                    self.backfills.push(backfill.to_owned());
                    Ok(())
                }
                None => Err(format!("`{name}` names no backfill")),
            },
            _ => {
                return Err((
                    &code::DIRECTIVE_UNKNOWN,
                    format!("`{word}` is no directive"),
                ));
            }
        }
        .map_err(|what| (&code::DIRECTIVE_VALUE, what))
    }
}

fn mark(flag: &mut bool, name: &str, value: Option<&str>) -> Result<(), String> {
    if value.is_some() {
        return Err(format!("`{name}` takes no value"));
    }
    *flag = true;
    Ok(())
}

fn limit(limit: &mut Option<Duration>, name: &str, value: Option<&str>) -> Result<(), String> {
    let value = value.filter(|value| !value.is_empty());
    let value = value.ok_or_else(|| format!("`{name}` has no duration"))?;
    let duration = SpanParser::new()
        .parse_duration(value)
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| {
            format!("`{value}` is no duration; one is written such as 500ms, 5s or 10min")
        })?;
    if duration < Duration::from_millis(1) {
        return Err(format!(
            "`{name}={value}` would be no limit at all: PostgreSQL counts from 1ms"
        ));
    }
    if duration > LONGEST {
        return Err(format!(
            "`{name}={value}` is longer than the 596h that PostgreSQL can count"
        ));
    }
    if limit
        .replace(duration)
        .is_some_and(|before| before != duration)
    {
        return Err(format!("`{name}` is given twice, with two values"));
    }
    Ok(())
}

/// A comment that begins with `tenantry:`.
struct Line<'a> {
    /// Its words after that, each with its bytes in the text.
    words: Vec<(&'a str, Range<usize>)>,
    /// From the dashes to the last word.
    span: Range<usize>,
    /// Whether a statement stands before it.
    late: bool,
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut late = false;
    let mut found = Vec::new();
    // Only comments count: what looks like a directive inside a literal or a body is none.
    for token in Lexer::new(text).map_while(Result::ok) {
        late |= !token.kind.is_blank() && token.kind != TokenKind::Semicolon;
        if token.kind != TokenKind::LineComment {
            continue;
        }
        let comment = text[token.span.clone()].trim_end();
        if let Some(words) = after_marker(comment) {
            let end = token.span.start + comment.len();
            found.push(Line {
                words: split_words(words, end - words.len()),
                span: token.span.start..end,
                late,
            });
        }
    }
    found
}

/// What follows `-- tenantry:` in a comment.
fn after_marker(comment: &str) -> Option<&str> {
    let comment = comment.strip_prefix("--")?.trim_start();
    let marker = comment.get(.."tenantry:".len())?;
    marker
        .eq_ignore_ascii_case("tenantry:")
        .then(|| &comment[marker.len()..])
}

fn split_words(words: &str, mut start: usize) -> Vec<(&str, Range<usize>)> {
    let mut found = Vec::new();
    for word in words.split(|c: char| c == ',' || c.is_ascii_whitespace()) {
        if !word.is_empty() {
            found.push((word, start..start + word.len()));
        }
        start += word.len() + 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> (Directives, Vec<String>) {
        let (directives, problems) = read(Path::new("a.sql"), &text.into());
        let line = |problem: &Problem| {
            let position = problem.position().unwrap();
            format!("{} {position} {}", problem.code.id, problem.what)
        };
        (directives, problems.iter().map(line).collect())
    }

    #[test]
    fn reads_the_header_only() {
        let text = "\u{feff}-- orders\r\n--tenantry: no-transaction,lock-timeout=5s irreversible\r\n/* why */ ;\n\
                    -- Tenantry:  statement-timeout=10min\r\nselect '\n-- tenantry: nonsense\n';";
        let (directives, problems) = read_text(text);
        assert_eq!(problems, [""; 0]);
        let expected = Directives {
            no_transaction: true,
            irreversible: true,
            lock_timeout: Some(Duration::from_secs(5)),
            statement_timeout: Some(Duration::from_secs(600)),
            ..Directives::default()
        };
        assert_eq!(directives, expected);
    }

    #[test]
    fn what_is_no_directive_is_left_alone() {
        let text = "-- tenantry runs this\n/*\n-- tenantry: nonsense\n*/ select $$\n-- tenantry: nonsense\n$$";
        assert_eq!(read_text(text), (Directives::default(), vec![]));
    }

    #[test]
    fn a_contract_says_what_it_waits_for() {
        let (directives, problems) = read_text(
            "-- tenantry: phase=contract\n-- tenantry: requires-backfill=emails, requires-backfill=names\nselect 1",
        );
        assert_eq!(problems, [""; 0]);
        assert!(directives.contract && directives.is_held());
        assert_eq!(directives.backfills, ["emails", "names"]);
        assert!(!read_text("-- tenantry: phase=expand").0.is_held());
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (text, problem) in [
            (
                "-- ☃\n-- tenantry: no-tx",
                "F301 2:14 `no-tx` is no directive",
            ),
            (
                "-- tenantry: No-Transaction",
                "F301 1:14 `No-Transaction` is no directive",
            ),
            (
                "-- tenantry:  ",
                "F302 1:1 the directive line asks for nothing",
            ),
            (
                "-- tenantry: irreversible=yes",
                "F302 1:14 `irreversible` takes no value",
            ),
            (
                "-- tenantry: lock-timeout",
                "F302 1:14 `lock-timeout` has no duration",
            ),
            (
                "-- tenantry: lock-timeout=5",
                "F302 1:14 `5` is no duration; one is written such as 500ms, 5s or 10min",
            ),
            (
                "-- tenantry: lock-timeout=-5s",
                "F302 1:14 `-5s` is no duration; one is written such as 500ms, 5s or 10min",
            ),
            (
                "-- tenantry: lock-timeout=999us",
                "F302 1:14 `lock-timeout=999us` would be no limit at all: PostgreSQL counts from 1ms",
            ),
            (
                "-- tenantry: lock-timeout=600h",
                "F302 1:14 `lock-timeout=600h` is longer than the 596h that PostgreSQL can count",
            ),
            (
                "-- tenantry: lock-timeout=1s, lock-timeout=2s",
                "F302 1:31 `lock-timeout` is given twice, with two values",
            ),
            (
                "-- tenantry: phase=later",
                "F302 1:14 `phase` is `expand` or `contract`",
            ),
            (
                "-- tenantry: requires-backfill",
                "F302 1:14 `requires-backfill` names no backfill",
            ),
            (
                "select 1; -- tenantry: irreversible",
                "F303 1:11 the directive stands after the first statement",
            ),
            (
                "create table a (\n  -- tenantry: no-transaction\n  id int)",
                "F303 2:3 the directive stands after the first statement",
            ),
        ] {
            assert_eq!(read_text(text).1, [problem], "{text}");
        }
    }
}
