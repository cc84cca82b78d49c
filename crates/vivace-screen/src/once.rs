//! The same as plain text: `vivace top --once`.

use std::fmt::Write as _;

use vivace_see::view::{View, tree};

use crate::order::{Sort, arrange};
use crate::summary;
use crate::table::Column;

/// Wider than this no column gets, but the last.
const WIDEST: usize = 40;

/// The head, and a line for each task; each ends with a line feed.
pub fn text(view: &View, sort: Sort, filter: &str) -> String {
    let mut text = tree::head(view);
    for event_loop in &view.loops {
        let _ = writeln!(text, "loop {}  {}", event_loop.number, summary::numbers(event_loop));
    }
    if let Some(findings) = summary::findings(view) {
        let _ = writeln!(text, "{findings}");
    }
    let rows: Vec<Vec<String>> = arrange(&view.tasks, sort, false, filter)
        .into_iter()
        .map(|row| {
            let cell = |column: &Column| match (column, column.cell(&view.tasks[row])) {
                (Column::Doing, text) => text,
                (_, text) => cut(text),
            };
            Column::ALL.iter().map(cell).collect()
        })
        .collect();
    let widths: Vec<usize> = Column::ALL
        .iter()
        .enumerate()
        .map(|(place, column)| {
            let cells = rows.iter().map(|row| row[place].chars().count());
            cells.chain([column.title().len()]).max().unwrap_or(0)
        })
        .collect();
    let titles: Vec<String> = Column::ALL.iter().map(|column| column.title().to_owned()).collect();
    for row in std::iter::once(&titles).chain(&rows) {
        let mut line = String::new();
        for ((cell, width), column) in row.iter().zip(&widths).zip(Column::ALL) {
            let _ = if column.is_number() {
                write!(line, "{cell:>width$} ")
            } else {
                write!(line, "{cell:width$} ")
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if view.left_out > 0 {
        let _ = writeln!(text, "… and {} more", view.left_out);
    }
    text
}

fn cut(text: String) -> String {
    match text.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
