//! Types of columns, and values and conditions that are valid for them.

use super::{
    dice::Dice,
    model::{Function, q},
};

/// What a type is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    Integer,
    Number,
    Text,
    Boolean,
    Date,
    Stamp,
    Json,
    Array,
    Range,
    Uuid,
    Other,
}

/// A type: its name as it stands in a statement, with a value of it.
#[derive(Clone, Debug)]
pub(super) struct Type {
    pub(super) sql: String,
    pub(super) class: Class,
    /// A constant of it; none but NULL where there is none.
    pub(super) value: Option<String>,
}

const BUILT_IN: &[(&str, Class, &str)] = &[
    ("integer", Class::Integer, "42"),
    ("bigint", Class::Integer, "-1"),
    ("smallint", Class::Integer, "7"),
    ("text", Class::Text, "'it''s \\ \"so\"'"),
    (
        "text",
        Class::Text,
        "E'two\\nlines\\n SET search_path TO x\\nAS '",
    ),
    ("varchar(20)", Class::Text, "'new'"),
    ("varchar", Class::Text, "'acme.orders'"),
    ("char(3)", Class::Text, "'abc'"),
    ("\"char\"", Class::Other, "'x'"),
    ("name", Class::Other, "'n'"),
    ("numeric(10, 2)", Class::Number, "-0.50"),
    ("numeric", Class::Number, "1e10"),
    ("double precision", Class::Number, "'NaN'"),
    ("real", Class::Number, "0.1"),
    ("boolean", Class::Boolean, "false"),
    ("date", Class::Date, "CURRENT_DATE"),
    ("date", Class::Date, "'2020-02-29'"),
    ("timestamptz", Class::Stamp, "now()"),
    ("timestamptz", Class::Stamp, "'2020-01-01 00:00:00.5+02'"),
    ("timestamp(3)", Class::Stamp, "'infinity'"),
    ("time", Class::Other, "LOCALTIME"),
    ("interval", Class::Other, "'1 year -2 days 03:04:05.6'"),
    ("interval day to second(3)", Class::Other, "'1 day'"),
    ("uuid", Class::Uuid, "gen_random_uuid()"),
    ("jsonb", Class::Json, "'{\"a\": [1, null]}'"),
    ("json", Class::Other, "'{\"b\" : \"it''s\"}'"),
    ("bytea", Class::Other, "'\\x00ff'"),
    ("text[]", Class::Array, "'{a,NULL,\"b c\"}'"),
    ("integer[]", Class::Array, "ARRAY[1, 2, NULL]"),
    ("varchar(5)[]", Class::Array, "'{}'"),
    ("int4range", Class::Range, "'[1,5)'"),
    ("tstzrange", Class::Range, "'empty'"),
    ("int4multirange", Class::Other, "'{[1,2)}'"),
    ("inet", Class::Other, "'::1'"),
    ("bit(4)", Class::Other, "B'1010'"),
    ("bit varying", Class::Other, "B'1'"),
    ("point", Class::Other, "'(1,2)'"),
    ("money", Class::Other, "'1.5'"),
    (
        "tsvector",
        Class::Other,
        "to_tsvector('english'::regconfig, 'a b')",
    ),
    ("xml", Class::Other, "'<a>b</a>'"),
    ("oid", Class::Other, "1"),
    ("regclass", Class::Other, "'pg_class'"),
    ("pg_catalog.path", Class::Other, "'[(0,0),(1,1)]'"),
];

impl Type {
    /// A built-in type, or one of `own`, or an array of it.
    pub(super) fn any(dice: &mut Dice, own: &[Self]) -> Self {
        if !own.is_empty() && dice.chance(35) {
            let own = dice.any(own).unwrap();
            if dice.chance(20) {
                return Self {
                    sql: format!("{}[]", own.sql),
                    class: Class::Array,
                    value: Some("'{}'".to_owned()),
                };
            }
            return own.clone();
        }
        Self::built_in(dice, |_| true)
    }

    pub(super) fn built_in(dice: &mut Dice, fit: impl Fn(Class) -> bool) -> Self {
        let all: Vec<_> = BUILT_IN
            .iter()
            .filter(|(_, class, _)| fit(*class))
            .collect();
        let (sql, class, value) = **dice.any(&all).unwrap();
        Self {
            sql: sql.to_owned(),
            class,
            value: Some(value.to_owned()),
        }
    }

