//! The INSERT that puts rows into a table, in one of several manners: where a check refuses one, another may do.

use super::{
    catalog::{Catalog, Column, Table, Type},
    value::{STYLES, Which, value},
};
use crate::sql::{Ident, InvalidIdent, Literal};

/// The longest text that a check is tried with.
const LONGEST: usize = 4096;

/// How the rows of a table are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    pub(super) rows: u64,
    style: usize,
    spares: Spares,
}

/// What is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spares {
    /// Nothing.
    Nothing,
    /// What has a default, and what is checked and may be NULL.
    All,
    /// What is checked and may be NULL, but for the one at this place among them.
    AllBut(usize),
}

impl Manner {
    /// All manners, in the order in which they are tried.
    pub(super) fn all(rows: u64) -> impl Iterator<Item = Self> {
        let manner = move |style, spares| Self {
            rows,
            style,
            spares,
        };
        let full = (0..STYLES).map(move |style| manner(style, Spares::Nothing));
        let bare = (0..2).map(move |style| manner(style, Spares::All));
        let single = (0..4).map(move |place| manner(0, Spares::AllBut(place)));
        full.chain(bare).chain(single)
    }

    /// The same with one row.
    pub(super) fn single(self) -> Self {
        Self { rows: 1, ..self }
    }
}

/// The statement, without a semicolon.
///
/// # Errors
/// The table has a name that nothing of ours can write.
pub(super) fn insert(
    catalog: &Catalog,
    schema: &Ident,
    table: &Table,
    manner: Manner,
) -> Result<String, InvalidIdent> {
    let columns: Vec<_> = table.columns.iter().filter(|c| !c.generated).collect();
    let name = Ident::new(&table.name)?;
    if columns.is_empty() {
        return Ok(format!("INSERT INTO {schema}.{name} DEFAULT VALUES"));
    }
    let mut names = Vec::with_capacity(columns.len());
    for column in &columns {
        names.push(Ident::new(&column.name)?.to_string());
    }
    let row = |row| -> Result<String, InvalidIdent> {
        let cell = Cell {
            catalog,
            schema,
            table,
            manner,
            row,
        };
        let mut values = Vec::with_capacity(columns.len());
        for (place, column) in columns.iter().enumerate() {
            let own = cell.own_key(column).and_then(|key| {
                let place = columns.iter().position(|other| other.name == key)?;
                Some((place, columns[place]))
            });
            let (place, column) = own.unwrap_or((place, column));
            values.push(cell.expression(place, column)?);
        }
        Ok(format!("({})", values.join(", ")))
    };
    let rows: Result<Vec<_>, _> = (1..=manner.rows).map(row).collect();
    Ok(format!(
        "INSERT INTO {schema}.{name} ({}) OVERRIDING SYSTEM VALUE VALUES {}",
        names.join(", "),
        rows?.join(", ")
    ))
}

/// Where a value goes.
struct Cell<'a> {
    catalog: &'a Catalog,
    schema: &'a Ident,
    table: &'a Table,
    manner: Manner,
    row: u64,
}

