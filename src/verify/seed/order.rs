//! In which order tables get their rows: whoever is referred to comes first, as far as there is a first one.

use std::collections::BTreeSet;

use super::catalog::{Catalog, Table};

/// The tables, those referred to before those that refer to them. Where they refer to each other in a circle, the one comes
/// first that needs the fewest others.
pub(super) fn order(catalog: &Catalog) -> Vec<&Table> {
    let mut left: Vec<&Table> = catalog.tables.iter().collect();
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let names: BTreeSet<&str> = left.iter().map(|table| table.name.as_str()).collect();
        let next = (0..left.len()).min_by_key(|&place| waits_for(left[place], &names));
        ordered.push(left.remove(next.unwrap_or_default()));
    }
    ordered
}

/// How many of `left` it cannot do without, and how many it refers to at all.
fn waits_for(table: &Table, left: &BTreeSet<&str>) -> (usize, usize) {
    let open = table.references.iter().filter(|reference| {
        reference.table != table.name && left.contains(reference.table.as_str())
    });
    let open: Vec<_> = open.collect();
    let needed = open.iter().filter(|reference| {
        let columns = table.columns.iter().filter(|column| {
            let is_in = |(ours, _): &(String, String)| *ours == column.name;
            reference.pairs.iter().any(is_in)
        });
        columns.into_iter().all(|column| column.not_null)
    });
    (needed.count(), open.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, references: &[(&str, bool)]) -> Table {
        let columns: Vec<_> = references
            .iter()
            .map(|(to, not_null)| {
                serde_json::json!({
                    "name": format!("{to}_id"), "type": 23, "modifier": -1, "not_null": not_null,
                    "identity": false, "generated": false, "default": false,
                })
            })
            .collect();
        let references: Vec<_> = references
            .iter()
            .map(|(to, _)| {
                let pair = (format!("{to}_id"), "id");
                serde_json::json!({"schema": "s", "table": to, "pairs": [pair]})
            })
            .collect();
        serde_json::from_value(serde_json::json!({
            "name": name, "touchy": false, "columns": columns, "checks": [], "references": references,
        }))
        .unwrap()
    }

    #[test]
    fn whoever_is_referred_to_comes_first_and_a_circle_begins_where_null_can_stand() {
        let catalog = Catalog {
            tables: vec![
                table("items", &[("orders", true)]),
                table("orders", &[("users", true), ("orders", true)]),
                table("teams", &[("users", true)]),
                table("users", &[("teams", false)]),
            ],
            ..Catalog::default()
        };
        let names: Vec<_> = order(&catalog).iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["users", "orders", "items", "teams"]);
    }
}
