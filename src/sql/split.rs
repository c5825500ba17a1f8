//! Cutting a script into its statements, exactly as PostgreSQL would.
//!
//! What stands between two statements is only blanks, comments, semicolons and separators: nothing of a script may
//! ever get lost. A semicolon ends a statement outside of parentheses and of `BEGIN ATOMIC` bodies.

use std::ops::Range;

use super::kind::Kind;
use super::lex::{Lexer, Unterminated};
use super::statement::kind;
use super::token::{Token, TokenKind};

/// One statement of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Bytes in the script, from the statement's first token to its last, without the terminator. The data that
    /// `COPY … FROM STDIN` has after it, up to the line `\.`, belongs to it.
    pub span: Range<usize>,
}

/// Cuts `script` into its statements. Empty ones are left out.
///
/// A line `--;;` between two statements ends the one before it, semicolon or not.
pub fn split(script: &str) -> Result<Vec<Statement>, Unterminated> {
    let mut statements = Vec::new();
    let mut open: Option<Open> = None;
    let mut data = CopyData { ahead: true };
    let mut lexer = Lexer::new(script);
    while let Some(token) = lexer.next() {
        let token = token?;
        match (token.kind, open.take()) {
            (TokenKind::Semicolon | TokenKind::Separator, Some(statement))
                if statement.may_end() =>
            {
                let mut statement = statement.close();
                if let Some(end) = data.after(script, &statement, token.span.end) {
                    statement.span.end = end;
                    lexer.skip_to(end);
                }
                statements.push(statement);
            }
            (TokenKind::Semicolon, None) => {}
            (kind, unchanged) if kind.is_blank() => open = unchanged,
            (TokenKind::MetaCommand, None) => statements.push(Statement { span: token.span }),
            (_, Some(statement)) => open = Some(statement.with(script, &token)),
            (_, None) => open = Some(Open::new(&token).with(script, &token)),
        }
    }
    if let Some(last) = open {
        if let Some(offset) = last.body {
            let what = "a body BEGIN ATOMIC".to_owned();
            return Err(Unterminated { what, offset });
        }
        statements.push(last.close());
    }
    Ok(statements)
}

/// The data that psql reads from the lines after `COPY … FROM STDIN`: no SQL, so its quotes mean nothing.
struct CopyData {
    /// False once a look to the end of the script found none, so that nobody looks twice.
    ahead: bool,
}

impl CopyData {
    /// The end of the data that stands behind `statement`, whose terminator ends at `from`.
    fn after(&mut self, script: &str, statement: &Statement, from: usize) -> Option<usize> {
        let text = &script[statement.span.clone()];
        // The kind takes reading the whole statement: only where it may matter.
        let copies = text
            .get(..4)
            .is_some_and(|word| word.eq_ignore_ascii_case("copy"));
        if !self.ahead || !copies || kind(text) != Kind::COPY_FROM_STDIN {
            return None;
        }
        let rest = &script[from..];
        let closes = |at: &usize| matches!(rest.as_bytes().get(at + 3), None | Some(b'\r' | b'\n'));
        let found = rest.match_indices("\n\\.").map(|(at, _)| at).find(closes);
        self.ahead = found.is_some();
        found.map(|at| from + at + 3)
    }
}

/// A statement whose end has not been met yet.
struct Open {
    span: Range<usize>,
    lead: Lead,
    previous: Previous,
    /// Parentheses open. One too many is PostgreSQL's to complain about.
    depth: usize,
    /// Where the outermost `BEGIN ATOMIC` stands, while it is open.
    body: Option<usize>,
    /// `BEGIN ATOMIC` bodies open: the grammar lets them nest.
    bodies: usize,
    /// `CASE` expressions open in the body's present statement.
    cases: usize,
}

/// How much of `CREATE [OR REPLACE] FUNCTION` the statement has begun with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lead {
    Nothing,
    Create,
    CreateOr,
    Routine,
    Other,
}

/// What the token before was, as far as it tells a key word from a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Previous {
    /// A `BEGIN`, at this byte.
    Begin(usize),
    /// `ATOMIC` after `BEGIN`, or a semicolon: an `END` right after it closes the body.
    StatementEnd,
    /// `AS` or a dot: any word after it is a name.
    Naming,
    Other,
}

impl Open {
    fn new(first: &Token) -> Self {
        Self {
            span: first.span.clone(),
            lead: Lead::Nothing,
            previous: Previous::Other,
            depth: 0,
            body: None,
            bodies: 0,
            cases: 0,
        }
    }

