//! Taking the schema's own name out of what PostgreSQL writes.
//!
//! Before names that `pg_catalog` has too, and before operators, `<schema>` is put in its place: without it they would mean others.
//! With the path set, most names come without it already. It stays in the heads of functions, indexes and statistics,
//! before names that `pg_catalog` has too, and in a function's own `search_path`. Bodies of functions are people's text
//! and stay as they are, and so do texts in quotes.

use std::collections::BTreeSet;

use super::{Kind, names::unquoted};

/// How the schema itself is named.
pub(super) const OWN: &str = "<schema>";

/// A schema's name as PostgreSQL writes it.
pub(super) struct Schema {
    /// Before a name: quoted if need be, with the dot.
    prefix: String,
    /// As a text in quotes.
    literal: String,
    /// Names that mean another object where they are not qualified.
    shadows: BTreeSet<String>,
}

/// Where a name followed by a dot can be nothing but the schema's.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    /// Everywhere: no table stands before a column's name.
    All,
    /// In a query a table, or an alias, may bear the schema's name: only before types, operators and functions.
    NotColumns,
}

impl Schema {
    /// Takes the name, and the name as PostgreSQL quotes it.
    pub(super) fn new(name: &str, quoted: &str, shadows: BTreeSet<String>) -> Self {
        // A function's definition is written so, whatever the name holds.
        let literal = format!("'{}'", name.replace('\'', "''"));
        Self {
            prefix: format!("{quoted}."),
            literal,
            shadows,
        }
    }
}

/// The text without the schema's name, where PostgreSQL put it.
pub(super) fn unqualify(text: &str, kind: Kind, schema: &Schema) -> String {
    match kind {
        Kind::Function | Kind::Procedure => function(text, schema),
        Kind::View | Kind::MaterializedView | Kind::Trigger | Kind::Rule | Kind::Policy => {
            cut(text, schema, Reach::NotColumns)
        }
        _ => cut(text, schema, Reach::All),
    }
}

/// A function's head holds types only; what follows may hold its settings, then queries.
fn function(text: &str, schema: &Schema) -> String {
    let (head, rest) = text.split_at(text.find("\n LANGUAGE ").unwrap_or(text.len()));
    let head = cut(head, schema, Reach::All);
    let rest = cut(rest, schema, Reach::NotColumns);
    head + &own_path(&rest, schema)
}

/// A function that sets the path to its own schema does the same in every schema.
fn own_path(text: &str, schema: &Schema) -> String {
    let setting = "\n SET search_path TO ";
    let settings = text
        .find("\nAS ")
        .or_else(|| text.find("\nBEGIN ATOMIC"))
        .unwrap_or(text.len());
    let Some(start) = text[..settings].find(setting).map(|at| at + setting.len()) else {
        return text.to_owned();
    };
    let end = text[start..]
        .find('\n')
        .map_or(text.len(), |length| start + length);
    let path: Vec<_> = text[start..end]
        .split(", ")
        .map(|name| if name == schema.literal { OWN } else { name })
        .collect();
    format!("{}{}{}", &text[..start], path.join(", "), &text[end..])
}

fn cut(text: &str, schema: &Schema, reach: Reach) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        match rest.strip_prefix(&schema.prefix) {
            Some(name) if qualifies(&kept, name, reach) => {
                let called = unquoted(&name[..token_length(name)]);
                // PostgreSQL writes an operator so where another one would be found without it.
                if kept.ends_with("OPERATOR(") || schema.shadows.contains(&called) {
                    kept.push_str(OWN);
                    kept.push('.');
                }
                rest = name;
            }
            _ => {
                let (token, after) = rest.split_at(token_length(rest));
                kept.push_str(token);
                rest = after;
            }
        }
    }
    kept
}

/// Whether the schema's name, standing between `before` and `name`, is there as the schema's.
fn qualifies(before: &str, name: &str, reach: Reach) -> bool {
    if before.ends_with("OPERATOR(") || before.ends_with("::") || follows_a_name(before) {
        return true;
    }
    let called = token_length(name);
    let is_name = name.starts_with(|c: char| c == '"' || is_word(c));
    is_name && !before.ends_with('.') && (reach == Reach::All || name[called..].starts_with('('))
}

/// Whether a name stands right before, as that of a column does before its type: PostgreSQL writes its own words in
/// capitals, and all other names with a comma or an operator between them.
fn follows_a_name(before: &str) -> bool {
    let Some(before) = before.strip_suffix(' ') else {
        return false;
    };
    before.ends_with('"')
        || before
            .rsplit(|c| !is_word(c) && c != '$')
            .next()
            .is_some_and(|word| word.starts_with(|c: char| c.is_lowercase() || c == '_'))
}

