//! The trace for ui.perfetto.dev and `trace_processor`: a `perfetto.protos.Trace`.
//!
//! A process for each loop; in it a track for the loop (callbacks, waiting for events, collector,
//! waiting for the GIL), a track for each task (running, ready, waiting), counters. Names are
//! interned. An arrow leads from the step or callback that woke a task to the step that followed.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use super::file::{Consumer, Head};
use super::join::{Joiner, Step};
use super::known::{Known, process_number};
use super::name::Name;
use super::perfetto_schema::{
    FIRST_NAME, NEEDS_STATE, SEQUENCE, STATE_CLEARED, Track, Type, WORDS, Word, bare, event_name,
    field, flow, named,
};
use super::protobuf::Message;
use super::record::{Actor, Kind, Record};

/// Writes the trace while the timeline passes.
pub struct PerfettoWriter<W: Write> {
    output: W,
    joiner: Joiner,
    known: Known,
    interned: HashSet<u32>,
    loops: HashSet<u16>,
    /// The arrows that begin in the step or callback that runs.
    flows: HashMap<(u16, Actor), Vec<u64>>,
    begin: u64,
    pid: u32,
    command: String,
}

impl<W: Write> PerfettoWriter<W> {
    /// Writes what comes first.
    pub fn new(output: W, head: &Head) -> io::Result<Self> {
        let mut this = Self {
            output,
            joiner: Joiner::default(),
            known: Known::default(),
            interned: HashSet::new(),
            loops: HashSet::new(),
            flows: HashMap::new(),
            begin: head.begin,
            pid: head.pid,
            command: head.command.clone(),
        };
        let mut interned = Message::default();
        for (number, word) in (1..).zip(WORDS) {
            interned.message(field::interned::EVENT_NAMES, &event_name(number, word));
        }
        let mut packet = Message::default();
        packet
            .number(field::packet::SEQUENCE, SEQUENCE)
            .number(field::packet::SEQUENCE_FLAGS, STATE_CLEARED)
            .message(field::packet::INTERNED_DATA, &interned);
        this.packet(&packet)?;
        Ok(this)
    }

    fn packet(&mut self, packet: &Message) -> io::Result<()> {
        let mut trace = Message::default();
        trace.message(field::TRACE_PACKET, packet);
        self.output.write_all(&trace.0)
    }

    fn describe(&mut self, track: &Message) -> io::Result<()> {
        let mut packet = Message::default();
        packet
            .number(field::packet::SEQUENCE, SEQUENCE)
            .message(field::packet::TRACK_DESCRIPTOR, track);
        self.packet(&packet)
    }

    fn event(&mut self, time: u64, event: &Message) -> io::Result<()> {
        let mut packet = Message::default();
        packet
            .number(field::packet::TIMESTAMP, time.saturating_sub(self.begin))
            .number(field::packet::SEQUENCE, SEQUENCE)
            .number(field::packet::SEQUENCE_FLAGS, NEEDS_STATE)
            .message(field::packet::TRACK_EVENT, event);
        self.packet(&packet)
    }

    fn describe_loop(&mut self, event_loop: u16) -> io::Result<()> {
        if !self.loops.insert(event_loop) {
            return Ok(());
        }
        let process = Track::Process.uuid(event_loop);
        let mut about = Message::default();
        about
            .number(field::process::PID, process_number(self.pid, event_loop))
            .text(field::process::COMMAND_LINE, &self.command)
            .text(field::process::NAME, &format!("loop {event_loop}"));
        let mut track = Message::default();
        track.number(field::track::UUID, process).message(field::track::PROCESS, &about);
        self.describe(&track)?;
        for (kind, name) in [
            (Track::Loop, "loop"),
            (Track::Ready, "ready callbacks"),
            (Track::Tasks, "tasks"),
            (Track::Lag, "lag (ms)"),
        ] {
            let mut track = Message::default();
            track
                .number(field::track::UUID, kind.uuid(event_loop))
                .number(field::track::PARENT, process)
                .text(field::track::NAME, name);
            if !matches!(kind, Track::Loop) {
                track.message(field::track::COUNTER, &Message::default());
            }
            self.describe(&track)?;
        }
        Ok(())
    }

    fn describe_task(&mut self, event_loop: u16, task: u32) -> io::Result<()> {
        self.describe_loop(event_loop)?;
        let Some(name) = self.known.describe(task) else { return Ok(()) };
        let mut track = Message::default();
        track
            .number(field::track::UUID, Track::Task(task).uuid(event_loop))
            .number(field::track::PARENT, Track::Process.uuid(event_loop))
            .text(field::track::NAME, &name);
        self.describe(&track)
    }

    /// The number of a name in events; it is written with the first.
    fn intern(&mut self, number: u32) -> io::Result<u64> {
        let id = FIRST_NAME + u64::from(number);
        if self.interned.insert(number) {
            let text = self.known.text(number).unwrap_or("?");
            let mut interned = Message::default();
            interned.message(field::interned::EVENT_NAMES, &event_name(id, text));
            let mut packet = Message::default();
            packet
                .number(field::packet::SEQUENCE, SEQUENCE)
                .number(field::packet::SEQUENCE_FLAGS, NEEDS_STATE)
                .message(field::packet::INTERNED_DATA, &interned);
            self.packet(&packet)?;
        }
        Ok(id)
    }

    fn end(&mut self, track: u64, time: u64) -> io::Result<()> {
        self.event(time, &bare(Type::End, track))
    }

