//! Functions, procedures and aggregates.

use super::{
    dice::Dice,
    model::{Function, Model, Step, q},
    values::{Class, Type},
};

const ATTRIBUTES: &[&str] = &[
    "",
    "",
    " STRICT",
    " SECURITY DEFINER",
    " PARALLEL SAFE COST 10",
    " LEAKPROOF",
    " SET search_path FROM CURRENT",
    " SET work_mem = '1MB' SET search_path FROM CURRENT SET enable_sort = off",
    " SET search_path = ''",
    " SET search_path = pg_catalog, pg_temp",
    " SET datestyle = 'ISO, DMY'",
];

/// A function of a constant, or of one argument, that can stand in a default, a check or a generated column.
pub(super) fn simple(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.name(dice);
    let gives = Type::any(dice, &model.types);
    let gives = if dice.chance(30) {
        Type::built_in(dice, |c| c == Class::Boolean)
    } else {
        gives
    };
    let takes = dice.chance(50).then(|| Type::any(dice, &model.types));
    let is_immutable = dice.chance(70);
    let arguments = takes
        .as_ref()
        .map_or(String::new(), |takes| takes.sql.clone());
    let argument = match (&takes, dice.below(3)) {
        (Some(takes), 0) => format!(
            "{} {} DEFAULT {}",
            q(&model.any_name(dice)),
            takes.sql,
            takes.constant()
        ),
        (Some(takes), 1) => format!("value {}", takes.sql),
        _ => arguments.clone(),
    };
    let value = gives.constant();
    let kind = if is_immutable {
        "IMMUTABLE"
    } else {
        "VOLATILE"
    };
    let head = format!(
        "CREATE FUNCTION {}({argument}) RETURNS {} {kind}{}",
        q(&name),
        gives.sql,
        dice.word(ATTRIBUTES)
    );
    let sql = match dice.below(4) {
        0 => format!(
            "{head} LANGUAGE sql AS $$ SELECT CAST({value} AS {}) -- 100 % $$",
            gives.sql
        ),
        1 => format!(
            "{head} LANGUAGE plpgsql AS 'BEGIN\n  RETURN {};\nEND'",
            value.replace('\'', "''")
        ),
        2 => format!("{head} LANGUAGE sql RETURN {value}"),
        _ => format!(
            "{head} LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT CAST({value} AS {}); END",
            gives.sql
        ),
    };
    let function = Function {
        kind: "FUNCTION",
        signature: format!("{}({arguments})", q(&name)),
        name,
        takes,
        gives: Some(gives),
        is_immutable,
    };
    Step::new(sql, |model| model.functions.push(function))
}

/// A function that needs a table, which may in turn need the function.
pub(super) fn of_table(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.name(dice);
    let table = model.table(dice)?.clone();
    let (f, t) = (q(&name), q(&table.name));
    let column = table
        .column(dice, |of| of.class == Class::Integer)
        .map(|c| q(&c.name));
    let mut signature = format!("{f}()");
    let mut gives = None;
    let sql = match (dice.below(6), column) {
        (0, _) => {
            gives = Some(Type::integer());
            format!(
                "CREATE FUNCTION {f}() RETURNS integer LANGUAGE sql STABLE BEGIN ATOMIC SELECT count(*)::integer FROM {t}; END"
            )
        }
        (1, _) => {
            signature = format!("{f}({t})");
            format!(
                "CREATE FUNCTION {f}({t}) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'"
            )
        }
        (2, _) => format!(
            "CREATE FUNCTION {f}() RETURNS SETOF {t} LANGUAGE sql ROWS 5 AS 'SELECT * FROM {}'",
            t.replace('\'', "''")
        ),
        (3, Some(column)) => {
            signature = format!("{f}(integer)");
            format!(
                "CREATE FUNCTION {f}(least integer) RETURNS TABLE (x integer, y bigint) LANGUAGE sql BEGIN ATOMIC \
                 SELECT a.{column}, count(*) FROM {t} a WHERE a.{column} > least GROUP BY 1; END"
            )
        }
        (4, Some(column)) => {
            signature = format!("{f}(integer)");
            format!(
                "CREATE FUNCTION {f}(integer) RETURNS void LANGUAGE sql BEGIN ATOMIC UPDATE {t} SET {column} = $1 WHERE {column} = 0; \
                 DELETE FROM {t} WHERE {column} = $1; END"
            )
        }
        (_, Some(column)) => {
            signature = format!("{f}({t}.{column}%TYPE)");
            format!(
                "CREATE FUNCTION {f}({t}.{column}%TYPE) RETURNS void LANGUAGE plpgsql AS 'BEGIN END'"
            )
        }
        _ => return None,
    };
    let function = Function {
        kind: "FUNCTION",
        signature,
        name,
        takes: None,
        gives,
        is_immutable: false,
    };
    Step::new(sql, |model| model.functions.push(function))
}

