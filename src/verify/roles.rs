//! What scripts do to roles, which belong to a whole server: databases that are worked on at once, or one after the other,
//! find those of each other.
//!
//! Read are the statements, with the bodies in them; never a comment.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{
    migration::{MigrationSet, Script},
    sql::{Ident, Lexer, TokenKind},
};

/// Strings in strings are followed so far.
const DEEPEST: usize = 4;

/// What scripts do to roles.
#[derive(Debug, Default)]
pub(super) struct Roles {
    /// The first script that makes or changes what belongs to the whole server.
    pub(super) spoken_of: Option<PathBuf>,
    /// Those that scripts make under a name that stands there.
    pub(super) made: BTreeSet<Ident>,
}

impl Roles {
    /// Reads the scripts of a set, too.
    pub(super) fn add(&mut self, set: &MigrationSet) {
        let migrations = set.migrations.iter();
        let of_migrations = migrations.flat_map(|m| [Some(&m.up), m.down.as_ref()]);
        let of_repeatables = set.repeatables.iter().map(|r| Some(&r.script));
        for script in of_migrations.chain(of_repeatables).flatten() {
            self.add_text(&script.text, &script.path);
        }
    }

    /// Reads what a database has before its first migration: made on each, that is no reason to work on one at a time.
    pub(super) fn add_prepared(&mut self, text: &str) {
        let mut prepared = Self::default();
        prepared.add_text(text, Path::new(""));
        self.made.extend(prepared.made);
    }

    fn add_text(&mut self, text: &str, path: &Path) {
        if self.read(text, 0) && self.spoken_of.is_none() {
            self.spoken_of = Some(path.to_owned());
        }
    }

    /// Whether the text speaks of roles.
    fn read(&mut self, text: &str, depth: usize) -> bool {
        let mut speaks = false;
        for statement in statements(text) {
            let holder = Holder::of(&statement);
            for (place, token) in statement.iter().enumerate() {
                let last = place.checked_sub(1).and_then(|last| statement.get(last));
                let is_code = depth > 0 || holder.is_code_after(last);
                if let (Some(body), true) = (token.body(), is_code && depth < DEEPEST) {
                    speaks |= self.read(body, depth + 1);
                }
                let rest = statement.get(place + 1..).unwrap_or_default();
                if let (true, [noun, rest @ ..]) = (is_verb(token), rest)
                    && is_noun(noun, rest.first())
                {
                    speaks = true;
                    let name = rest.first().and_then(Word::name);
                    self.made
                        .extend(name.filter(|_| token.is("create") && !noun.is("tablespace")));
                }
            }
        }
        speaks
    }
}

/// Which strings of a statement are code. Elsewhere a string is a value, or a comment that is stored.
enum Holder {
    /// All of them.
    Block,
    /// The one after `AS`.
    Routine,
    Other,
}

impl Holder {
    fn of(statement: &[Word<'_>]) -> Self {
        let are = |start: &[&str]| {
            let mut words = statement.iter().zip(start);
            statement.len() >= start.len() && words.all(|(token, word)| token.is(word))
        };
        let makes = |noun| are(&["create", noun]) || are(&["create", "or", "replace", noun]);
        match () {
            () if are(&["do"]) => Self::Block,
            () if makes("function") || makes("procedure") => Self::Routine,
            () => Self::Other,
        }
    }

    fn is_code_after(&self, last: Option<&Word<'_>>) -> bool {
        match self {
            Self::Block => true,
            Self::Routine => last.is_some_and(|word| word.is("as")),
            Self::Other => false,
        }
    }
}

/// Whether a script makes or changes what belongs to the whole server.
pub(super) fn are_in(script: &Script) -> bool {
    Roles::default().read(&script.text, 0)
}

fn is_verb(word: &Word<'_>) -> bool {
    ["create", "alter", "drop"].iter().any(|verb| word.is(verb))
}

/// A user mapping belongs to a database.
fn is_noun(word: &Word<'_>, next: Option<&Word<'_>>) -> bool {
    ["role", "user", "group", "tablespace"]
        .iter()
        .any(|noun| word.is(noun))
        && !next.is_some_and(|next| next.is("mapping"))
}

/// A token that is not blank.
struct Word<'a> {
    kind: TokenKind,
    text: &'a str,
}

impl<'a> Word<'a> {
    fn is(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// As PostgreSQL keeps it.
    fn name(&self) -> Option<Ident> {
        let name = match self.kind {
            TokenKind::Word => self.text.to_ascii_lowercase(),
            TokenKind::QuotedName => {
                let inside = self.text.strip_prefix('"')?.strip_suffix('"')?;
                inside.replace("\"\"", "\"")
            }
            _ => return None,
        };
        Ident::new(name).ok()
    }

    /// What stands in a string.
    fn body(&self) -> Option<&'a str> {
        match self.kind {
            TokenKind::String => {
                let (_, inside) = self.text.split_once('\'')?;
                inside.strip_suffix('\'')
            }
            TokenKind::DollarString => {
                let tag = self.text[1..].find('$')? + 2;
                self.text.get(tag..self.text.len().checked_sub(tag)?)
            }
            _ => None,
        }
    }
}

/// The words of each statement; what cannot be read any further ends the last one.
fn statements(text: &str) -> Vec<Vec<Word<'_>>> {
    let mut statements = vec![Vec::new()];
    for token in Lexer::new(text).map_while(Result::ok) {
        if token.kind == TokenKind::Semicolon {
            statements.push(Vec::new());
        } else if let (false, Some(statement)) = (token.kind.is_blank(), statements.last_mut()) {
            let (kind, text) = (token.kind, &text[token.span]);
            statement.push(Word { kind, text });
        }
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the roles that a text makes; none where it does not speak of any.
    fn made(text: &str) -> Option<Vec<String>> {
        let mut roles = Roles::default();
        let speaks = roles.read(text, 0);
        let names = roles.made.iter().map(|name| name.as_str().to_owned());
        speaks.then(|| names.collect())
    }

    #[test]
    fn statements_and_bodies_speak_of_roles() {
        for (text, names) in [
            ("select 1; CREATE /* a */ Role R1 nologin;", &["r1"][..]),
            ("create user \"Big \"\"R\"\"\" password 'x'", &["Big \"R\""]),
            ("do $$ begin create role r2; end $$;", &["r2"]),
            ("do $a$ begin execute 'create group r3'; end $a$;", &["r3"]),
            (
                "do $$ begin execute format('create role %I', x); end $$",
                &[],
            ),
            ("alter role postgres set work_mem = '1MB'", &[]),
            ("drop role r4", &[]),
            (
                "create or replace procedure p() language sql as 'create role r5'",
                &["r5"],
            ),
            (
                "create function f() returns void language plpgsql as $$ begin create role r6; end $$",
                &["r6"],
            ),
            ("do language plpgsql 'begin create role r7; end'", &["r7"]),
            ("create tablespace fast location '/x'", &[]),
        ] {
            assert_eq!(made(text).unwrap(), names, "{text}");
        }
    }

    #[test]
    fn comments_and_values_do_not() {
        for text in [
            "-- create user table\ncreate table users (id int);",
            "/* create role r; */ select 1",
            "comment on table users is 'who may create role names';",
            "insert into log values ('create role r')",
            "create user mapping for me server there",
            "create table roles (role text)",
            "create table notes (note text default 'create user bob')",
            "create or replace function f(a text default 'drop role x') returns text language sql as 'select a'",
            "create view v as select 'alter user a'",
            "grant all on s to r",
        ] {
            assert_eq!(made(text), None, "{text}");
        }
    }
}