    pub(super) fn integer() -> Self {
        Self {
            sql: "integer".to_owned(),
            class: Class::Integer,
            value: Some("1".to_owned()),
        }
    }

    /// An expression for a default.
    pub(super) fn default(
        &self,
        dice: &mut Dice,
        functions: &[Function],
        sequences: &[String],
    ) -> String {
        let fit: Vec<_> = functions
            .iter()
            .filter(|f| {
                f.gives
                    .as_ref()
                    .is_some_and(|gives| gives.class == self.class)
            })
            .filter(|f| f.kind == "FUNCTION")
            .collect();
        if dice.chance(30)
            && let Some(function) = dice.any(&fit)
        {
            return function.call(function.takes.as_ref().map(Self::constant));
        }
        if self.class == Class::Integer
            && dice.chance(30)
            && let Some(sequence) = dice.any(sequences)
        {
            return format!("nextval('{}')", q(sequence).replace('\'', "''"));
        }
        match self.class {
            Class::Integer if dice.chance(30) => "(1 + 2) * 3 - (-4)".to_owned(),
            Class::Text if dice.chance(30) => "upper('x' || current_user)".to_owned(),
            _ => self.constant(),
        }
    }

    pub(super) fn constant(&self) -> String {
        self.value.clone().unwrap_or_else(|| "NULL".to_owned())
    }

    /// A condition on an expression of this type.
    pub(super) fn condition(&self, dice: &mut Dice, value: &str) -> String {
        let choices: &[&str] = match self.class {
            Class::Integer | Class::Number => &[
                "V > 0",
                "V BETWEEN 1 AND 10",
                "V IN (1, 2, 3)",
                "NOT (V = -1 OR V IS NULL)",
                "V <> ALL (ARRAY[1, 2])",
                "CASE WHEN V > 1 THEN true ELSE V < -5 END",
                "(V % 2) = 0 AND (abs(V) < 5 OR V IS NOT NULL)",
            ],
            Class::Text => &[
                "V IN ('new', 'paid')",
                "V NOT IN ('a', 'b', 'it''s')",
                "V = ANY (ARRAY['x', 'y'])",
                "V = 'one'",
                "V LIKE '%\\_@%'",
                "V ~ '^[a-z]\\d+$'",
                "length(V) <= 10",
                "lower(V) = V COLLATE \"C\"",
                "V <> '' AND V IS DISTINCT FROM 'acme.x'",
                "V ILIKE ANY (ARRAY['a%', 'b%'])",
                "coalesce(V, 'none') > 'a'",
            ],
            Class::Boolean => &["V", "NOT V", "V IS NOT TRUE", "V IS UNKNOWN"],
            Class::Date => &[
                "V > '2000-01-01'",
                "V >= DATE '1999-12-31' - 7",
                "isfinite(V)",
            ],
            Class::Stamp => &[
                "V > '2000-01-01'",
                "extract(year from V) > 1999",
                "V < 'infinity'",
            ],
            Class::Json => &[
                "V ? 'a'",
                "V @> '{\"a\": 1}'",
                "jsonb_typeof(V) = 'object'",
                "V -> 'a' IS NOT NULL",
                "(V ->> 'a')::int > 1",
            ],
            Class::Array => &[
                "cardinality(V) > 0",
                "array_length(V, 1) IS NOT NULL",
                "V IS NOT NULL",
            ],
            Class::Range => &["NOT isempty(V)", "V IS NOT NULL"],
            Class::Uuid => &[
                "V <> '00000000-0000-0000-0000-000000000000'",
                "V IS NOT NULL",
            ],
            Class::Other => &["V IS NOT NULL", "num_nonnulls(V) = 1"],
        };
        dice.word(choices).replace('V', value)
    }

    /// Whether a b-tree index takes it.
    pub(super) fn is_sortable(&self) -> bool {
        !matches!(self.class, Class::Other)
    }
}

impl Function {
    pub(super) fn call(&self, argument: Option<String>) -> String {
        format!("{}({})", q(&self.name), argument.unwrap_or_default())
    }
}
