//! Where findings go: one line or a few, written at once, from any thread and without Python.

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use crate::finding::{Finding, Origin};
use crate::limit::Limit;
use crate::settings::{Format, Settings};

/// Someone else who is told of each finding that is reported.
pub trait Listener: Send + Sync {
    /// `json` is the finding as one line.
    fn found(&self, finding: &Finding, origin: &Origin, json: &str);
}

struct Inner {
    limit: Limit,
    listeners: Vec<Box<dyn Listener>>,
    output: Box<dyn Write + Send>,
    reported: u64,
}

/// See the module.
pub struct Reporter {
    inner: Mutex<Inner>,
    format: Format,
}

impl Reporter {
    /// Opens the output that the settings name; standard error if that cannot be opened.
    pub fn new(settings: &Settings) -> Self {
        let mut problem = None;
        let output: Box<dyn Write + Send> = match &settings.output {
            None => Box::new(std::io::stderr()),
            Some(path) => match OpenOptions::new().create(true).append(true).open(path) {
                Ok(file) => Box::new(file),
                Err(error) => {
                    problem = Some(format!("VIVACE_DIAG_OUTPUT={}: {error}", path.display()));
                    Box::new(std::io::stderr())
                }
            },
        };
        for mistake in settings.mistakes.iter().chain(&problem) {
            let _closed = writeln!(std::io::stderr(), "vivace: {mistake}");
        }
        Self {
            inner: Mutex::new(Inner {
                limit: Limit::default(),
                listeners: Vec::new(),
                output,
                reported: 0,
            }),
            format: settings.format,
        }
    }

    /// Tells `listener` of every later finding, too.
    pub fn listen(&self, listener: Box<dyn Listener>) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).listeners.push(listener);
    }

    /// Reports a finding, unless one of the same code and place was reported just now; whether
    /// it was. `now` is in nanoseconds of a clock that goes forward.
    pub fn report(&self, finding: &Finding, mut origin: Origin, now: u64) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if !finding.place.is_empty() {
            let place = format!("{} {}", finding.code, finding.place);
            match inner.limit.admits(place, now) {
                Some(suppressed) => origin.suppressed = suppressed,
                None => return false,
            }
        }
        inner.reported += 1;
        let json = finding.json(&origin);
        let text = match self.format {
            Format::Json => &json,
            Format::Text => &finding.text(&origin),
        };
        // Nobody can be told that nobody can be told.
        let _closed = inner.output.write_all(text.as_bytes());
        for listener in &inner.listeners {
            listener.found(finding, &origin, &json);
        }
        true
    }

    /// Whether a finding of a code and place would be kept back now, as one was reported just now.
    /// If so it is counted, and need not be made.
    pub fn keeps_back(&self, code: &str, place: &str, now: u64) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.limit.keeps_back(&format!("{code} {place}"), now)
    }

    /// Forgets what was reported: the next finding of any place is no repetition.
    pub fn forget(&self) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).limit = Limit::default();
    }

    /// How many findings were reported.
    pub fn reported(&self) -> u64 {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).reported
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_of_one_place_are_limited_and_others_are_not() {
        let folder = std::env::temp_dir().join(format!("vivace-report-{}", std::process::id()));
        let path = folder.with_extension("json");
        let settings = Settings::read(|name| match name {
            "VIVACE_DIAG_OUTPUT" => Some(path.display().to_string()),
            "VIVACE_DIAG_FORMAT" => Some("json".to_owned()),
            _ => None,
        });
        let reporter = Reporter::new(&settings);
        let origin = Origin { pid: 1, event_loop: 0, time: 0.0, suppressed: 0 };
        let finding = Finding { code: "V101".into(), place: "a.py:1".into(), ..Finding::default() };
        assert!(reporter.report(&finding, origin, 0));
        assert!(!reporter.report(&finding, origin, 1));
        let again = finding.clone();
        assert!(reporter.report(&Finding { place: String::new(), ..finding }, origin, 2));
        reporter.forget();
        assert!(reporter.report(&again, origin, 3));
        let written = std::fs::read_to_string(&path).expect("the file was written");
        std::fs::remove_file(&path).expect("the file can be removed");
        assert_eq!(written.lines().count(), 3);
        assert_eq!(reporter.reported(), 3);
    }
}
