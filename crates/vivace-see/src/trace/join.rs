//! Puts together what belongs to one step: since when it was ready, who woke it, what came next.
//!
//! A task that starts eagerly has its first step inside that of its creator, whose record comes
//! later: steps come in the order of their ends.

use std::collections::HashMap;

use super::record::{Actor, Kind, Record};

/// A step of a task, with what is known around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The loop that it ran on.
    pub event_loop: u16,
    /// Who ran.
    pub task: u32,
    /// Since when it was ready; `begin` if that is not known.
    pub ready: u64,
    /// When it began to run.
    pub begin: u64,
    /// When it stopped.
    pub end: u64,
    /// Who woke it.
    pub waker: Actor,
    /// The name of what it waits for then; 0 if that is not known.
    pub reason: u32,
}

/// When a task was made ready, and by whom.
type Wake = (u64, Actor);

/// A task that makes itself ready has its next wake-up before the record of its step.
#[derive(Clone, Copy, Debug)]
struct Woken {
    first: Wake,
    next: Option<Wake>,
}

/// Who had the steps before, and are still without their next.
#[derive(Debug, Default)]
pub struct Joiner {
    woken: HashMap<u32, Woken>,
    /// The last step of each loop, until the record after it.
    last: Vec<Option<Step>>,
}

impl Joiner {
    /// Takes a record; a step if one is complete by now. A step's `Wait` is the record after it.
    pub fn take(&mut self, event_loop: u16, record: &Record) -> Option<Step> {
        let index = usize::from(event_loop);
        if index >= self.last.len() {
            self.last.resize(index + 1, None);
        }
        let last = &mut self.last[index];
        match record.kind {
            Kind::Wait => {
                if let Some(last) = last.as_mut().filter(|last| last.task == record.subject) {
                    last.reason = record.detail;
                }
            }
            Kind::Ready => {
                let wake = (record.time, record.actor());
                self.woken
                    .entry(record.subject)
                    .and_modify(|woken| woken.next = Some(wake))
                    .or_insert(Woken { first: wake, next: None });
            }
            Kind::Step => {
                let (ready, waker) =
                    wake(&mut self.woken, record).unwrap_or((record.time, Actor::Nobody));
                let step = Step {
                    event_loop,
                    task: record.subject,
                    ready: ready.min(record.time),
                    begin: record.time,
                    end: record.time + record.nanoseconds(),
                    waker,
                    reason: 0,
                };
                return last.replace(step);
            }
            Kind::Ended => {
                // A task that ended while it was queued, by a cancellation.
                self.woken.remove(&record.subject);
            }
            _ => {}
        }
        last.take()
    }

    /// The last steps.
    pub fn finish(&mut self) -> Vec<Step> {
        self.last.drain(..).flatten().collect()
    }
}

/// What woke the task for a step.
fn wake(tasks: &mut HashMap<u32, Woken>, step: &Record) -> Option<Wake> {
    let woken = tasks.remove(&step.subject)?;
    if woken.first.0 > step.time {
        // It happened inside the step, of whose own wake-up nothing is known.
        tasks.insert(step.subject, woken);
        return None;
    }
    if let Some(next) = woken.next {
        tasks.insert(step.subject, Woken { first: next, next: None });
    }
    Some(woken.first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_may_make_itself_ready() {
        let mut joiner = Joiner::default();
        let records = [
            Record::new(Kind::Ready, 12, 1, Actor::Task(1).bits()),
            Record::slice(Kind::Step, 10, 13, 1),
            Record::new(Kind::Ready, 21, 1, Actor::Task(1).bits()),
            Record::slice(Kind::Step, 20, 23, 1),
            Record::slice(Kind::Step, 30, 33, 1),
        ];
        let mut steps: Vec<_> =
            records.iter().filter_map(|record| joiner.take(0, record)).collect();
        steps.extend(joiner.finish());
        let ready: Vec<_> = steps.iter().map(|step| (step.ready, step.begin)).collect();
        assert_eq!(ready, [(10, 10), (12, 20), (21, 30)]);
    }

    #[test]
    fn a_step_knows_who_woke_it_and_what_it_waits_for() {
        let mut joiner = Joiner::default();
        let records = [
            Record::new(Kind::Ready, 10, 1, Actor::Task(2).bits()),
            Record::slice(Kind::Step, 15, 18, 1),
            Record::new(Kind::Wait, 18, 1, 99),
            Record::slice(Kind::Step, 30, 31, 1),
            Record::new(Kind::Queues, 31, 0, 0),
        ];
        let steps: Vec<_> = records.iter().filter_map(|record| joiner.take(0, record)).collect();
        let known = Step {
            event_loop: 0,
            task: 1,
            ready: 10,
            begin: 15,
            end: 18,
            waker: Actor::Task(2),
            reason: 99,
        };
        let unknown =
            Step { ready: 30, begin: 30, end: 31, waker: Actor::Nobody, reason: 0, ..known };
        assert_eq!(steps, [known, unknown]);
        assert!(joiner.finish().is_empty());
    }
}
