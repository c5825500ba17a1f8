//! A value of a type as PostgreSQL reads it from text: another one for each row, and in several styles, since a check may
//! take one and not another.

use super::catalog::{Catalog, Type};

/// Numbers of keys begin here, above those that migrations write themselves.
const HIGH: u64 = 1_000_000;

/// Types in types in types are followed so far.
const DEEPEST: usize = 8;

/// Which value is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Which {
    /// The row, counted from 1.
    pub(super) row: u64,
    /// The column's place in its table: of two that are compared, the later one gets more.
    pub(super) place: u64,
    /// The style; 0 is the plain one.
    pub(super) style: usize,
}

/// How many styles there are.
pub(super) const STYLES: usize = 6;

/// A value of a type; none where nothing is known of it.
pub(super) fn value(catalog: &Catalog, oid: i64, modifier: i32, which: Which) -> Option<String> {
    nested(catalog, oid, modifier, which, 0)
}

fn nested(
    catalog: &Catalog,
    oid: i64,
    modifier: i32,
    which: Which,
    depth: usize,
) -> Option<String> {
    let found = catalog.types.get(&oid).filter(|_| depth < DEEPEST)?;
    let inner = |oid, modifier| nested(catalog, oid, modifier, which, depth + 1);
    match found.kind {
        'd' => inner(found.base, found.modifier),
        'e' => pick(&found.labels, which.row),
        'c' => {
            let attributes = found.attributes.iter();
            let values: Option<Vec<_>> = attributes
                .map(|&(oid, modifier)| inner(oid, modifier).map(|value| quoted(&value)))
                .collect();
            Some(format!("({})", values?.join(",")))
        }
        'r' => Some(format!("[{},)", quoted(&inner(found.range, -1)?))),
        'm' => Some(format!("{{{}}}", inner(found.range, -1)?)),
        _ if found.category == 'A' => {
            let element = inner(found.element, modifier)?;
            Some(format!("{{{}}}", quoted(&element)))
        }
        _ => base(found, modifier, which),
    }
}

fn base(found: &Type, modifier: i32, which: Which) -> Option<String> {
    let Which { row, place, style } = which;
    let number = match style {
        0 => HIGH + row,
        1 => row + place,
        2 => row,
        3 => 0,
        _ => row * 100,
    };
    Some(match found.name.as_str() {
        "int4" | "int8" | "oid" | "money" => number.to_string(),
        "int2" => (if style == 0 { 30_000 + row } else { number }).to_string(),
        "float4" | "float8" => match style {
            0 => format!("{row}.5"),
            1 => format!("0.{row}"),
            _ => number.to_string(),
        },
        "numeric" => numeric(modifier, row, style),
        "bool" => (row % 2 == 1).to_string(),
        "text" | "varchar" | "bpchar" | "citext" | "name" => text(found, modifier, which),
        "char" => letter(row),
        "uuid" => format!("00000000-0000-4000-8000-{row:012}"),
        "json" | "jsonb" => match style {
            0 | 1 => format!("{{\"row\": {row}}}"),
            2 => format!("[{row}]"),
            3 => format!("\"{row}\""),
            4 => row.to_string(),
            _ => "{}".to_owned(),
        },
        "date" => date(row, place),
        "timestamp" | "timestamptz" => format!("{} 12:00:00", date(row, place)),
        "time" | "timetz" => format!("{:02}:{:02}:00", place % 24, row % 60),
        "interval" => format!("{row} days"),
        "bytea" => bytes(row, style),
        "inet" => format!("192.0.2.{}", row % 255),
        "cidr" => format!("192.0.2.{}/32", row % 255),
        "macaddr" => format!("08:00:2b:01:02:{:02x}", row % 256),
        "macaddr8" => format!("08:00:2b:01:02:03:04:{:02x}", row % 256),
        "bit" | "varbit" => bits(modifier, row),
        "xml" => format!("<row>{row}</row>"),
        "tsvector" | "tsquery" | "ltree" | "lquery" | "ltxtquery" => format!("row{row}"),
        "hstore" => format!("row=>{row}"),
        "jsonpath" => "$".to_owned(),
        "pg_lsn" => format!("0/{row:X}"),
        "regclass" => "pg_catalog.pg_class".to_owned(),
        "regtype" => "pg_catalog.int4".to_owned(),
        "point" => format!("({row},{row})"),
        "line" => format!("{{1,1,{row}}}"),
        "lseg" | "path" => format!("[(0,0),({row},{row})]"),
        "box" => format!("({row},{row}),(0,0)"),
        "polygon" => format!("((0,0),({row},0),(0,{row}))"),
        "circle" => format!("<(0,0),{row}>"),
        _ => return None,
    })
}

