//! One loop of another process, from its counters.

use serde::Serialize;

use super::task::Task;
use crate::live::{Kind, Phase, Scale, word};

/// See the module.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EventLoop {
    /// Its number in the process.
    pub number: usize,
    /// `running`, `polling`, `waiting for the GIL`, `not running`.
    pub phase: &'static str,
    /// What runs: `task`, `handle`, `timer`, `callback`, `connection`, `listener`, or nothing.
    pub current: &'static str,
    /// The number of the task that runs; 0 if none does.
    pub task: u64,
    /// Seconds for which it has run, or for which the loop has waited for the GIL.
    pub running_for: f64,
    /// The share of the time in which callbacks ran, lately; and so for the next two.
    pub utilisation: f64,
    /// The share in which it waited for the GIL.
    pub gil_wait: f64,
    /// The share in which the garbage collector ran.
    pub gc: f64,
    /// Steps of tasks a second, lately.
    pub steps: f64,
    /// How many callbacks were ready when its turn began.
    pub ready: u64,
    /// How many timers it holds.
    pub timers: u64,
    /// Seconds between ready and run, lately: the half was quicker.
    pub delay_p50: f64,
    /// The same, for 99 of 100.
    pub delay_p99: f64,
    /// The same, since it began.
    pub delay_max: f64,
    /// How many steps these are of.
    pub delay_count: u64,
    /// How many tasks were made, since it began.
    pub created: u64,
    /// How many ended.
    pub ended: u64,
    /// How many of these failed.
    pub failed: u64,
    /// How often it was blocked, since it began.
    pub blocks: u64,
    /// The longest, in seconds.
    pub longest_block: f64,
    /// Seconds of all of them.
    pub block_sum: f64,
}

/// What runs longer than this blocks the loop, whatever the process itself takes for blocked.
pub const BLOCKED: f64 = 0.1;

impl EventLoop {
    /// `words` are its page, `old` what that was at `before`.
    pub fn of(
        number: usize,
        words: &[u64],
        old: Option<&[u64]>,
        now: u64,
        before: Option<u64>,
    ) -> Self {
        let at = |place: usize| words.get(place).copied().unwrap_or(0);
        let since = |place: usize| {
            at(place).saturating_sub(old.and_then(|old| old.get(place)).copied().unwrap_or(0))
        };
        let scale = scale(words);
        let phase = Phase::of(at(word::PHASE));
        let kind = Kind::of(at(word::KIND));
        let begin = scale.clock(at(word::BEGIN));
        let runs = match phase {
            Phase::Running => kind != Kind::Nothing,
            Phase::WaitingForGil => true,
            _ => false,
        };
        let accounted = [word::BUSY, word::IDLE, word::GIL_WAIT]
            .into_iter()
            .fold(0_u64, |sum, place| sum.saturating_add(since(place)));
        // What runs now is added to the sums when it ends.
        let running = if runs { now.saturating_sub(begin) } else { 0 };
        let passed = match (old, before) {
            (Some(_), Some(before)) => now.saturating_sub(before),
            _ => accounted.saturating_add(running),
        };
        let share = |nanoseconds: u64| match passed {
            0 => 0.0,
            _ => (nanoseconds as f64 / passed as f64).clamp(0.0, 1.0),
        };
        let (busy, gil_wait) = match phase {
            Phase::WaitingForGil => (0, running.min(passed)),
            _ => (running.min(passed), 0),
        };
        let delays: Vec<u64> =
            (0..word::BUCKETS).map(|bucket| since(word::DELAYS + bucket)).collect();
        let all: Vec<u64> = (0..word::BUCKETS).map(|bucket| at(word::DELAYS + bucket)).collect();
        Self {
            number,
            phase: match phase {
                Phase::NotRunning => "not running",
                Phase::Polling => "polling",
                Phase::WaitingForGil => "waiting for the GIL",
                Phase::Running => "running",
            },
            current: match kind {
                _ if !runs => "",
                Kind::Nothing => "",
                Kind::Step => "task",
                Kind::Handle => "handle",
                Kind::Timer => "timer",
                Kind::Callback => "callback",
                Kind::Stream => "connection",
                Kind::Listener => "listener",
                Kind::Tick => "diagnostics",
            },
            task: if runs { at(word::TASK) } else { 0 },
            running_for: running as f64 / 1e9,
            utilisation: share(since(word::BUSY).saturating_add(busy)),
            gil_wait: share(since(word::GIL_WAIT).saturating_add(gil_wait)),
            gc: share(since(word::GC)),
            steps: match passed {
                0 => 0.0,
                _ => since(word::STEPS) as f64 * 1e9 / passed as f64,
            },
            ready: at(word::READY),
            timers: at(word::TIMERS),
            delay_p50: quantile(&delays, 0.5),
            delay_p99: quantile(&delays, 0.99),
            delay_max: quantile(&all, 1.0),
            delay_count: delays.iter().fold(0, |sum, count| sum.saturating_add(*count)),
            created: at(word::CREATED),
            ended: [word::ENDED_OK, word::ENDED_ERROR, word::ENDED_CANCELLED]
                .into_iter()
                .fold(0, |sum, place| sum.saturating_add(at(place))),
            failed: at(word::ENDED_ERROR),
            blocks: (0..8).fold(0, |sum, cause| sum.saturating_add(at(word::BLOCKS + cause))),
            longest_block: at(word::BLOCK_LONGEST) as f64 / 1e9,
            block_sum: at(word::BLOCK_SUM) as f64 / 1e9,
        }
    }

