//! Where a plan has to be cut: what one script leaves to the next one in its transaction, told by words alone.

use crate::{
    migration::Script,
    plan::{Plan, Step},
    sql::{Kind, Lexer, Token, TokenKind, kind},
};

/// Whether `next` has to be in another transaction than `previous`, the one before it.
pub(super) fn parts(plan: &Plan, previous: &Step, next: &Step) -> bool {
    reaches_on(&previous.script)
        // At the end of `previous` all deferred checks are run, and there is no way back to deferring them: a script
        // that moves data and relies on a deferred key finds it so in a new transaction only.
        || plan.has_deferrable && moves_data(&next.script)
}

/// Whether what follows `script` in its transaction would find itself elsewhere than in a transaction of its own: in the
/// one that adds an enum value, the value cannot be used; settings and temporary tables last to its end.
pub(super) fn reaches_on(script: &Script) -> bool {
    let adds_enum_value = |s| kind(script.statement(s)) == Kind::AddEnumValue;
    script.statements.iter().any(adds_enum_value) || outlives(&script.text)
}

/// Whether a text has a setting or a temporary table in it, as far as its words tell; also in the bodies it holds, which
/// at worst cuts once too often.
fn outlives(text: &str) -> bool {
    let mut before = String::new();
    for token in Lexer::new(text).map_while(Result::ok) {
        if token.kind.is_blank() {
            continue;
        }
        let word = text[token.span].to_ascii_lowercase();
        let found = match token.kind {
            TokenKind::DollarString => outlives(body(&word)),
            TokenKind::Word => match word.as_str() {
                "set_config" | "pg_temp" => true,
                "local" => before == "set",
                "temp" | "temporary" => {
                    ["create", "local", "global", "replace", "into"].contains(&before.as_str())
                }
                _ => false,
            },
            _ => false,
        };
        if found {
            return true;
        }
        before = word;
    }
    false
}

/// What stands between the marks of a string between dollar signs.
fn body(string: &str) -> &str {
    let mark = string[1..].find('$').map_or(0, |end| end + 2);
    string
        .get(mark..string.len().saturating_sub(mark))
        .unwrap_or_default()
}

/// Whether a script may change rows; structure alone never waits for a deferred check.
pub(super) fn moves_data(script: &Script) -> bool {
    let moves = |s| matches!(kind(script.statement(s)), Kind::Other | Kind::Copy(_));
    script.statements.iter().any(moves)
}

/// Whether a script may do other things than its text says: it runs texts that it puts together, or sets what decides
/// where it is.
pub(super) fn is_dynamic(script: &Script) -> bool {
    let runs_another = |s| {
        let text = script.statement(s);
        let words = |token: &Token| !token.kind.is_blank();
        let first = Lexer::new(text).map_while(Result::ok).find(words);
        first.is_some_and(|token| {
            ["do", "call", "execute"].contains(&text[token.span].to_ascii_lowercase().as_str())
        })
    };
    script.statements.iter().any(runs_another)
}

/// How many locks a script takes, by estimate.
pub(super) fn locks(script: &Script) -> u32 {
    script
        .statements
        .iter()
        .map(|s| kind(&script.text[s.span.clone()]).estimated_locks())
        .sum()
}

/// How many relations a script touches, by estimate and rather too many: a connection is made anew a little early then.
pub(super) fn relations(script: &Script) -> u32 {
    touched(script.statements.iter().map(|s| script.statement(s)))
}

/// The same of some statements.
pub(super) fn touched<'a>(statements: impl IntoIterator<Item = &'a str>) -> u32 {
    /// The tables of one statement of data, with their indexes and those they refer to.
    const DATA: u32 = 10;
    /// Many such statements work on the same few tables.
    const ALL_DATA: u32 = 200;
    /// What is done inside a function is anything: all of a large schema.
    const HIDDEN: u32 = 500;
    let (mut structure, mut data, mut hidden) = (0, 0, 0);
    for text in statements {
        match kind(text) {
            Kind::Other if calls(text) => hidden = HIDDEN,
            Kind::Other => data += DATA,
            kind => structure += kind.estimated_locks(),
        }
    }
    structure + data.min(ALL_DATA) + hidden
}

/// Whether a statement may be there for what the functions do that it calls.
fn calls(statement: &str) -> bool {
    let mut tokens = Lexer::new(statement).map_while(Result::ok);
    let first = tokens.find(|token| !token.kind.is_blank());
    let first = first.map(|token| statement[token.span].to_ascii_lowercase());
    !matches!(
        first.as_deref(),
        Some("insert" | "update" | "delete" | "merge" | "copy" | "values" | "set")
    )
}

#[cfg(test)]
mod tests {
    use super::{outlives, relations};
    use crate::migration::Script;

    #[test]
    fn estimates_what_is_touched() {
        let of = |text: &str| relations(&Script::parse("a.sql", text));
        assert!(of("alter table a add b int; alter table c add d int") < 20);
        let many = "create table t (id int primary key);".repeat(100);
        assert!(of(&many) >= 500);
        // Three hundred rows go into the same table.
        assert!(of(&"insert into a values (1);".repeat(300)) <= 200);
        for hidden in [
            "do $$ begin end $$",
            "select everything()",
            "/* x */ call p()",
        ] {
            assert!(of(hidden) >= 500, "{hidden}");
        }
    }

    #[test]
    fn tells_what_lasts_to_the_end_of_the_transaction() {
        for text in [
            "set  LOCAL work_mem = '1GB'",
            "select pg_catalog.set_config('a.b', 'c', true)",
            "create temp table t () on commit drop",
            "create or replace temporary view v as select 1",
            "create local temp table t ()",
            "create table pg_temp.t ()",
            "select 1 into temp t",
            "do $x$ begin create temp table t (); end $x$",
            "do $$ begin execute $q$ set local a.b = 1 $q$; end $$",
        ] {
            assert!(outlives(text), "{text}");
        }
        for text in [
            "create table readings (temp int, local text, set_at int)",
            "-- set local\nselect 'set local', \"temp\" from t",
            "update t set temp = 1, local = 2",
            "do $$ begin perform 1; end $$",
            "select $$$$, $a$$a$",
        ] {
            assert!(!outlives(text), "{text}");
        }
    }
}
