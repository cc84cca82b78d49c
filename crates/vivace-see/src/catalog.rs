//! The codes of what can be found. A code keeps its meaning for ever.
//!
//! The explanation of each is a file of the folder `codes/`: the program that causes it, why it
//! matters, and the cure. `vivace explain V101` prints it, and `docs/see.md` links to it.

/// A kind of finding.
#[derive(Debug)]
pub struct Entry {
    /// `V101`.
    pub code: &'static str,
    /// In capitals, as reports begin: `LOOP BLOCKED`.
    pub name: &'static str,
    /// Markdown.
    pub explanation: &'static str,
}

macro_rules! entries {
    ($($code:literal $name:literal),* $(,)?) => {
        &[$(Entry {
            code: $code,
            name: $name,
            explanation: include_str!(concat!("../codes/", $code, ".md")),
        }),*]
    };
}

/// All of them, by code.
pub const ENTRIES: &[Entry] = entries![
    "V101" "LOOP BLOCKED",
    "V110" "GIL STARVED",
    "V111" "LONG GC PAUSE",
    "V112" "PROCESS STOPPED",
    "V120" "EXECUTOR FULL",
    "V130" "SLOW REQUEST",
    "V201" "NEVER AWAITED",
    "V202" "TASK FAILED, NOBODY LOOKED",
    "V203" "TASK CAN NEVER WAKE",
    "V210" "TASK LEAK",
    "V220" "IGNORED CANCEL",
    "V230" "LEFT AT EXIT",
    "V301" "DEADLOCK",
    "V302" "WAITS FOR ITS OWN LOOP",
    "V303" "HELD BY A TASK THAT HAS ENDED",
    "V401" "BLOCKING CALL",
    "V501" "AWAIT RACE",
];

/// Finds a code, in capitals or not.
pub fn entry(code: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.code.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_differ() {
        assert!(ENTRIES.windows(2).all(|pair| pair[0].code < pair[1].code));
    }

    #[test]
    fn every_code_is_explained() {
        for entry in ENTRIES {
            let title = format!("# {} {}\n", entry.code, entry.name);
            assert!(entry.explanation.starts_with(&title), "{}", entry.code);
            for part in ["## What happened", "## Why it matters", "## What to do"] {
                assert!(entry.explanation.contains(part), "{}: {part}", entry.code);
            }
        }
    }

    #[test]
    fn a_code_is_found_however_it_is_written() {
        assert_eq!(entry("v101").map(|entry| entry.name), Some("LOOP BLOCKED"));
        assert!(entry("V999").is_none());
    }
}