    fn may_end(&self) -> bool {
        self.depth == 0 && self.body.is_none()
    }

    fn close(self) -> Statement {
        Statement { span: self.span }
    }

    fn with(mut self, script: &str, token: &Token) -> Self {
        self.span.end = token.span.end;
        let text = &script[token.span.clone()];
        match token.kind {
            TokenKind::Open => self.depth += 1,
            TokenKind::Close => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.previous = match token.kind {
            TokenKind::Word if self.lead == Lead::Routine && self.depth == 0 => {
                self.word(text, token.span.start)
            }
            TokenKind::Semicolon if self.depth == 0 => {
                self.cases = 0;
                Previous::StatementEnd
            }
            TokenKind::Punctuation if text == "." => Previous::Naming,
            _ => Previous::Other,
        };
        self.lead = self.lead.then(text);
        self
    }

    /// Follows the bodies of a routine by its words.
    fn word(&mut self, word: &str, at: usize) -> Previous {
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
        match self.previous {
            Previous::Naming => return Previous::Other,
            Previous::Begin(begin) if is("ATOMIC") => {
                self.body.get_or_insert(begin);
                self.bodies += 1;
                return Previous::StatementEnd;
            }
            _ if is("BEGIN") => return Previous::Begin(at),
            _ if is("AS") => return Previous::Naming,
            _ if self.body.is_none() => {}
            _ if is("CASE") => self.cases += 1,
            _ if is("END") && self.cases > 0 => self.cases -= 1,
            Previous::StatementEnd if is("END") => {
                self.bodies -= 1;
                if self.bodies == 0 {
                    self.body = None;
                }
            }
            _ => {}
        }
        Previous::Other
    }
}

impl Lead {
    fn then(self, token: &str) -> Self {
        let is = |keyword: &str| token.eq_ignore_ascii_case(keyword);
        match self {
            Self::Nothing if is("CREATE") => Self::Create,
            Self::Create if is("OR") => Self::CreateOr,
            Self::CreateOr if is("REPLACE") => Self::Create,
            Self::Create if is("FUNCTION") || is("PROCEDURE") => Self::Routine,
            Self::Routine => Self::Routine,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<&str> {
        let statements = split(script).unwrap();
        statements.into_iter().map(|s| &script[s.span]).collect()
    }

    #[test]
    fn ends_statements_at_semicolons_only_outside_of_everything() {
        assert_eq!(
            texts("a ';' b; ;; -- x;\n c $f$ ; $$ ; $f$ d /* ; /* ; */ ; */ ; e \"x;\"\"y\""),
            ["a ';' b", "c $f$ ; $$ ; $f$ d", "e \"x;\"\"y\""]
        );
        assert_eq!(
            texts("rule do (a; b); c) ; d"),
            ["rule do (a; b)", "c)", "d"]
        );
        assert_eq!(texts(" -- nothing\n"), [""; 0]);
    }

    #[test]
    fn keeps_atomic_bodies_whole() {
        let routine = "create or replace function f() returns int begin atomic select case 1 when 1 then 2 end; select 1 as end; end";
        assert_eq!(texts(&format!("{routine}; x")), [routine, "x"]);
        assert_eq!(texts("begin; atomic; end"), ["begin", "atomic", "end"]);
        let open = split("x; create procedure p() begin atomic select 1; y;").unwrap_err();
        assert_eq!(open.offset, 24);
    }

    #[test]
    fn names_what_is_never_closed() {
        for (script, what, offset) in [
            ("a; 'b", "a string", 3),
            ("E'a\\'", "a string", 0),
            ("a \"b", "a quoted name", 2),
            ("/* /* */", "a comment", 0),
            ("é $x$ $y$", "a dollar-quoted body $x$", 3),
        ] {
            let what = what.to_owned();
            assert_eq!(
                split(script),
                Err(Unterminated { what, offset }),
                "{script}"
            );
        }
    }

    #[test]
    fn takes_separators_and_psql_commands_for_ends() {
        assert_eq!(texts("a\n  --;; x\nb; --;; no end\nc"), ["a", "b", "c"]);
        assert_eq!(texts("a(\n--;;\n) $$\n--;;\n$$ b --;;\n c").len(), 1);
        assert_eq!(
            texts("\\copy a from 'b;c'\nd"),
            ["\\copy a from 'b;c'", "d"]
        );
    }
}
