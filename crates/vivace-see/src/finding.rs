//! One finding, and how it reads as text and as JSON.
//!
//! Names of tasks, lines of source and texts of exceptions come from the program and may hold
//! anything: control characters are shown as escapes, so that a terminal obeys none of them.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::catalog;

/// What was found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Finding {
    /// A code of the catalog.
    pub code: String,
    /// What follows the name of the code on the first line: `1.24 s (still blocked)`.
    #[serde(default)]
    pub title: String,
    /// Of findings with one code and one place, one a minute is reported; without a place, all.
    #[serde(default)]
    pub place: String,
    /// The report for people: a label of one word (`task`, `cause`, `stack`, `do`) and a text;
    /// an empty label goes on with the one before.
    #[serde(default)]
    pub lines: Vec<(String, String)>,
    /// The report for programs.
    #[serde(default)]
    pub data: Map<String, Value>,
}

/// When and where it was found.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The process.
    pub pid: u32,
    /// The number of the loop in the process.
    pub event_loop: u32,
    /// Seconds since 1970.
    pub time: f64,
    /// How many of the same code and place were kept back since the last report.
    pub suppressed: u64,
}

const LABEL_WIDTH: usize = 6;

impl Finding {
    /// The name of the code: `LOOP BLOCKED`.
    pub fn name(&self) -> &'static str {
        catalog::entry(&self.code).map_or("", |entry| entry.name)
    }

    /// The report for people, lines that each end with a line feed.
    pub fn text(&self, origin: &Origin) -> String {
        let mut text = format!("{} {}", self.code, self.name());
        if !self.title.is_empty() {
            text.push(' ');
            push_shown(&mut text, &self.title);
        }
        let _ = write!(text, "   [pid {} loop {}]", origin.pid, origin.event_loop);
        if origin.suppressed > 0 {
            let _ = write!(text, " ({} more like it since the last report)", origin.suppressed);
        }
        text.push('\n');
        for (label, line) in &self.lines {
            let _ = write!(text, "  {label:LABEL_WIDTH$} ");
            push_shown(&mut text, line);
            text.push('\n');
        }
        text
    }

    /// The report for programs: an object on one line, with the line feed.
    pub fn json(&self, origin: &Origin) -> String {
        let mut object = Map::new();
        object.insert("code".into(), self.code.clone().into());
        object.insert("name".into(), self.name().into());
        object.insert("title".into(), self.title.clone().into());
        object.insert("pid".into(), origin.pid.into());
        object.insert("loop".into(), origin.event_loop.into());
        object.insert("time".into(), origin.time.into());
        object.insert("suppressed".into(), origin.suppressed.into());
        for (key, value) in &self.data {
            object.insert(key.clone(), value.clone());
        }
        let lines = self.lines.iter().map(|(label, line)| Value::from(vec![&**label, &**line]));
        object.insert("report".into(), lines.collect());
        let mut text = Value::Object(object).to_string();
        text.push('\n');
        text
    }
}

/// Appends a text with control characters as escapes.
pub fn push_shown(into: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\n' => into.push_str("\\n"),
            '\t' => into.push(' '),
            // Among what is no control: marks that turn the direction of a line, or hide.
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' => {
                let _ = write!(into, "\\u{{{:x}}}", u32::from(character));
            }
            _ if character.is_control() => {
                let _ = write!(into, "\\x{:02x}", u32::from(character));
            }
            _ => into.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin = Origin { pid: 7, event_loop: 0, time: 1.5, suppressed: 0 };

    fn finding() -> Finding {
        Finding {
            code: "V101".into(),
            title: "0.3 s".into(),
            place: "a.py:1".into(),
            lines: vec![
                ("task".into(), "Task-1 \u{1b}[31m".into()),
                (String::new(), "more".into()),
            ],
            data: serde_json::from_str(r#"{"line": 3}"#).expect("an object"),
        }
    }

    #[test]
    fn text_has_a_head_and_labelled_lines() {
        let text = finding().text(&ORIGIN);
        let expected = "V101 LOOP BLOCKED 0.3 s   [pid 7 loop 0]\n  task   Task-1 \\x1b[31m\n         \
                        more\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn json_is_one_line() {
        let json = finding().json(&ORIGIN);
        assert_eq!(json.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(value["code"], "V101");
        assert_eq!(value["line"], 3);
        assert_eq!(value["report"][0][0], "task");
    }

    #[test]
    fn what_was_kept_back_is_told() {
        let origin = Origin { suppressed: 4, ..ORIGIN };
        assert!(finding().text(&origin).contains("(4 more like it since the last report)"));
    }
}