impl Cell<'_> {
    /// The column whose value of the same row a column takes, as it must not be NULL and refers to its own table, which has no
    /// rows yet.
    fn own_key(&self, column: &Column) -> Option<&str> {
        let (reference, theirs) = self.table.reference_of(&column.name)?;
        let is_own = reference.table == self.table.name && reference.schema == self.schema.as_str();
        let is_key = self.table.reference_of(theirs).is_none();
        (is_own && is_key && column.not_null).then_some(theirs)
    }

    fn expression(&self, place: usize, column: &Column) -> Result<String, InvalidIdent> {
        if self.is_spared(column) {
            return Ok("NULL".to_owned());
        }
        if self.table.reference_of(&column.name).is_some() {
            return self.referred(column);
        }
        if self.manner.spares == Spares::All && column.has_default && !column.identity {
            return Ok("DEFAULT".to_owned());
        }
        let text = self.text(place, column);
        let literal = text.as_deref().and_then(|text| Literal::new(text).ok());
        Ok(match literal {
            Some(literal) => literal.to_string(),
            None if column.has_default || column.identity => "DEFAULT".to_owned(),
            None => "NULL".to_owned(),
        })
    }

    fn text(&self, place: usize, column: &Column) -> Option<String> {
        let checks = self.checks(column);
        let category = self.catalog.types.get(&column.type_oid)?.category;
        let style = if checks.is_empty() {
            0
        } else {
            self.manner.style
        };
        let nth = |candidates: Vec<String>| {
            let place = usize::try_from(self.row).unwrap_or(1).saturating_sub(1);
            let place = place.checked_rem(candidates.len())?;
            candidates.into_iter().nth(place)
        };
        let named = match (category, style) {
            ('S' | 'E', 0..=3) => nth(strings(&checks)),
            ('S' | 'E', 5) => {
                let length = |number: String| self.of_length(number.parse().ok()?);
                numbers(&checks)
                    .find_map(length)
                    .or_else(|| nth(strings(&checks)))
            }
            ('N', 4..) => nth(numbers(&checks).collect()),
            _ => None,
        };
        named.or_else(|| {
            let which = Which {
                row: self.row,
                place: u64::try_from(place).unwrap_or_default(),
                style,
            };
            value(self.catalog, column.type_oid, column.modifier, which)
        })
    }

    fn of_length(&self, length: usize) -> Option<String> {
        let row = self.row.to_string();
        let missing = length.checked_sub(row.len())?;
        (length <= LONGEST).then(|| "a".repeat(missing) + &row)
    }

    /// What the checks say that the column is in, those of its domain too.
    fn checks(&self, column: &Column) -> Vec<&str> {
        let of_table = self.table.checks_of(&column.name);
        let mut checks: Vec<_> = of_table.map(|check| check.definition.as_str()).collect();
        let mut found = self.catalog.types.get(&column.type_oid);
        while let Some(domain) = found.filter(|found| found.kind == 'd') {
            checks.extend(domain.checks.iter().map(String::as_str));
            found = self.catalog.types.get(&domain.base);
        }
        checks
    }

    fn is_spared(&self, column: &Column) -> bool {
        let may_be = |column: &&Column| {
            let domain: Option<&Type> = self.catalog.types.get(&column.type_oid);
            !column.not_null
                && !domain.is_some_and(|domain| domain.not_null)
                && self.table.checks_of(&column.name).next().is_some()
        };
        match self.manner.spares {
            Spares::Nothing => false,
            Spares::All => may_be(&column),
            Spares::AllBut(place) => {
                let mut spared = self.table.columns.iter().filter(may_be).enumerate();
                spared.any(|(number, other)| other.name == column.name && number != place)
            }
        }
    }

    /// A value that the table has which is referred to, another one for each row as far as there are several.
    fn referred(&self, column: &Column) -> Result<String, InvalidIdent> {
        let Some((reference, theirs)) = self.table.reference_of(&column.name) else {
            return Ok("NULL".to_owned());
        };
        let (schema, table) = (
            Ident::new(&reference.schema)?,
            Ident::new(&reference.table)?,
        );
        let theirs = Ident::new(theirs)?;
        let mut keys = Vec::with_capacity(reference.pairs.len());
        for (_, key) in &reference.pairs {
            keys.push(Ident::new(key)?.to_string());
        }
        let from = format!(
            "FROM {schema}.{table} WHERE {} IS NOT NULL",
            keys.join(" IS NOT NULL AND ")
        );
        Ok(format!(
            "(SELECT {theirs} {from} ORDER BY {} LIMIT 1 OFFSET {} % \
             (SELECT greatest(pg_catalog.count(*), 1) {from}))",
            keys.join(", "),
            self.row - 1
        ))
    }
}

/// The words that checks ask for; what looks like a pattern is none.
fn strings(checks: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for check in checks {
        let inside = check.split('\'').skip(1).step_by(2);
        let words = inside.filter(|text| !text.contains(['^', '$', '%', '[', '\\', '*']));
        found.extend(words.filter(|text| !text.is_empty()).map(str::to_owned));
    }
    found
}

/// The numbers that checks name.
fn numbers(checks: &[&str]) -> impl Iterator<Item = String> {
    checks.iter().flat_map(|check| {
        let parts = check.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
        parts
            .filter(|part| part.parse::<f64>().is_ok())
            .map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_name_words_and_numbers() {
        let list = "CHECK ((state = ANY (ARRAY['open'::text, 'closed'::text])))";
        assert_eq!(strings(&[list]), ["open", "closed"]);
        assert_eq!(strings(&["CHECK ((email ~ '^[^@]+@'::text))"]), [""; 0]);
        let range = "CHECK (((stars >= 1) AND (stars <= 5.5) AND (int4(x) > 0)))";
        let found: Vec<_> = numbers(&[range]).collect();
        assert_eq!(found, ["1", "5.5", "0"]);
    }
}
