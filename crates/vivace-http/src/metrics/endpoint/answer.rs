//! What the endpoint answers.
//!
//! | path | 200 | 503 |
//! |---|---|---|
//! | `/metrics` | the metrics | |
//! | `/livez` | each loop has turned of late, or has not begun to | one has not, and its age |
//! | `/readyz` | a process takes requests | all are starting or draining |

use super::StallLimit;
use crate::date::imf_fixdate;
use crate::h1::request::Head;
use crate::h1::response::{Defaults, RequestTraits, ResponseWriter};
use crate::metrics::exposition;
use crate::metrics::{Process, Readiness, Watched};
use std::time::SystemTime;

const PLAIN: &str = "text/plain; charset=utf-8";

/// Writes the answer to a request.
pub(super) fn write(head: &Head<'_>, watched: &dyn Watched, limit: StallLimit, out: &mut Vec<u8>) {
    let answer = answer_to(head, watched, limit);
    let is_head = head.method == b"HEAD";
    let traits = RequestTraits { head: is_head, keep_alive: false, ..RequestTraits::default() };
    let mut writer = ResponseWriter::new(traits);
    let length = answer.text.len().to_string();
    let mut fields = vec![
        ("content-type", answer.media_type),
        ("content-length", &length),
        // A probe wants to know how it is, not how it was.
        ("cache-control", "no-store"),
    ];
    if answer.status == 405 {
        fields.push(("allow", "GET, HEAD"));
    }
    let mut written = writer.begin(out, answer.status);
    for (name, value) in fields {
        written = written.and_then(|()| writer.header(out, name.as_bytes(), value.as_bytes()));
    }
    debug_assert_eq!(written, Ok(()));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let date = imf_fixdate(now.as_secs());
    writer.finish_head(out, Defaults { date: Some(&date), ..Defaults::default() });
    let written = writer.write_body(out, answer.text.as_bytes(), false);
    debug_assert_eq!(written, Ok(()));
}

struct Answer {
    status: u16,
    media_type: &'static str,
    text: String,
}

fn answer_to(head: &Head<'_>, watched: &dyn Watched, limit: StallLimit) -> Answer {
    let plain = |status, text: &str| Answer { status, media_type: PLAIN, text: text.to_owned() };
    if !matches!(head.method, b"GET" | b"HEAD") {
        return plain(405, "only GET and HEAD\n");
    }
    match head.path {
        b"/metrics" => Answer {
            status: 200,
            media_type: exposition::CONTENT_TYPE,
            text: exposition::text(&watched.snapshot()),
        },
        b"/livez" => {
            let (status, text) = liveness(&watched.snapshot().processes, limit);
            plain(status, &text)
        }
        b"/readyz" => {
            let (status, text) = readiness(&watched.snapshot().processes);
            plain(status, text)
        }
        _ => plain(404, "there are /metrics, /livez and /readyz\n"),
    }
}

fn liveness(processes: &[Process], StallLimit(limit): StallLimit) -> (u16, String) {
    let limit = limit.as_secs_f64();
    let stalled: String = processes
        .iter()
        .filter_map(|process| {
            let age = process.heartbeat_age.filter(|&age| age > limit)?;
            let pid = process.pid;
            Some(format!("the loop of process {pid} has not turned for {age:.1} s\n"))
        })
        .collect();
    if stalled.is_empty() { (200, "ok\n".to_owned()) } else { (503, stalled) }
}

fn readiness(processes: &[Process]) -> (u16, &'static str) {
    let any = |wanted| processes.iter().any(|process| process.readiness == wanted);
    if any(Readiness::Ready) {
        (200, "ready\n")
    } else if any(Readiness::Draining) {
        (503, "draining\n")
    } else {
        (503, "starting\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn process(pid: u32, readiness: Readiness, heartbeat_age: Option<f64>) -> Process {
        Process { pid, readiness, heartbeat_age }
    }

    #[test]
    fn dead_is_who_has_not_turned() {
        let limit = StallLimit(Duration::from_secs(10));
        let ready = Readiness::Ready;
        for (ages, expected) in [
            (vec![], (200, "ok\n")),
            (vec![None, Some(0.0), Some(9.9)], (200, "ok\n")),
            (
                vec![Some(1.0), Some(12.34)],
                (503, "the loop of process 1 has not turned for 12.3 s\n"),
            ),
        ] {
            let processes: Vec<_> =
                (0..).zip(ages).map(|(pid, age)| process(pid, ready, age)).collect();
            let (status, text) = liveness(&processes, limit);
            assert_eq!((status, &*text), expected);
        }
    }

    #[test]
    fn ready_is_if_anybody_is() {
        use Readiness::{Draining, Ready, Starting};
        for (states, expected) in [
            (vec![], (503, "starting\n")),
            (vec![Starting], (503, "starting\n")),
            (vec![Starting, Ready, Draining], (200, "ready\n")),
            (vec![Draining, Starting], (503, "draining\n")),
        ] {
            let processes: Vec<_> =
                states.into_iter().map(|readiness| process(1, readiness, None)).collect();
            assert_eq!(readiness(&processes), expected);
        }
    }
}
