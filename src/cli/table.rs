//! Tables for people: aligned columns, no lines.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, presets};

use super::paint::Paint;

/// A table in the making. Long cells are wrapped on a terminal, and nowhere else.
pub(crate) struct Table {
    table: comfy_table::Table,
}

impl Table {
    /// A table with these headings, in capitals.
    pub(crate) fn new<const N: usize>(paint: Paint, headings: [&str; N]) -> Self {
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic);
        if let Some(width) = table.width() {
            table.set_width(width);
        }
        if paint.enabled {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(headings.map(faint));
        for column in table.column_iter_mut() {
            // The first starts at the margin; between two there are two blanks.
            column.set_padding((0, 2));
        }
        Self { table }
    }

    /// Sets these columns, counted from 0, flush right.
    #[must_use]
    pub(crate) fn numbers(mut self, columns: &[usize]) -> Self {
        for index in columns {
            if let Some(column) = self.table.column_mut(*index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self
    }

    /// Adds a row, of texts or of [`Cell`]s.
    pub(crate) fn row<C: Into<Cell>, const N: usize>(&mut self, cells: [C; N]) {
        self.table.add_row(cells.map(Into::into));
    }

    /// The whole table, without a last line break.
    pub(crate) fn render(&self) -> String {
        self.table.trim_fmt()
    }
}

/// A cell of what is only there for completeness.
pub(crate) fn faint(text: impl ToString) -> Cell {
    Cell::new(text).add_attribute(Attribute::Dim)
}

/// A cell of what went well.
pub(crate) fn good(text: impl ToString) -> Cell {
    Cell::new(text).fg(Color::Green)
}

/// A cell of what did not.
pub(crate) fn bad(text: impl ToString) -> Cell {
    Cell::new(text).fg(Color::Red)
}

/// A cell of what deserves a look.
pub(crate) fn caution(text: impl ToString) -> Cell {
    Cell::new(text).fg(Color::Yellow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_with_text() {
        let mut table = Table::new(Paint::default(), ["VERSION", "TENANTS", "NAME"]).numbers(&[1]);
        table.row(["7", "1,200", "orders"]);
        table.row([faint("20260301000000"), good("3"), bad("")]);
        assert_eq!(
            table.render(),
            "VERSION         TENANTS  NAME\n\
             7                 1,200  orders\n\
             20260301000000        3"
        );
    }
}
