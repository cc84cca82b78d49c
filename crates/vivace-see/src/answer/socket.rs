//! `<pid>.sock`: requests and answers, a line of JSON each.
//!
//! ```text
//! {"do": "doctor"}            {"text": "…", "fresh": true}
//! {"do": "cancel", "task": 7} {"text": "cancelled Task-7"} or {"error": "…"}
//! {"do": "trace", "seconds": 5} {"traced": 5.0} or {"error": "…"}
//! ```
//!
//! `do` is `view` (JSON), `ps`, `doctor` (text), `refresh` (nothing but a new snapshot), `cancel` or
//! `trace`, which is answered when `<pid>.trace` is written.
//! `fresh` says whether the loop has written down its tasks for this answer; if not, it is blocked.
//! Nothing that is sent is evaluated. Only this user and root are answered.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Job, PATIENCE, Process};
use crate::view::{doctor, tree};

/// Longer requests are refused.
const LONGEST: u64 = 4096;
/// Longer traces are refused.
const LONGEST_TRACE: Duration = Duration::from_secs(3600);
/// So much of a request that was refused is read.
const PASSED_OVER: u64 = 1 << 20;
/// Who says nothing for so long is not waited for.
const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
struct Request {
    #[serde(rename = "do")]
    what: String,
    #[serde(default)]
    task: u64,
    #[serde(default)]
    seconds: f64,
}

/// Answers one connection until it ends.
pub fn serve(stream: UnixStream, process: &dyn Process) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let peer = rustix::net::sockopt::socket_peercred(&stream)?.uid;
    let allowed = peer.is_root() || peer == rustix::process::geteuid();
    let mut reader = BufReader::new(&stream);
    loop {
        if !allowed {
            return send(&stream, &json!({"error": "this process belongs to another user"}));
        }
        let mut line = Vec::new();
        if reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let answer = match serde_json::from_slice(&line) {
            Ok(request) => answer(&request, process, &stream),
            Err(error) => json!({"error": format!("not a request: {error}")}),
        };
        let sent = send(&stream, &answer);
        if sent.is_err() && answer.get("traced").is_some() {
            process.forget_trace();
        }
        sent?;
        if line.last() != Some(&b'\n') {
            return leave(&stream);
        }
    }
}

/// Ends the conversation. What was sent and not read would take the answer with it, so some of it
/// is read.
fn leave(stream: &UnixStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut stream.take(PASSED_OVER), &mut io::sink())?;
    Ok(())
}

fn send(mut stream: &UnixStream, answer: &Value) -> io::Result<()> {
    stream.write_all(format!("{answer}\n").as_bytes())
}

/// Waits so long, or until the other side is gone altogether; whether it is still there.
fn stays(stream: &UnixStream, duration: Duration) -> bool {
    let end = Instant::now() + duration;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut watched = [PollFd::new(stream, PollFlags::empty())];
        match poll(&mut watched, Timespec::try_from(left).ok().as_ref()) {
            Ok(0) => return true,
            Ok(_) => return false,
            Err(rustix::io::Errno::INTR) => {}
            // It cannot be watched.
            Err(_) => {
                std::thread::sleep(left);
                return true;
            }
        }
    }
}

fn answer(request: &Request, process: &dyn Process, stream: &UnixStream) -> Value {
    match request.what.as_str() {
        "view" | "ps" | "doctor" | "refresh" => {
            let fresh = process.ask(Job::Snapshot, PATIENCE).is_some();
            let view = match process.view() {
                Ok(view) => view,
                Err(error) => return json!({"error": error}),
            };
            match request.what.as_str() {
                "view" => json!({"view": view, "fresh": fresh}),
                "ps" => json!({"text": tree::text(&view), "fresh": fresh}),
                "doctor" => {
                    json!({"text": doctor::text(&view, &doctor::checks(&view)), "fresh": fresh})
                }
                _ => json!({"fresh": fresh}),
            }
        }
        "cancel" if !process.control() => json!({
            "error": "tasks can be cancelled only if the process was started with VIVACE_CONTROL=1",
        }),
        "cancel" => match process.ask(Job::Cancel(request.task), PATIENCE) {
            Some(text) => json!({"text": text}),
            None => json!({"error": "the loop is blocked: it will get to it when it is free"}),
        },
        "trace" => {
            let duration = Duration::try_from_secs_f64(request.seconds).unwrap_or_default();
            if duration.is_zero() || duration > LONGEST_TRACE {
                return json!({"error": "a trace takes an hour at most"});
            }
            match process.trace(duration, &|time| stays(stream, time)) {
                Ok(()) => json!({"traced": request.seconds}),
                Err(error) => json!({"error": error}),
            }
        }
        other => json!({"error": format!("no request {other:?}")}),
    }
}

/// Sends one request and returns the answer.
pub fn ask(path: &std::path::Path, request: &Value, timeout: Duration) -> io::Result<Value> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(format!("{request}\n").as_bytes())?;
    let mut line = String::new();
    // What a process can have to say is bounded by its snapshot.
    BufReader::new(stream).take(8 << 20).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::View;

    struct Blocked {
        control: bool,
    }

    impl Process for Blocked {
        fn view(&self) -> Result<View, String> {
            Err("nothing was written down".into())
        }
        fn ask(&self, _job: Job, _patience: Duration) -> Option<String> {
            None
        }
        fn control(&self) -> bool {
            self.control
        }
    }

    fn talk(control: bool, lines: &str) -> Vec<Value> {
        let (here, there) = UnixStream::pair().expect("a pair");
        std::thread::scope(|scope| {
            scope.spawn(move || serve(there, &Blocked { control }));
            (&here).write_all(lines.as_bytes()).expect("written");
            here.shutdown(Shutdown::Write).expect("shut");
            BufReader::new(&here)
                .lines()
                .map(|line| serde_json::from_str(&line.expect("text")).expect("JSON"))
                .collect()
        })
    }

    #[test]
    fn each_line_has_an_answer() {
        let answers = talk(false, "{\"do\":\"cancel\",\"task\":1}\nnonsense\n{\"do\":\"eval\"}\n");
        assert_eq!(answers.len(), 3);
        assert!(answers[0]["error"].as_str().is_some_and(|text| text.contains("VIVACE_CONTROL=1")));
        assert!(answers[1]["error"].as_str().is_some_and(|text| text.starts_with("not a request")));
        assert_eq!(answers[2]["error"], "no request \"eval\"");
    }

    #[test]
    fn whoever_waits_stays_until_both_sides_are_closed() {
        let (here, there) = UnixStream::pair().expect("a pair");
        assert!(stays(&there, Duration::from_millis(1)));
        here.shutdown(Shutdown::Write).expect("shut");
        assert!(stays(&there, Duration::from_millis(1)));
        drop(here);
        assert!(!stays(&there, Duration::from_secs(60)));
    }

    #[test]
    fn a_loop_that_does_not_answer_is_told_of() {
        let answers = talk(true, "{\"do\":\"cancel\",\"task\":1}\n{\"do\":\"ps\"}");
        assert!(answers[0]["error"].as_str().is_some_and(|text| text.contains("is blocked")));
        assert_eq!(answers[1]["error"], "nothing was written down");
    }

    #[test]
    fn a_line_without_end_is_not_read_for_ever() {
        let answers = talk(true, &"x".repeat(10_000));
        assert_eq!(answers.len(), 1);
    }
}
