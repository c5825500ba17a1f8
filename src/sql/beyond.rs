//! Whether a statement changes the structure of its own schema and nothing else, told by its words alone.
//!
//! Nothing here may say so of a statement that could do more: what is not known to be structure counts as more.

use super::lex::Lexer;
use super::token::TokenKind;

/// The words that say why a statement may do more than change the structure of its own schema: rows, objects of others,
/// owners, whatever a block or a function does. None where it does no more than that, in a schema whose tables are empty.
pub fn beyond_structure(statement: &str) -> Option<String> {
    let words = words(statement);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["CREATE" | "ALTER" | "DROP", ..] => of_object(&words),
        ["COMMENT", "ON", "COLUMN", rest @ ..] => {
            // Its table stands in front of it; a schema is one name more.
            let name = rest.iter().take_while(|word| **word != "IS");
            (name.filter(|word| **word == ".").count() > 1).then(|| named(&words))
        }
        ["COMMENT", "ON", what, rest @ ..] if is_kind(what) => {
            (is_qualified(rest) || is_on_another(what, rest) || is_of_everybody(what, rest))
                .then(|| named(&words))
        }
        ["GRANT" | "REVOKE", ..] => of_privileges(&words),
        ["TRUNCATE", rest @ ..] => rest.contains(&".").then(|| named(&words)),
        ["LOCK" | "ANALYZE" | "VACUUM" | "REINDEX" | "CLUSTER", ..]
        | ["REFRESH", "MATERIALIZED", ..]
        | ["SET", "LOCAL" | "CONSTRAINTS", ..] => None,
        ["UPDATE", rest @ ..] | ["DELETE", "FROM", rest @ ..] => of_rows(&words, rest),
        _ => Some(named(&words)),
    }
}

/// What a statement can be about that belongs to a schema.
const KINDS: [&str; 21] = [
    "TABLE",
    "INDEX",
    "VIEW",
    "MATERIALIZED",
    "SEQUENCE",
    "TYPE",
    "DOMAIN",
    "FUNCTION",
    "PROCEDURE",
    "ROUTINE",
    "AGGREGATE",
    "TRIGGER",
    "RULE",
    "POLICY",
    "STATISTICS",
    "COLLATION",
    "OPERATOR",
    "CAST",
    "CONVERSION",
    "TEXT",
    "CONSTRAINT",
];

/// What stands between the verb and the kind, or between the kind and the name.
const FILLERS: [&str; 14] = [
    "OR",
    "REPLACE",
    "UNIQUE",
    "UNLOGGED",
    "RECURSIVE",
    "FOREIGN",
    "CONCURRENTLY",
    "IF",
    "NOT",
    "EXISTS",
    "ONLY",
    "CLASS",
    "FAMILY",
    "SEARCH",
];

fn is_kind(word: &&str) -> bool {
    KINDS.contains(word)
}

/// The words outside of parentheses, in upper case; names in quotes and all else as they are.
fn words(statement: &str) -> Vec<String> {
    let (mut words, mut depth) = (Vec::new(), 0_usize);
    let tokens = Lexer::new(statement).map_while(Result::ok);
    for token in tokens.filter(|token| !token.kind.is_blank()) {
        let text = &statement[token.span];
        if token.kind == TokenKind::Close {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            words.push(match token.kind {
                TokenKind::Word => text.to_ascii_uppercase(),
                _ => text.to_owned(),
            });
        }
        if token.kind == TokenKind::Open {
            depth += 1;
        }
    }
    words
}

/// The words that begin it.
fn named(words: &[&str]) -> String {
    let is_word = |word: &&&str| word.bytes().all(|b| b.is_ascii_uppercase());
    let first: Vec<&str> = words.iter().take(2).take_while(is_word).copied().collect();
    match first.as_slice() {
        [
            "INSERT" | "CREATE" | "ALTER" | "DROP" | "COMMENT" | "IMPORT" | "SECURITY",
            _,
        ] => first.join(" "),
        [verb, ..] => (*verb).to_owned(),
        [] => "what nobody knows".to_owned(),
    }
}

/// Whether the first name has another one before it.
fn is_qualified(words: &[&str]) -> bool {
    let mut names = words.iter().skip_while(|word| FILLERS.contains(word));
    names.next().is_some() && names.next() == Some(&".")
}

/// Whether it is about what is on a table that has another name before its own.
fn is_on_another(what: &str, words: &[&str]) -> bool {
    let before_table = match what {
        "INDEX" | "TRIGGER" | "CONSTRAINT" | "POLICY" => "ON",
        "RULE" => "TO",
        _ => return false,
    };
    let on = words.iter().position(|word| *word == before_table);
    on.is_some_and(|on| is_qualified(&words[on + 1..]))
}

