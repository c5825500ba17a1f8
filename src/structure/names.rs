//! Names as PostgreSQL writes them in lists and paths: quoted where they have to be, so that what separates them may stand
//! within them, too.

/// Splits where `separator` stands outside of quotes.
pub(super) fn split<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    let (mut parts, mut start, mut quoted) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        if c == '"' {
            quoted = !quoted;
        } else if !quoted && at >= start && text[at..].starts_with(separator) {
            parts.push(&text[start..at]);
            start = at + separator.len();
        }
    }
    parts.push(&text[start..]);
    parts
}

/// A name without its quotes.
pub(super) fn unquoted(name: &str) -> String {
    let inside = name.strip_prefix('"').and_then(|n| n.strip_suffix('"'));
    inside.map_or_else(|| name.to_owned(), |inside| inside.replace("\"\"", "\""))
}

/// `table.column`, each without its quotes.
pub(super) fn table_and_column(path: &str) -> Option<(String, String)> {
    match split(path, ".")[..] {
        [table, column] => Some((unquoted(table), unquoted(column))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_separates_names_may_stand_within_them() {
        assert_eq!(
            split(r#"a, "b, c", "d"", ", e"#, ", "),
            ["a", r#""b, c""#, r#""d"", ""#, "e"]
        );
        assert_eq!(
            split(r#""par(en"(integer)"#, "("),
            [r#""par(en""#, "integer)"]
        );
        let path = r#""dot.ted"."quo""te""#;
        let expected = ("dot.ted".to_owned(), "quo\"te".to_owned());
        assert_eq!(table_and_column(path), Some(expected));
        assert_eq!(table_and_column("alone"), None);
    }
}
