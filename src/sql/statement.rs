//! Telling what a statement is by its words alone, never by asking a server.

use super::kind::Kind;
use super::lex::Lexer;
use super::token::TokenKind;

/// Tells the kind of one statement, as [`split`](super::split) cuts it.
pub fn kind(statement: &str) -> Kind {
    let outline = match outline(statement) {
        Ok(outline) => outline,
        Err(kind) => return kind,
    };
    let words: Vec<&str> = outline.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["SET", rest @ ..] => set(rest),
        ["RESET", rest @ ..] => reset(rest),
        ["DISCARD", ..] => Kind::Session("DISCARD"),
        ["COPY", rest @ ..] => copy(rest),
        words => transaction_control(words)
            .or_else(|| session_state(words))
            .or_else(|| no_transaction(words))
            .unwrap_or_else(|| structural(words)),
    }
}

/// The most tokens that any decision needs.
const OUTLINE: usize = 40;

/// The statement's first tokens in upper case, without comments and without what stands in parentheses, except where
/// these hold options. An error is the kind at once: some things count wherever they stand.
fn outline(statement: &str) -> Result<Vec<String>, Kind> {
    let mut outline: Vec<String> = Vec::new();
    let mut depth = 0_usize;
    let mut before = ["", ""];
    let tokens = Lexer::new(statement).map_while(Result::ok);
    for token in tokens.filter(|token| !token.kind.is_blank()) {
        let text = &statement[token.span];
        match token.kind {
            TokenKind::MetaCommand => return Err(Kind::MetaCommand),
            TokenKind::String if sets_search_path(before, text) => {
                return Err(Kind::SearchPath("set_config('search_path', …)"));
            }
            TokenKind::Open => depth += 1,
            _ => {}
        }
        let options = outline.first().is_some_and(|first| first == "REINDEX");
        if (depth == 0 || options) && outline.len() < OUTLINE {
            outline.push(text.to_ascii_uppercase());
        }
        if token.kind == TokenKind::Close {
            depth = depth.saturating_sub(1);
        }
        before = [before[1], text];
    }
    Ok(outline)
}

/// `set_config('search_path'`, as dumps have it.
fn sets_search_path([function, open]: [&str; 2], setting: &str) -> bool {
    open == "("
        && function.eq_ignore_ascii_case("set_config")
        && setting.eq_ignore_ascii_case("'search_path'")
}

fn transaction_control(words: &[&str]) -> Option<Kind> {
    let control = match words {
        ["BEGIN", ..] => "BEGIN",
        ["START", "TRANSACTION", ..] => "START TRANSACTION",
        ["COMMIT", "PREPARED", ..] => "COMMIT PREPARED",
        ["COMMIT", ..] => "COMMIT",
        ["END", ..] => "END",
        ["ROLLBACK", "PREPARED", ..] => "ROLLBACK PREPARED",
        ["ROLLBACK", "TO", ..] | ["ROLLBACK", "WORK" | "TRANSACTION", "TO", ..] => return None,
        ["ROLLBACK", ..] => "ROLLBACK",
        ["ABORT", ..] => "ABORT",
        ["PREPARE", "TRANSACTION", ..] => "PREPARE TRANSACTION",
        _ => return None,
    };
    Some(Kind::TransactionControl(control))
}