    fn step(&mut self, step: &Step) -> io::Result<()> {
        self.describe_task(step.event_loop, step.task)?;
        let track = Track::Task(step.task).uuid(step.event_loop);
        let task = self.known.task(step.task);
        let (waits, ended, coroutine, site) =
            (task.waits.take(), task.ended, task.coroutine, task.site);
        let annotations = [("function", self.place(coroutine)), ("created", self.place(site))];
        if waits.is_some() {
            self.end(track, step.ready)?;
        }
        if step.ready < step.begin {
            self.event(step.ready, &named(Type::Begin, track, Word::Ready as u64))?;
            self.end(track, step.begin)?;
        }
        let mut begin = named(Type::Begin, track, Word::Running as u64);
        if step.waker != Actor::Nobody {
            begin.fixed(field::event::LAST_FLOWS, flow(step.task, step.ready));
        }
        let actor = (step.event_loop, Actor::Task(step.task));
        for flow in self.flows.remove(&actor).unwrap_or_default() {
            begin.fixed(field::event::FLOWS, flow);
        }
        for (name, text) in annotations {
            if let Some(text) = text {
                let mut annotation = Message::default();
                annotation.text(field::annotation::NAME, name).text(field::annotation::TEXT, &text);
                begin.message(field::event::ANNOTATIONS, &annotation);
            }
        }
        self.event(step.begin, &begin)?;
        self.end(track, step.end)?;
        if !ended {
            let reason =
                if step.reason == 0 { Word::Waiting as u64 } else { self.intern(step.reason)? };
            self.event(step.end, &named(Type::Begin, track, reason))?;
            self.known.task(step.task).waits = Some((step.end, step.reason));
        }
        Ok(())
    }

    fn place(&self, number: u32) -> Option<String> {
        let name = self.known.name(number)?;
        Some(format!("{} {}:{}", name.text, name.file, name.line))
    }

    fn slice(&mut self, event_loop: u16, record: &Record, name: u64) -> io::Result<()> {
        self.describe_loop(event_loop)?;
        let track = Track::Loop.uuid(event_loop);
        let mut begin = named(Type::Begin, track, name);
        if record.kind == Kind::Callback {
            let actor = (event_loop, Actor::Callback(record.subject));
            for flow in self.flows.remove(&actor).unwrap_or_default() {
                begin.fixed(field::event::FLOWS, flow);
            }
        }
        self.event(record.time, &begin)?;
        self.end(track, record.time + record.nanoseconds())
    }

    fn counter(&mut self, event_loop: u16, track: Track, time: u64, value: u32) -> io::Result<()> {
        let mut event = bare(Type::Counter, track.uuid(event_loop));
        event.number(field::event::COUNTER_VALUE, u64::from(value));
        self.event(time, &event)
    }

    /// Writes the rest.
    pub fn finish(mut self) -> io::Result<W> {
        for step in self.joiner.finish() {
            self.step(&step)?;
        }
        self.output.flush()?;
        Ok(self.output)
    }
}

impl<W: Write> Consumer for PerfettoWriter<W> {
    fn name(&mut self, number: u32, name: &Name) -> io::Result<()> {
        self.known.learn_name(number, name);
        Ok(())
    }

    fn record(&mut self, event_loop: u16, record: &Record) -> io::Result<()> {
        self.known.learn(record);
        if let Some(step) = self.joiner.take(event_loop, record) {
            self.step(&step)?;
        }
        match record.kind {
            Kind::Ready if record.actor() != Actor::Nobody => {
                let flows = self.flows.entry((event_loop, record.actor())).or_default();
                flows.push(flow(record.subject, record.time));
            }
            Kind::Callback => {
                let name = self.intern(record.subject)?;
                self.slice(event_loop, record, name)?;
            }
            Kind::Poll => self.slice(event_loop, record, Word::Poll as u64)?,
            Kind::Gc => self.slice(event_loop, record, Word::Gc as u64)?,
            Kind::GilWait => self.slice(event_loop, record, Word::GilWait as u64)?,
            Kind::Block => self.slice(event_loop, record, Word::Blocked as u64)?,
            Kind::Cancelled => {
                self.describe_task(event_loop, record.subject)?;
                let track = Track::Task(record.subject).uuid(event_loop);
                self.event(record.time, &named(Type::Instant, track, Word::Cancelled as u64))?;
            }
            Kind::Queues => {
                self.describe_loop(event_loop)?;
                self.counter(event_loop, Track::Ready, record.time, record.subject)?;
                self.counter(event_loop, Track::Tasks, record.time, record.detail)?;
            }
            Kind::Lag => {
                self.describe_loop(event_loop)?;
                let mut event = bare(Type::Counter, Track::Lag.uuid(event_loop));
                event.double(field::event::DOUBLE_COUNTER_VALUE, record.nanoseconds() as f64 / 1e6);
                self.event(record.time, &event)?;
            }
            Kind::Short | Kind::Dropped => {
                self.describe_loop(event_loop)?;
                let word = if record.kind == Kind::Short { Word::Short } else { Word::Missing };
                let event = named(Type::Instant, Track::Loop.uuid(event_loop), word as u64);
                self.event(record.time, &event)?;
            }
            Kind::Step
            | Kind::Ready
            | Kind::Wait
            | Kind::Created
            | Kind::Ended
            | Kind::Coroutine
            | Kind::Named
            | Kind::Site => {}
        }
        Ok(())
    }
}