/// Types of PostgreSQL itself, by the first word of their names.
const TYPES: &str = " ANY ANYARRAY ANYELEMENT BIGINT BIT BOOL BOOLEAN BOX BPCHAR BYTEA CHAR CHARACTER CID CIDR CIRCLE CSTRING \
    DATE DATERANGE DATEMULTIRANGE DECIMAL DOUBLE FLOAT FLOAT4 FLOAT8 INET INT INT2 INT2VECTOR INT4 INT4RANGE INT4MULTIRANGE INT8 \
    INT8RANGE INT8MULTIRANGE INTEGER INTERVAL JSON JSONB JSONPATH LINE LSEG MACADDR MACADDR8 MONEY NAME NATIONAL NCHAR NUMERIC \
    NUMRANGE NUMMULTIRANGE OID OIDVECTOR PATH POINT POLYGON REAL RECORD REFCURSOR REGCLASS REGCOLLATION REGCONFIG \
    REGDICTIONARY REGNAMESPACE REGOPER REGOPERATOR REGPROC REGPROCEDURE REGROLE REGTYPE SMALLINT TEXT TID TIME TIMESTAMP \
    TIMESTAMPTZ TIMETZ TRIGGER TSMULTIRANGE TSQUERY TSRANGE TSTZMULTIRANGE TSTZRANGE TSVECTOR UUID VARBIT VARCHAR VOID XID XID8 \
    XML ";

/// Whether it may be about what PostgreSQL has itself, for every schema: that goes before a schema's own of the same name.
fn is_of_everybody(what: &str, rest: &[&str]) -> bool {
    match what {
        "CAST" | "OPERATOR" | "COLLATION" | "CONVERSION" | "TEXT" => true,
        "TYPE" | "DOMAIN" => {
            let mut names = rest.iter().skip_while(|word| FILLERS.contains(word));
            names.next().is_some_and(|name| {
                let name = name.trim_matches('"').to_ascii_uppercase();
                name.starts_with("PG_")
                    || name.starts_with('_')
                    || TYPES.contains(&format!(" {name} "))
            })
        }
        _ => false,
    }
}

fn of_object(words: &[&str]) -> Option<String> {
    let kind = words.iter().skip(1).position(|w| !FILLERS.contains(w))? + 1;
    let (what, rest) = (words[kind], &words[kind + 1..]);
    let rest = match rest {
        ["VIEW", rest @ ..] if what == "MATERIALIZED" => rest,
        ["TRIGGER", rest @ ..] if what == "CONSTRAINT" => rest,
        // A configuration, a dictionary, a template, a parser.
        ["SEARCH", _, rest @ ..] if what == "TEXT" => rest,
        rest => rest,
    };
    if !is_kind(&what) {
        return Some(named(words));
    }
    if what == "CAST" {
        return Some(named(words));
    }
    if is_on_another(what, rest) || is_qualified(rest) && what != "OPERATOR" {
        return Some("a name with its schema".to_owned());
    }
    if words[0] == "ALTER" && is_of_everybody(what, rest) {
        return Some(named(words));
    }
    if rest.contains(&"TABLESPACE") {
        return Some("TABLESPACE".to_owned());
    }
    let has = |pair: [&str; 2]| rest.windows(2).any(|found| found == pair);
    if words[0] == "CREATE" && what == "TABLE" && rest.contains(&"AS") {
        return Some("CREATE TABLE … AS".to_owned());
    }
    let beyond = [["OWNER", "TO"], ["SET", "SCHEMA"]];
    let beyond = beyond
        .into_iter()
        .find(|pair| words[0] == "ALTER" && has(*pair));
    beyond.map(|pair| pair.join(" "))
}

/// Privileges on what is in the schema are part of its structure where that tells of them.
fn of_privileges(words: &[&str]) -> Option<String> {
    let on = words.iter().position(|word| *word == "ON");
    let is_own = on.is_some_and(|on| {
        let mut on = words[on + 1..].iter();
        let what = on.next();
        let is_elsewhere = |word: &&&str| {
            matches!(
                **word,
                "SCHEMA" | "DATABASE" | "SERVER" | "." | "LANGUAGE" | "TABLESPACE"
            )
        };
        what.is_some_and(|what| !is_elsewhere(&what) && *what != "FOREIGN")
            && !on
                .take_while(|w| !matches!(**w, "TO" | "FROM"))
                .any(|w| is_elsewhere(&w))
    });
    (!is_own).then(|| words[0].to_owned())
}

/// Tables that are empty stay so, whatever is changed or deleted in them.
fn of_rows(words: &[&str], rest: &[&str]) -> Option<String> {
    (is_qualified(rest) || words.iter().any(|w| ["INSERT", "MERGE"].contains(w)))
        .then(|| named(words))
}

#[cfg(test)]
mod tests {
    use super::beyond_structure;