fn pick(labels: &[String], row: u64) -> Option<String> {
    let place = usize::try_from(row).ok()?.checked_sub(1)?;
    labels.get(place % labels.len().max(1)).cloned()
}

/// Within precision and scale.
fn numeric(modifier: i32, row: u64, style: usize) -> String {
    let (precision, scale) = match modifier {
        ..4 => return if style == 3 { 0 } else { row }.to_string(),
        modifier => ((modifier - 4) >> 16, (modifier - 4) & 0x7ff),
    };
    if style == 3 {
        return "0".to_owned();
    }
    if precision - scale < 1 {
        return format!(
            "0.{:0>width$}",
            row % 10,
            width = usize::try_from(scale).unwrap_or(1)
        );
    }
    (if precision - scale == 1 {
        row % 10
    } else {
        row
    })
    .to_string()
}

fn text(found: &Type, modifier: i32, which: Which) -> String {
    let Which { row, style, .. } = which;
    let text = match style {
        0 => format!("v{row}"),
        1 => format!("v{row}@example.org"),
        2 => format!("https://example.org/{row}"),
        3 => row.to_string(),
        4 => format!("{row:064x}"),
        _ => format!("V{row}"),
    };
    let longest = match (found.name.as_str(), modifier) {
        ("bpchar" | "varchar", 4..) => usize::try_from(modifier - 4).unwrap_or(usize::MAX),
        ("name", _) => 63,
        _ => usize::MAX,
    };
    match longest {
        1 => letter(row),
        // What differs from row to row stands at the end.
        longest if text.len() > longest => text[text.len() - longest..].to_owned(),
        _ => text,
    }
}

fn letter(row: u64) -> String {
    let letters = 'a'..='z';
    let place = usize::try_from(row % 26).unwrap_or_default();
    letters.into_iter().nth(place).unwrap_or('a').to_string()
}

/// Each column's dates come after those of the column before it.
fn date(row: u64, place: u64) -> String {
    let (month, year) = (place % 12 + 1, 2024 + place / 12);
    format!("{year}-{month:02}-{:02}", row % 28 + 1)
}

fn bytes(row: u64, style: usize) -> String {
    match style {
        0 => format!("\\x{row:02x}"),
        1 => format!("\\x{row:064x}"),
        2 => format!("\\x{row:040x}"),
        3 => format!("\\x{row:032x}"),
        _ => format!("\\x{row:0128x}"),
    }
}

fn bits(modifier: i32, row: u64) -> String {
    let width = usize::try_from(modifier).unwrap_or(8).max(1);
    let bits = format!("{row:0>width$b}");
    bits[bits.len() - width..].to_owned()
}

/// As an element of an array, an attribute or a bound, between quotation marks.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Which = Which {
        row: 3,
        place: 1,
        style: 0,
    };

    #[test]
    fn numbers_and_texts_fit_their_limits() {
        let numeric = |precision: i32, scale: i32| numeric(((precision << 16) | scale) + 4, 12, 0);
        assert_eq!(numeric(10, 2), "12");
        assert_eq!(numeric(3, 2), "2");
        assert_eq!(numeric(2, 2), "0.02");
        let varchar = Type::named("varchar");
        assert_eq!(text(&varchar, -1, PLAIN), "v3");
        assert_eq!(text(&varchar, 5, PLAIN), "d");
        let long = Which { style: 4, ..PLAIN };
        assert_eq!(text(&varchar, 14, long), "0000000003");
        assert_eq!(bits(2, 5), "01");
    }

    #[test]
    fn values_inside_others_are_quoted() {
        assert_eq!(quoted(r#"a"\"#), r#""a\"\\""#);
        let mut catalog = Catalog::default();
        catalog.types.insert(1, Type::named("jsonb"));
        let array = Type {
            category: 'A',
            element: 1,
            ..Type::named("_jsonb")
        };
        catalog.types.insert(2, array);
        let made = value(&catalog, 2, -1, PLAIN).unwrap();
        assert_eq!(made, r#"{"{\"row\": 3}"}"#);
        assert_eq!(value(&catalog, 3, -1, PLAIN), None);
    }

    impl Type {
        fn named(name: &str) -> Self {
            let mut plain: Self = serde_json::from_value(serde_json::json!({
                "oid": 0, "name": "", "kind": "b", "category": "S", "base": 0, "modifier": -1, "element": 0,
                "not_null": false, "range": 0, "labels": [], "attributes": [], "checks": [],
            }))
            .unwrap();
            name.clone_into(&mut plain.name);
            plain
        }
    }
}