/// What follows `SET`.
fn set(rest: &[&str]) -> Kind {
    let (local, rest) = match rest {
        ["LOCAL", rest @ ..] => (true, rest),
        ["SESSION", "AUTHORIZATION" | "CHARACTERISTICS", ..] => (false, rest),
        ["SESSION", rest @ ..] => (false, rest),
        _ => (false, rest),
    };
    match rest {
        ["TRANSACTION", ..] => Kind::TransactionControl("SET TRANSACTION"),
        ["CONSTRAINTS", ..] => Kind::Other,
        ["SCHEMA", ..] => Kind::SearchPath("SET SCHEMA"),
        ["SESSION", "AUTHORIZATION", ..] if local => Kind::Role("SET LOCAL SESSION AUTHORIZATION"),
        ["SESSION", "AUTHORIZATION", ..] => Kind::Session("SET SESSION AUTHORIZATION"),
        ["SESSION", "CHARACTERISTICS", ..] => Kind::Session("SET SESSION CHARACTERISTICS"),
        ["TIME", "ZONE", ..] if !local => Kind::Session("SET TIME ZONE"),
        [name, ..] => match setting(name) {
            "SEARCH_PATH" => Kind::SearchPath("SET search_path"),
            "ROLE" => Kind::Role("SET ROLE"),
            "SESSION_AUTHORIZATION" => Kind::Role("SET session_authorization"),
            _ if local => Kind::Other,
            _ => Kind::Session("SET"),
        },
        [] => Kind::Session("SET"),
    }
}

/// What follows `RESET`.
fn reset(rest: &[&str]) -> Kind {
    match rest.first().map(|name| setting(name)) {
        Some("SEARCH_PATH") => Kind::SearchPath("RESET search_path"),
        Some("ROLE") => Kind::Role("RESET ROLE"),
        _ => Kind::Session("RESET"),
    }
}

/// The name of a setting, which may be quoted and is the same in either case.
fn setting(name: &str) -> &str {
    name.trim_matches('"')
}

/// What follows `COPY`.
fn copy(rest: &[&str]) -> Kind {
    // Both words are reserved: a table of that name stands in quotes.
    let direction = rest
        .windows(2)
        .find(|pair| matches!(pair[0], "FROM" | "TO"));
    match direction {
        Some([_, "STDIN"]) => Kind::COPY_FROM_STDIN,
        Some([_, "STDOUT"]) => Kind::Copy("COPY … TO STDOUT"),
        _ => Kind::Other,
    }
}

/// What the session keeps when the transaction has ended.
fn session_state(words: &[&str]) -> Option<Kind> {
    let what = match words {
        ["PREPARE", ..] => "PREPARE",
        ["DEALLOCATE", ..] => "DEALLOCATE",
        ["LISTEN", ..] => "LISTEN",
        ["DECLARE", rest @ ..]
            if rest
                .windows(3)
                .any(|three| three == ["CURSOR", "WITH", "HOLD"]) =>
        {
            "DECLARE … WITH HOLD"
        }
        _ => return None,
    };
    Some(Kind::Session(what))
}

fn no_transaction(words: &[&str]) -> Option<Kind> {
    let concurrently = words.contains(&"CONCURRENTLY");
    let what = match words {
        ["CREATE", "INDEX", "CONCURRENTLY", ..]
        | ["CREATE", "UNIQUE", "INDEX", "CONCURRENTLY", ..] => "CREATE INDEX CONCURRENTLY",
        ["DROP", "INDEX", "CONCURRENTLY", ..] => "DROP INDEX CONCURRENTLY",
        ["REINDEX", ..] if concurrently => "REINDEX … CONCURRENTLY",
        ["REINDEX", rest @ ..] => reindex(rest)?,
        ["ALTER", "TABLE", rest @ ..]
            if concurrently && rest.windows(2).any(|pair| pair == ["DETACH", "PARTITION"]) =>
        {
            "DETACH PARTITION … CONCURRENTLY"
        }
        ["VACUUM", ..] => "VACUUM",
        ["CLUSTER"] | ["CLUSTER", "VERBOSE"] => "CLUSTER",
        ["CREATE", "DATABASE", ..] => "CREATE DATABASE",
        ["DROP", "DATABASE", ..] => "DROP DATABASE",
        ["CREATE", "TABLESPACE", ..] => "CREATE TABLESPACE",
        ["DROP", "TABLESPACE", ..] => "DROP TABLESPACE",
        ["ALTER", "SYSTEM", ..] => "ALTER SYSTEM",
        ["ALTER", "DATABASE", _, "SET", "TABLESPACE", ..] => "ALTER DATABASE … SET TABLESPACE",
        ["CREATE", "SUBSCRIPTION", ..] => "CREATE SUBSCRIPTION",
        ["DROP", "SUBSCRIPTION", ..] => "DROP SUBSCRIPTION",
        ["ALTER", "SUBSCRIPTION", _, rest @ ..] if rest.contains(&"PUBLICATION") => {
            "ALTER SUBSCRIPTION … PUBLICATION"
        }
        _ => return None,
    };
    Some(Kind::NoTransaction(what))
}