    #[test]
    fn structure_is_told_from_the_rest() {
        for statement in [
            "create table if not exists t (id int generated always as identity, a text default ('x' || 'insert'))",
            "CREATE TABLE t PARTITION OF s FOR VALUES IN (1)",
            "create unlogged table t (like s including all)",
            "create unique index concurrently if not exists i on t (a) where a > 0",
            "create or replace view v as select * from shared.plans",
            "create materialized view v as select 1",
            "create view v as select a.id from a join b on b.id = a.id",
            "create rule r as on update to t do also insert into u values (old.id)",
            "create type mood as enum ('a', 'b')",
            "alter type mood add value 'c'",
            "create or replace function f() returns void language sql as $$ insert into t values (1) $$",
            "create constraint trigger c after insert on t for each row execute function f()",
            "create text search configuration c (copy = english)",
            "alter table only t add constraint t_plan_fkey foreign key (plan) references shared.plans",
            "alter table t validate constraint c, alter column a set default 5",
            "alter index i rename to j",
            "drop table if exists t cascade",
            "drop operator === (int, int)",
            "comment on column t.a is 'x'",
            "comment on table t is null",
            "comment on type mood is 'x'",
            "comment on constraint c on t is 'x'",
            "grant select, insert on t to app",
            "grant execute on function f(int) to app",
            "truncate t",
            "refresh materialized view v",
            "update t set a = 1 from shared.plans p where p.id = t.id",
            "update only t set a = 1",
            "delete from t where a is null",
            "set local lock_timeout = '1s'",
            "set constraints all immediate",
        ] {
            assert_eq!(beyond_structure(statement), None, "{statement}");
        }
        for (statement, words) in [
            ("insert into t values (1)", "INSERT INTO"),
            ("with x as (select 1) insert into t select * from x", "WITH"),
            ("create table t as select 1", "CREATE TABLE … AS"),
            ("select 1 into t", "SELECT"),
            ("select setval('s', 10)", "SELECT"),
            ("copy t from '/tmp/x'", "COPY"),
            (
                "merge into t using s on true when matched then delete",
                "MERGE",
            ),
            ("do $$ begin end $$", "DO"),
            ("call p()", "CALL"),
            ("create extension if not exists citext", "CREATE EXTENSION"),
            ("create schema other", "CREATE SCHEMA"),
            ("create table other.t ()", "a name with its schema"),
            (
                "create or replace function \"a\".f() returns int language sql as ''",
                "a name with its schema",
            ),
            ("alter table t owner to app", "OWNER TO"),
            ("create cast (a as b) without function", "CREATE CAST"),
            ("drop cast if exists (a as b)", "DROP CAST"),
            ("comment on cast (text as int) is 'x'", "COMMENT ON"),
            ("comment on operator + (int, int) is 'x'", "COMMENT ON"),
            ("comment on type text is 'x'", "COMMENT ON"),
            ("comment on type double precision is 'x'", "COMMENT ON"),
            ("comment on type \"char\" is 'x'", "COMMENT ON"),
            (
                "alter operator + (int, int) set (restrict = none)",
                "ALTER OPERATOR",
            ),
            (
                "alter text search configuration english alter mapping for word with simple",
                "ALTER TEXT",
            ),
            ("alter table t set schema other", "SET SCHEMA"),
            (
                "alter default privileges grant select on tables to app",
                "ALTER DEFAULT",
            ),
            ("alter publication p add table t", "ALTER PUBLICATION"),
            ("alter role app set a = 1", "ALTER ROLE"),
            (
                "create event trigger e on ddl_command_end execute function f()",
                "CREATE EVENT",
            ),
            ("comment on schema s is 'x'", "COMMENT ON"),
            ("comment on table other.t is 'x'", "COMMENT ON"),
            ("grant usage on schema shared to app", "GRANT"),
            ("grant app to other", "GRANT"),
            (
                "revoke all on all tables in schema acme from public",
                "REVOKE",
            ),
            ("grant select on other.t to app", "GRANT"),
            ("truncate shared.counter", "TRUNCATE"),
            ("comment on column other.t.a is 'x'", "COMMENT ON"),
            ("create index i on other.t (a)", "a name with its schema"),
            (
                "create rule r as on update to other.t do nothing",
                "a name with its schema",
            ),
            (
                "create trigger r after insert on other.t execute function f()",
                "a name with its schema",
            ),
            ("create table t (a int) tablespace fast", "TABLESPACE"),
            ("update shared.counter set n = n + 1", "UPDATE"),
            ("notify a", "NOTIFY"),
            ("'nothing'", "what nobody knows"),
        ] {
            assert_eq!(
                beyond_structure(statement).as_deref(),
                Some(words),
                "{statement}"
            );
        }
    }
}
