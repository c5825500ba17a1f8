//! How much of each table is copied. Small tables come whole; what room is left, the large ones share.

use super::source::Table;

/// How much data may be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// Whether any is.
    pub data: bool,
    /// So many rows of a table, at most.
    pub rows: u64,
    /// So many bytes of a schema, about: as they lie on the disk, without indexes.
    pub bytes: u64,
    /// Tables of which only the structure is copied.
    pub without: Vec<String>,
}

impl Allowed {
    /// Whether rows of a table may be copied: it is not named, and no part of one that is.
    fn takes(&self, table: &Table) -> bool {
        let mut names = table.family.iter().chain([&table.name]);
        !names.any(|name| self.without.contains(name))
    }

    /// Whether there is anything to be copied of a table.
    fn copies(&self, table: &Table) -> bool {
        self.data && self.rows > 0 && self.takes(table)
    }

    /// The tables that would be copied, if their rows were not hidden.
    pub(super) fn hidden(&self, tables: &[Table]) -> Vec<String> {
        let hidden = tables.iter().filter(|t| t.is_hidden && self.copies(t));
        hidden.map(|table| table.name.clone()).collect()
    }
}

/// How much of one table is copied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Portion {
    Nothing,
    /// All of it, up to so many rows.
    All(u64),
    /// So many of a hundred of its rows, up to so many.
    Percent(f64, u64),
}

/// A sample that is drawn by chance is a little larger than needed, so that the limit on the rows is what counts.
const MARGIN: f64 = 1.1;

/// The portion of each table, in their order.
pub(super) fn portions(tables: &[Table], allowed: &Allowed) -> Vec<Portion> {
    let shares = shares(tables, allowed);
    let portions = tables.iter().zip(shares);
    portions
        .map(|(table, share)| {
            if !allowed.copies(table) {
                return Portion::Nothing;
            }
            if table.is_empty {
                return Portion::All(allowed.rows);
            }
            let of_bytes = share as f64 / table.bytes.max(1) as f64;
            let of_rows = if table.rows > allowed.rows as f64 {
                allowed.rows as f64 * MARGIN / table.rows
            } else {
                1.0
            };
            let part = of_bytes.min(of_rows);
            if part < 1.0 {
                Portion::Percent((part * 100.0).max(1e-4), allowed.rows)
            } else {
                Portion::All(allowed.rows)
            }
        })
        .collect()
}

/// How many bytes of each table there is room for.
fn shares(tables: &[Table], allowed: &Allowed) -> Vec<u64> {
    let mut order: Vec<_> = (0..tables.len())
        .filter(|index| allowed.takes(&tables[*index]))
        .collect();
    order.sort_by_key(|index| tables[*index].bytes);
    let (mut shares, mut room) = (vec![0; tables.len()], allowed.bytes);
    for (position, index) in order.iter().enumerate() {
        let others = (order.len() - position) as u64;
        shares[*index] = tables[*index].bytes.min(room / others);
        room -= shares[*index];
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, bytes: u64, rows: f64) -> Table {
        Table {
            name: name.to_owned(),
            family: Vec::new(),
            bytes,
            is_empty: false,
            is_hidden: false,
            rows,
            columns: Vec::new(),
        }
    }

    fn allowed(rows: u64, bytes: u64) -> Allowed {
        Allowed {
            data: true,
            rows,
            bytes,
            without: vec!["secrets".to_owned()],
        }
    }

    #[test]
    fn small_tables_come_whole_and_large_ones_share_the_rest() {
        let tables = [
            table("large", 900, 9.0),
            table("small", 20, 9.0),
            table("huge", 9_000, -1.0),
            table("secrets", 5, 1.0),
        ];
        let portions = portions(&tables, &allowed(100, 200));
        assert_eq!(
            portions,
            [
                Portion::Percent(10.0, 100),
                Portion::All(100),
                Portion::Percent(1.0, 100),
                Portion::Nothing,
            ]
        );
    }

    #[test]
    fn so_many_rows_are_drawn_from_all_of_the_table() {
        let tables = [table("long", 1_000, 1_000.0), table("short", 10, 100.0)];
        let portions = portions(&tables, &allowed(100, 100_000));
        let [Portion::Percent(percent, 100), Portion::All(100)] = portions[..] else {
            panic!("{portions:?}");
        };
        assert!((percent - 11.0).abs() < 1e-9, "{percent}");
    }

    #[test]
    fn a_part_of_what_is_left_out_is_left_out() {
        let mut part = table("secrets_2026", 10, 10.0);
        part.family = vec!["secrets_2026".to_owned(), "secrets".to_owned()];
        assert_eq!(portions(&[part], &allowed(100, 100)), [Portion::Nothing]);
    }

    #[test]
    fn no_data_is_no_data() {
        let none = Allowed {
            data: false,
            ..allowed(100, 100)
        };
        assert_eq!(portions(&[table("a", 0, 0.0)], &none), [Portion::Nothing]);
    }
}