/// Whatever a head may hold.
pub(super) fn elaborate(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.name(dice);
    let of = Type::any(dice, &model.types);
    let f = q(&name);
    let (arguments, signature, returns) = [
        (
            format!("first {}, VARIADIC rest text[] DEFAULT '{{}}'", of.sql),
            format!("{f}({}, text[])", of.sql),
            "void",
        ),
        (
            format!("IN a integer, OUT b text, INOUT \"C c\" {}", of.sql),
            format!("{f}(integer, {})", of.sql),
            "record",
        ),
        (
            format!(
                "a {0} DEFAULT {1}, b text DEFAULT 'it''s (x, y)'",
                of.sql,
                of.constant()
            ),
            format!("{f}({}, text)", of.sql),
            "text",
        ),
        (
            "anyelement, anyarray".to_owned(),
            format!("{f}(anyelement, anyarray)"),
            "anyelement",
        ),
        (
            "a integer = 1, b integer = 2 * 3, c timestamptz = now()".to_owned(),
            format!("{f}(integer, integer, timestamptz)"),
            "SETOF integer",
        ),
    ][dice.below(5)]
    .clone();
    let attributes = dice.word(ATTRIBUTES);
    let (kind, sql) = if dice.chance(30) {
        let arguments = arguments.replace("OUT b text, ", "");
        let attributes = attributes
            .split(" SET ")
            .nth(1)
            .map_or(String::new(), |set| format!(" SET {set}"));
        (
            "PROCEDURE",
            format!(
                "CREATE PROCEDURE {f}({arguments}) LANGUAGE plpgsql{attributes} AS $x$BEGIN NULL; /* $$ */ END$x$"
            ),
        )
    } else {
        (
            "FUNCTION",
            format!(
                "CREATE FUNCTION {f}({arguments}) RETURNS {returns} LANGUAGE plpgsql{attributes} AS $x$BEGIN RETURN; END$x$"
            ),
        )
    };
    let sql = if returns == "text" || returns == "anyelement" {
        sql.replace("RETURN;", "RETURN NULL;")
    } else {
        sql
    };
    let function = Function {
        kind,
        name,
        signature,
        takes: None,
        gives: None,
        is_immutable: false,
    };
    Step::new(sql, |model| model.functions.push(function))
}

pub(super) fn for_triggers(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.name(dice);
    let attributes = dice.word(ATTRIBUTES);
    let sql = format!(
        "CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql{attributes} AS 'BEGIN RETURN NULL; END'",
        q(&name)
    );
    Step::new(sql, |model| model.trigger_functions.push(name))
}

pub(super) fn aggregate(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let (name, step) = (model.name(dice), model.name(dice));
    let f = q(&name);
    let (sql, signature) = match dice.below(4) {
        0 => (
            format!(
                "CREATE AGGREGATE {f}(text) (SFUNC = textcat, STYPE = text, INITCOND = 'it''s')"
            ),
            format!("{f}(text)"),
        ),
        1 => (
            format!(
                "CREATE AGGREGATE {f}(integer) (SFUNC = int4pl, STYPE = integer, COMBINEFUNC = int4pl, INITCOND = '0')"
            ),
            format!("{f}(integer)"),
        ),
        2 => (
            format!("CREATE AGGREGATE {f}(*) (SFUNC = int8inc, STYPE = bigint, INITCOND = '0')"),
            format!("{f}(*)"),
        ),
        _ => {
            let of = Type::any(dice, &model.types).sql;
            let step = q(&step);
            (
                format!(
                    "CREATE FUNCTION {step}({of}, {of}) RETURNS {of} LANGUAGE sql IMMUTABLE AS 'SELECT $1'; \
                     CREATE FUNCTION {step}({of}) RETURNS {of} LANGUAGE sql IMMUTABLE AS 'SELECT $1'; \
                     CREATE AGGREGATE {f}({of}) (SFUNC = {step}, STYPE = {of}, FINALFUNC = {step})"
                ),
                format!("{f}({of})"),
            )
        }
    };
    let function = Function {
        kind: "AGGREGATE",
        name,
        signature,
        takes: None,
        gives: None,
        is_immutable: false,
    };
    Step::new(sql, |model| model.functions.push(function))
}

pub(super) fn change_function(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let function = dice.any(&model.functions)?;
    let change = dice.word(&[
        "SET statement_timeout = '5s'",
        "SET search_path FROM CURRENT",
        "RESET ALL",
        "STABLE",
        "PARALLEL RESTRICTED",
        "SET search_path = public, pg_temp",
        "SECURITY INVOKER",
    ]);
    Step::plain(format!(
        "ALTER {} {} {change}",
        function.kind, function.signature
    ))
}
