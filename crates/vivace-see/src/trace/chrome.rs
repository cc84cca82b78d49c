//! The JSON that `chrome://tracing` and many other viewers read (the "Trace Event Format").
//!
//! A process for each loop, a thread for each task; thread 0 is the loop itself.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::file::{Consumer, Head};
use super::join::{Joiner, Step};
use super::known::{Known, process_number};
use super::name::Name;
use super::record::{Actor, Kind, Record};

/// Writes the trace while the timeline passes.
pub struct ChromeWriter<W: Write> {
    output: W,
    joiner: Joiner,
    known: Known,
    loops: Vec<u16>,
    begin: u64,
    pid: u32,
    empty: bool,
}

impl<W: Write> ChromeWriter<W> {
    /// Writes what comes first.
    pub fn new(mut output: W, head: &Head) -> io::Result<Self> {
        output.write_all(b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[")?;
        Ok(Self {
            output,
            joiner: Joiner::default(),
            known: Known::default(),
            loops: Vec::new(),
            begin: head.begin,
            pid: head.pid,
            empty: true,
        })
    }

    fn event(&mut self, event: &Value) -> io::Result<()> {
        let separator = if std::mem::take(&mut self.empty) { "\n" } else { ",\n" };
        self.output.write_all(separator.as_bytes())?;
        serde_json::to_writer(&mut self.output, event).map_err(io::Error::from)
    }

    fn process(&self, event_loop: u16) -> u64 {
        process_number(self.pid, event_loop)
    }

    /// In microseconds.
    fn time(&self, time: u64) -> f64 {
        time.saturating_sub(self.begin) as f64 / 1e3
    }

    fn describe(&mut self, event_loop: u16, thread: u32, kind: &str, name: &str) -> io::Result<()> {
        let event = json!({"ph": "M", "pid": self.process(event_loop), "tid": thread,
            "name": kind, "args": {"name": name}});
        self.event(&event)
    }

    fn describe_loop(&mut self, event_loop: u16) -> io::Result<()> {
        if self.loops.contains(&event_loop) {
            return Ok(());
        }
        self.loops.push(event_loop);
        self.describe(event_loop, 0, "process_name", &format!("loop {event_loop}"))?;
        self.describe(event_loop, 0, "thread_name", "loop")
    }

    fn describe_task(&mut self, event_loop: u16, task: u32) -> io::Result<()> {
        self.describe_loop(event_loop)?;
        match self.known.describe(task) {
            Some(name) => self.describe(event_loop, task, "thread_name", &name),
            None => Ok(()),
        }
    }

    fn slice(
        &mut self,
        (event_loop, thread): (u16, u32),
        name: &str,
        begin: u64,
        end: u64,
    ) -> io::Result<()> {
        let length = end.saturating_sub(begin) as f64 / 1e3;
        let event = json!({"ph": "X", "pid": self.process(event_loop), "tid": thread,
            "name": name, "ts": self.time(begin), "dur": length});
        self.event(&event)
    }

    /// One end of an arrow.
    fn flow(
        &mut self,
        (event_loop, thread): (u16, u32),
        phase: &str,
        time: u64,
        id: &str,
    ) -> io::Result<()> {
        let event = json!({"ph": phase, "bp": "e", "pid": self.process(event_loop), "tid": thread,
            "name": "wakes", "cat": "wakes", "id": id, "ts": self.time(time)});
        self.event(&event)
    }

    fn step(&mut self, step: &Step) -> io::Result<()> {
        self.describe_task(step.event_loop, step.task)?;
        let place = (step.event_loop, step.task);
        let task = self.known.task(step.task);
        let (waits, ended) = (task.waits.take(), task.ended);
        if let Some((since, reason)) = waits {
            let reason = self.known.text(reason).unwrap_or("waiting").to_owned();
            self.slice(place, &reason, since, step.ready)?;
        }
        if step.ready < step.begin {
            self.slice(place, "ready", step.ready, step.begin)?;
        }
        self.slice(place, "running", step.begin, step.end)?;
        let waker = match step.waker {
            Actor::Nobody => None,
            Actor::Task(task) => Some((step.event_loop, task)),
            Actor::Callback(_) => Some((step.event_loop, 0)),
        };
        if let Some(waker) = waker {
            let id = format!("{}-{}", step.task, step.ready);
            self.flow(waker, "s", step.ready, &id)?;
            self.flow(place, "f", step.begin, &id)?;
        }
        if !ended {
            self.known.task(step.task).waits = Some((step.end, step.reason));
        }
        Ok(())
    }

    fn counter(&mut self, event_loop: u16, time: u64, name: &str, value: f64) -> io::Result<()> {
        let event = json!({"ph": "C", "pid": self.process(event_loop), "tid": 0, "name": name,
            "ts": self.time(time), "args": {name: value}});
        self.event(&event)
    }

    /// Writes the rest.
    pub fn finish(mut self) -> io::Result<W> {
        for step in self.joiner.finish() {
            self.step(&step)?;
        }
        self.output.write_all(b"\n]}\n")?;
        self.output.flush()?;
        Ok(self.output)
    }
}

impl<W: Write> Consumer for ChromeWriter<W> {
    fn name(&mut self, number: u32, name: &Name) -> io::Result<()> {
        self.known.learn_name(number, name);
        Ok(())
    }

    fn record(&mut self, event_loop: u16, record: &Record) -> io::Result<()> {
        self.known.learn(record);
        if let Some(step) = self.joiner.take(event_loop, record) {
            self.step(&step)?;
        }
        let name = match record.kind {
            Kind::Queues => {
                self.counter(event_loop, record.time, "ready", f64::from(record.subject))?;
                return self.counter(event_loop, record.time, "tasks", f64::from(record.detail));
            }
            Kind::Lag => {
                let lag = record.nanoseconds() as f64 / 1e6;
                return self.counter(event_loop, record.time, "lag (ms)", lag);
            }
            Kind::Callback => self.known.text(record.subject).unwrap_or("callback").to_owned(),
            Kind::Poll => "waiting for events".to_owned(),
            Kind::Gc => "garbage collection".to_owned(),
            Kind::GilWait => "waiting for the GIL".to_owned(),
            Kind::Block => "blocked".to_owned(),
            _ => return Ok(()),
        };
        self.describe_loop(event_loop)?;
        self.slice((event_loop, 0), &name, record.time, record.time + record.nanoseconds())
    }
}