    /// Whether it stands still: something runs, or keeps the GIL, for too long.
    pub fn is_blocked(&self) -> bool {
        self.running_for >= BLOCKED
    }

    /// Says of the task that runs now that it does.
    pub(super) fn mark_running(&self, tasks: &mut [Task]) {
        for task in tasks.iter_mut().filter(|task| task.event_loop == self.number) {
            if self.task != 0 && task.id == self.task {
                task.state = if self.is_blocked() { "blocking" } else { "running" }.into();
                if self.is_blocked() {
                    task.share = 1.0;
                }
            } else if task.state == "running" {
                task.state = "waiting".into();
            }
        }
    }
}

fn scale(words: &[u64]) -> Scale {
    let at = |place: usize| words.get(place).copied().unwrap_or(0);
    Scale {
        factor: at(word::CLOCK_SCALE),
        ticks: at(word::CLOCK_TICKS),
        nanoseconds: at(word::CLOCK_NANOSECONDS),
    }
}

/// The last time that the page tells of, of CLOCK_MONOTONIC.
pub(super) fn last_sign(words: &[u64]) -> u64 {
    match words.get(word::BEGIN) {
        None | Some(0) => 0,
        Some(begin) => scale(words).clock(*begin),
    }
}

/// The value, in seconds, that a share of what was counted does not exceed. Buckets are powers of
/// two; the answer is the upper end of one.
fn quantile(buckets: &[u64], share: f64) -> f64 {
    let sum = buckets.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
    let wanted = (sum as f64 * share).ceil() as u64;
    let mut seen = 0_u64;
    for (bucket, count) in buckets.iter().enumerate() {
        seen = seen.saturating_add(*count);
        if *count > 0 && seen >= wanted {
            return 2_f64.powi(bucket as i32) / 1e9;
        }
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(pairs: &[(usize, u64)]) -> Vec<u64> {
        let mut words = vec![0; crate::live::WORDS];
        words[word::CLOCK_SCALE] = 1 << 32;
        for (place, value) in pairs {
            words[*place] = *value;
        }
        words
    }

    #[test]
    fn what_runs_for_long_blocks() {
        let page = words(&[(word::PHASE, 3), (word::KIND, 1), (word::TASK, 7), (word::BEGIN, 100)]);
        let seen = EventLoop::of(0, &page, None, 300_000_100, None);
        assert!(seen.is_blocked() && seen.task == 7 && seen.current == "task");
        assert!((seen.running_for - 0.3).abs() < 1e-9);
        assert!((seen.utilisation - 1.0).abs() < 1e-9);
        let mut tasks = [
            Task { id: 7, state: "waiting".into(), ..Task::default() },
            Task { id: 8, state: "running".into(), ..Task::default() },
        ];
        seen.mark_running(&mut tasks);
        assert_eq!([&tasks[0].state, &tasks[1].state], ["blocking", "waiting"]);
    }

    #[test]
    fn shares_are_those_of_the_time_between() {
        let old = words(&[(word::BUSY, 100), (word::STEPS, 5)]);
        let new = words(&[(word::PHASE, 1), (word::BUSY, 350), (word::STEPS, 10), (word::GC, 100)]);
        let seen = EventLoop::of(0, &new, Some(&old), 1_000_001_000, Some(1_000_000_000));
        assert!((seen.utilisation - 0.25).abs() < 1e-9 && (seen.gc - 0.1).abs() < 1e-9);
        assert!((seen.steps - 5e6).abs() < 1.0 && seen.running_for == 0.0);
    }

    #[test]
    fn quantiles_are_ends_of_buckets() {
        let mut buckets = vec![0; 64];
        buckets[10] = 98;
        buckets[20] = 2;
        assert_eq!(quantile(&buckets, 0.5), 1024.0 / 1e9);
        assert_eq!(quantile(&buckets, 0.99), 1_048_576.0 / 1e9);
        assert_eq!(quantile(&[], 0.5), 0.0);
        assert!(quantile(&[u64::MAX; 64], 0.5) > 0.0);
    }

    #[test]
    fn any_words_are_taken() {
        arbtest::arbtest(|source| {
            let words: Vec<u64> =
                (0..crate::live::WORDS).map(|_| source.arbitrary()).collect::<Result<_, _>>()?;
            let _seen = EventLoop::of(0, &words, Some(&words), source.arbitrary()?, Some(1));
            let _sign = last_sign(&words);
            Ok(())
        })
        .budget_ms(300);
    }
}