/// How many bytes the first token has: a text in quotes, a quoted name, a word, or one character.
pub(super) fn token_length(text: &str) -> usize {
    let quoted = |quote: &str| {
        text[quote.len()..]
            .find(quote)
            .map_or(text.len(), |at| at + 2 * quote.len())
    };
    match text.chars().next() {
        Some('\'') => quoted("'"),
        Some('"') => quoted_name(text),
        Some('$') => dollar_quote(text).map_or(1, quoted),
        Some(c) if is_word(c) => text.find(|c| !is_word(c) && c != '$').unwrap_or(text.len()),
        Some(c) => c.len_utf8(),
        None => 0,
    }
}

/// A quote inside a quoted name is doubled, and does not end it.
fn quoted_name(text: &str) -> usize {
    let mut inside = false;
    let end = text.find(|c| {
        inside ^= c == '"';
        !inside
    });
    match end {
        Some(end) if text[end + 1..].starts_with('"') => end + 1 + quoted_name(&text[end + 1..]),
        Some(end) => end + 1,
        None => text.len(),
    }
}

/// `$function$`, at the start of the text.
fn dollar_quote(text: &str) -> Option<&str> {
    let end = text[1..].find(|c| !is_word(c))? + 1;
    text[end..].starts_with('$').then(|| &text[..=end])
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric() || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acme(text: &str, kind: Kind) -> String {
        unqualify(text, kind, &Schema::new("acme", "acme", BTreeSet::new()))
    }

    #[test]
    fn tells_a_name_that_postgresql_has_too() {
        let shadows = ["point", "lower"].map(str::to_owned).into();
        let schema = Schema::new("acme", "acme", shadows);
        let cut = |text| unqualify(text, Kind::View, &schema);
        assert_eq!(
            cut("'x'::acme.point, 'y'::acme.way, acme.lower(a), acme.upper(a)"),
            "'x'::<schema>.point, 'y'::way, <schema>.lower(a), upper(a)"
        );
        assert_eq!(
            unqualify("acme.point[]", Kind::Column, &schema),
            "<schema>.point[]"
        );
    }

    #[test]
    fn cuts_the_name_where_no_column_can_stand() {
        let index = "CREATE INDEX i ON acme.orders USING btree (acme.lower(name), other_acme.f(x)) WHERE a = 'acme.b'";
        assert_eq!(
            acme(index, Kind::Index),
            "CREATE INDEX i ON orders USING btree (lower(name), other_acme.f(x)) WHERE a = 'acme.b'"
        );
        assert_eq!(acme("acme.path[]", Kind::Column), "path[]");
        assert_eq!(acme(r#"acme."Path""#, Kind::Column), r#""Path""#);
    }

    #[test]
    fn leaves_a_table_of_the_schemas_name_alone_in_queries() {
        let view =
            " SELECT acme.id, acme.f(acme.n), 'x'::acme.path, a OPERATOR(acme.=) b\n   FROM acme;";
        assert_eq!(
            acme(view, Kind::View),
            " SELECT acme.id, f(acme.n), 'x'::path, a OPERATOR(<schema>.=) b\n   FROM acme;"
        );
    }

    #[test]
    fn knows_a_type_after_the_name_of_its_column() {
        let view = " SELECT r.a\n   FROM json_to_recordset('[]'::json) r(a acme.path, \"b c\" acme.path[]), acme.other()";
        assert_eq!(
            acme(view, Kind::View),
            " SELECT r.a\n   FROM json_to_recordset('[]'::json) r(a path, \"b c\" path[]), other()"
        );
    }

    #[test]
    fn knows_a_quoted_schema() {
        let schema = Schema::new(r#"we"ird."#, r#""we""ird.""#, BTreeSet::new());
        let text =
            r#"CREATE INDEX "we""ird.x" ON "we""ird."."we""ird." USING btree ("we""ird.".f(a))"#;
        assert_eq!(
            unqualify(text, Kind::Index, &schema),
            r#"CREATE INDEX "we""ird.x" ON "we""ird." USING btree (f(a))"#
        );
    }

    #[test]
    fn bodies_stay_as_they_were_written() {
        let function = "CREATE OR REPLACE FUNCTION acme.f(a acme.path)\n RETURNS SETOF acme.path\n LANGUAGE sql\n \
                        SET search_path TO 'acme', 'public'\nAS $function$ select acme.g('acme') \n SET search_path TO \
                        'acme'\n$function$\n";
        assert_eq!(
            acme(function, Kind::Function),
            "CREATE OR REPLACE FUNCTION f(a path)\n RETURNS SETOF path\n LANGUAGE sql\n SET search_path TO <schema>, \
             'public'\nAS $function$ select acme.g('acme') \n SET search_path TO 'acme'\n$function$\n"
        );
    }
}
