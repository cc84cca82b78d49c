//! What the environment asks of the diagnostics.
//!
//! | variable | values | default |
//! |---|---|---|
//! | `VIVACE_DIAG` | `0` or `off`; `1` or `on`; `dev` (the dear detectors too) | `1` |
//! | `VIVACE_DIAG_FORMAT` | `text` or `json` | `text` |
//! | `VIVACE_DIAG_OUTPUT` | the path of a file that findings are appended to | standard error |
//! | `VIVACE_DIAG_BLOCKED` | seconds after which a loop counts as blocked | 0.1; 0.05 with `dev` |
//! | `VIVACE_DIAG_REQUEST` | seconds after which a request counts as slow; `0`: none does | 1 |
//! | `VIVACE_DIAG_DEADLOCK` | seconds that a task has waited that is looked at for deadlocks | 5 |
//! | `VIVACE_DIAG_DIR` | the folder of the files that `vivace top` reads | see `docs/see.md` |
//! | `VIVACE_CONTROL` | `1`: `vivace top` may cancel tasks | `0` |

use std::path::PathBuf;
use std::time::Duration;

const SLOW_REQUEST: Duration = Duration::from_secs(1);
const DEADLOCK: Duration = Duration::from_secs(5);

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    Off,
    /// What costs next to nothing.
    On,
    /// What costs more, too.
    Dev,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How much is looked at.
    pub level: Level,
    /// How findings are written.
    pub format: Format,
    /// The file that they are appended to, in place of standard error.
    pub output: Option<PathBuf>,
    /// From when on a loop counts as blocked.
    pub blocked: Duration,
    /// From when on a request counts as slow, if any does.
    pub slow_request: Option<Duration>,
    /// How long a task has waited that may be in a deadlock.
    pub deadlock: Duration,
    /// The folder of the files that other processes read.
    pub folder: Option<PathBuf>,
    /// Whether others may cancel tasks.
    pub control: bool,
    /// What could not be understood, a sentence each: it is said once, and the default is taken.
    pub mistakes: Vec<String>,
}

impl Settings {
    /// Reads them; `variable` gives the value of an environment variable.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| variable(name).filter(|value| !value.is_empty());
        let mut mistakes = Vec::new();
        let mut mistaken = |name: &str, value: &str, wanted: &str| {
            mistakes.push(format!("{name}={value:?} is not understood; it takes {wanted}"));
        };
        let level = match value("VIVACE_DIAG").as_deref() {
            None | Some("1" | "on") => Level::On,
            Some("0" | "off") => Level::Off,
            Some("dev") => Level::Dev,
            Some(other) => {
                mistaken("VIVACE_DIAG", other, "0, 1 or dev");
                Level::On
            }
        };
        let format = match value("VIVACE_DIAG_FORMAT").as_deref() {
            None | Some("text") => Format::Text,
            Some("json") => Format::Json,
            Some(other) => {
                mistaken("VIVACE_DIAG_FORMAT", other, "text or json");
                Format::Text
            }
        };
        let usual = Duration::from_millis(if level == Level::Dev { 50 } else { 100 });
        let blocked = match value("VIVACE_DIAG_BLOCKED") {
            None => usual,
            Some(text) => match text.parse::<f64>() {
                Ok(seconds) if seconds >= 0.02 && seconds.is_finite() && seconds <= 1e6 => {
                    Duration::from_secs_f64(seconds)
                }
                _ => {
                    mistaken("VIVACE_DIAG_BLOCKED", &text, "seconds, 0.02 at least");
                    usual
                }
            },
        };
        let slow_request = match value("VIVACE_DIAG_REQUEST") {
            None => Some(SLOW_REQUEST),
            Some(text) => match text.parse::<f64>() {
                Ok(0.0) => None,
                Ok(seconds) if (0.001..=1e6).contains(&seconds) => {
                    Some(Duration::from_secs_f64(seconds))
                }
                _ => {
                    mistaken("VIVACE_DIAG_REQUEST", &text, "seconds, 0.001 at least, or 0");
                    Some(SLOW_REQUEST)
                }
            },
        };
        let deadlock = match value("VIVACE_DIAG_DEADLOCK") {
            None => DEADLOCK,
            Some(text) => match text.parse::<f64>() {
                Ok(seconds) if (0.0..=1e6).contains(&seconds) => Duration::from_secs_f64(seconds),
                _ => {
                    mistaken("VIVACE_DIAG_DEADLOCK", &text, "seconds");
                    DEADLOCK
                }
            },
        };
        Self {
            level,
            format,
            output: value("VIVACE_DIAG_OUTPUT").map(PathBuf::from),
            blocked,
            slow_request,
            deadlock,
            folder: value("VIVACE_DIAG_DIR").map(PathBuf::from),
            control: value("VIVACE_CONTROL").as_deref() == Some("1"),
            mistakes,
        }
    }

    /// Whether anything is looked at.
    pub fn is_on(&self) -> bool {
        self.level != Level::Off
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Settings {
        Settings::read(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn by_default_they_are_on() {
        let settings = read(&[]);
        assert_eq!(settings.level, Level::On);
        assert_eq!(settings.blocked, Duration::from_millis(100));
        assert!(settings.mistakes.is_empty());
    }

    #[test]
    fn dev_is_stricter() {
        let settings = read(&[("VIVACE_DIAG", "dev")]);
        assert_eq!(settings.level, Level::Dev);
        assert_eq!(settings.blocked, Duration::from_millis(50));
    }

    #[test]
    fn mistakes_are_named_and_the_default_is_taken() {
        let settings = read(&[("VIVACE_DIAG", "yes"), ("VIVACE_DIAG_BLOCKED", "soon")]);
        assert_eq!(settings.level, Level::On);
        assert_eq!(settings.mistakes.len(), 2);
        assert!(settings.mistakes[0].contains("VIVACE_DIAG=\"yes\""), "{settings:?}");
    }

    #[test]
    fn when_a_request_is_slow_can_be_said() {
        assert_eq!(read(&[]).slow_request, Some(Duration::from_secs(1)));
        assert_eq!(read(&[("VIVACE_DIAG_REQUEST", "0")]).slow_request, None);
        let settings = read(&[("VIVACE_DIAG_REQUEST", "0.25")]);
        assert_eq!(settings.slow_request, Some(Duration::from_millis(250)));
        let settings = read(&[("VIVACE_DIAG_REQUEST", "-1")]);
        assert_eq!((settings.slow_request, settings.mistakes.len()), (Some(SLOW_REQUEST), 1));
    }

    #[test]
    fn how_long_deadlocked_tasks_have_waited_can_be_said() {
        assert_eq!(read(&[]).deadlock, Duration::from_secs(5));
        assert_eq!(read(&[("VIVACE_DIAG_DEADLOCK", "0")]).deadlock, Duration::ZERO);
        let settings = read(&[("VIVACE_DIAG_DEADLOCK", "abc")]);
        assert_eq!((settings.deadlock, settings.mistakes.len()), (DEADLOCK, 1));
    }

    #[test]
    fn off_is_off() {
        assert!(!read(&[("VIVACE_DIAG", "0")]).is_on());
    }
}