/// What follows `REINDEX`, where nothing of it is concurrent.
fn reindex(rest: &[&str]) -> Option<&'static str> {
    let after_options = match rest {
        ["(", ..] => rest.iter().position(|word| *word == ")").unwrap_or(0) + 1,
        _ => 0,
    };
    match rest.get(after_options) {
        Some(&"SCHEMA") => Some("REINDEX SCHEMA"),
        Some(&"DATABASE") => Some("REINDEX DATABASE"),
        Some(&"SYSTEM") => Some("REINDEX SYSTEM"),
        _ => None,
    }
}

fn structural(words: &[&str]) -> Kind {
    match words {
        ["ALTER", "TYPE", rest @ ..] if rest.windows(2).any(|pair| pair == ["ADD", "VALUE"]) => {
            Kind::AddEnumValue
        }
        ["ALTER", "TABLE", ..] => Kind::AlterTable,
        ["CREATE", "INDEX", ..] | ["CREATE", "UNIQUE", "INDEX", ..] => Kind::CreateIndex,
        ["CREATE", "TABLE", ..]
        | [
            "CREATE",
            "UNLOGGED" | "TEMP" | "TEMPORARY" | "FOREIGN",
            "TABLE",
            ..,
        ]
        | [
            "CREATE",
            "GLOBAL" | "LOCAL",
            "TEMP" | "TEMPORARY",
            "TABLE",
            ..,
        ] => Kind::CreateTable,
        [
            "CREATE" | "ALTER" | "DROP" | "TRUNCATE" | "COMMENT" | "GRANT" | "REVOKE" | "REINDEX",
            ..,
        ]
        | ["CLUSTER" | "REASSIGN" | "IMPORT", ..]
        | ["SECURITY", "LABEL", ..]
        | ["REFRESH", "MATERIALIZED", ..] => Kind::Ddl,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(statements: &[&str]) -> Vec<Option<&'static str>> {
        statements.iter().map(|s| kind(s).words()).collect()
    }

    #[test]
    fn tells_what_ends_a_transaction_from_what_stays_inside_it() {
        for inside in [
            "rollback to a",
            "ROLLBACK WORK TO SAVEPOINT a",
            "savepoint a",
            "release a",
            "declare c cursor for select 1",
            "declare c cursor without hold for select 1",
            "notify a",
            "set constraints all deferred",
            "do $$ begin commit; end $$",
        ] {
            assert_eq!(kind(inside), Kind::Other, "{inside}");
        }
        let control = [
            ("begin isolation level serializable", "BEGIN"),
            ("Start /* x */ Transaction", "START TRANSACTION"),
            ("COMMIT and chain", "COMMIT"),
            ("commit prepared 'a'", "COMMIT PREPARED"),
            ("end", "END"),
            ("rollback", "ROLLBACK"),
            ("rollback prepared 'a'", "ROLLBACK PREPARED"),
            ("abort work", "ABORT"),
            ("prepare transaction 'a'", "PREPARE TRANSACTION"),
            ("set local transaction read only", "SET TRANSACTION"),
        ];
        for (statement, words) in control {
            assert_eq!(
                kind(statement),
                Kind::TransactionControl(words),
                "{statement}"
            );
        }
    }

    #[test]
    fn tells_settings_by_their_reach() {
        assert_eq!(kind("set local lock_timeout = 1"), Kind::Other);
        assert_eq!(kind("SET LOCAL TIME ZONE 'UTC'"), Kind::Other);
        assert_eq!(
            words(&[
                "set lock_timeout = 1",
                "set session lock_timeout to 1",
                "set time zone 'UTC'",
                "set session authorization a",
                "set session characteristics as transaction read only",
                "reset all",
                "discard plans",
                "prepare transaction_one as select 1",
                "deallocate all",
                "listen a",
                "declare c no scroll cursor with hold for select 1",
            ]),
            [
                Some("SET"),
                Some("SET"),
                Some("SET TIME ZONE"),
                Some("SET SESSION AUTHORIZATION"),
                Some("SET SESSION CHARACTERISTICS"),
                Some("RESET"),
                Some("DISCARD"),
                Some("PREPARE"),
                Some("DEALLOCATE"),
                Some("LISTEN"),
                Some("DECLARE … WITH HOLD"),
            ]
        );
        for path in [
            "set search_path to a",
            "set local \"Search_Path\" = a",
            "set session search_path from current",
            "set schema 'a'",
            "select pg_catalog.set_config('search_path', '', false)",
            "reset search_path",
        ] {
            assert!(matches!(kind(path), Kind::SearchPath(_)), "{path}");
        }
        for role in [
            "set role a",
            "set local role a",
            "set session role none",
            "reset role",
        ] {
            assert!(matches!(kind(role), Kind::Role(_)), "{role}");
        }
    }

    #[test]
    fn tells_copies_that_need_the_client() {
        for (statement, direction) in [
            ("copy t from stdin", Some("COPY … FROM STDIN")),
            (
                "copy \"a\".\"from\" (x, \"to\") from stdin with csv",
                Some("COPY … FROM STDIN"),
            ),
            (
                "COPY (select 1 from stdin) TO STDOUT",
                Some("COPY … TO STDOUT"),
            ),
            ("copy (select 1 from stdin) to '/tmp/x'", None),
            ("copy t from program 'stdin'", None),
        ] {
            assert_eq!(kind(statement).words(), direction, "{statement}");
        }
        assert_eq!(kind(r"\copy t from x"), Kind::MetaCommand);
        assert_eq!(kind("select 1 \\gset"), Kind::MetaCommand);
    }

    #[test]
    fn tells_what_no_transaction_takes() {
        for statement in [
            "create unique index concurrently if not exists i on t (a)",
            "drop index concurrently i",
            "reindex table concurrently t",
            "reindex (verbose, concurrently) table t",
            "reindex (verbose) schema s",
            "reindex system",
            "alter table if exists only s.p detach partition s.c concurrently",
            "vacuum (analyze) t",
            "cluster",
            "cluster verbose",
            "create database d",
            "drop tablespace s",
            "alter system set a = 1",
            "alter database d set tablespace s",
            "create subscription s connection '' publication p",
        ] {
            assert!(
                matches!(kind(statement), Kind::NoTransaction(_)),
                "{statement}"
            );
        }
        for statement in [
            "create index \"concurrently\" on t (a)",
            "reindex table t",
            "alter table p detach partition c",
            "cluster t",
            "alter database d set lock_timeout = 1",
        ] {
            assert!(
                !matches!(kind(statement), Kind::NoTransaction(_)),
                "{statement}"
            );
        }
    }

    #[test]
    fn estimates_locks_by_the_rough_class() {
        assert_eq!(
            kind("alter type s.e add value if not exists 'x'"),
            Kind::AddEnumValue
        );
        assert_eq!(kind("create temp table t ()"), Kind::CreateTable);
        assert_eq!(kind("create unique index on t (a)"), Kind::CreateIndex);
        assert_eq!(kind("alter table t add value int"), Kind::AlterTable);
        assert_eq!(kind("create view v as select 1"), Kind::Ddl);
        assert_eq!(kind("insert into t values (1)"), Kind::Other);
        assert!(Kind::CreateTable.estimated_locks() > Kind::Other.estimated_locks());
    }
}
