//! All numbers at one moment: of one process, or of several put together.

use super::health::Readiness;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What is known of one process or more at a moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The processes that serve.
    pub processes: Vec<Process>,
    /// The metrics, in the order in which they are shown.
    pub families: Vec<Family>,
}

/// The health of one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Whether it should be sent requests.
    pub readiness: Readiness,
    /// For how many seconds its loop has not turned; `None` before it has ever.
    pub heartbeat_age: Option<f64>,
}

/// One metric: samples of the same name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Family {
    /// The name, with its unit, and with `_total` if it is a counter.
    pub name: String,
    /// One sentence.
    pub help: String,
    /// What its samples mean.
    pub kind: Kind,
    /// Each with other labels.
    pub samples: Vec<Sample>,
}

/// What the samples of a family mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Only ever rises; those of several processes are added.
    Counter,
    /// Goes up and down. What cannot be added over processes has a label `pid` that tells them
    /// apart.
    Gauge,
    /// How values are distributed; those of several processes are added.
    Histogram,
}

/// A value with its labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Names and values, always in the same order.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: Value,
}

/// The value of a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// A whole number.
    Whole(u64),
    /// Any other; it is finite.
    Number(f64),
    /// How many values fell into each bucket: up to each bound, and above the last.
    Histogram {
        /// Upper bounds, ascending.
        bounds: Vec<f64>,
        /// One more than bounds; each for its bucket alone.
        counts: Vec<u64>,
        /// The sum of all values.
        sum: f64,
    },
}

impl Family {
    /// A family without samples.
    #[must_use]
    pub fn new(kind: Kind, name: &str, help: &str) -> Self {
        Self { name: name.to_owned(), help: help.to_owned(), kind, samples: Vec::new() }
    }

    /// With one more sample. A number that is not finite is left out.
    #[must_use]
    pub fn with(mut self, labels: &[(&str, &str)], value: Value) -> Self {
        self.push(labels, value);
        self
    }

    /// Adds a sample. A number that is not finite is left out.
    pub fn push(&mut self, labels: &[(&str, &str)], value: Value) {
        if matches!(value, Value::Number(number) if !number.is_finite()) {
            return;
        }
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        self.samples.push(Sample { labels: labels.iter().map(owned).collect(), value });
    }
}

impl Snapshot {
    /// Adds the numbers of other processes: samples of the same labels are summed, the others stand
    /// side by side.
    pub fn merge(&mut self, other: Self) {
        self.processes.extend(other.processes);
        for family in other.families {
            match self.families.iter_mut().find(|own| own.name == family.name) {
                Some(own) => own.merge(family),
                None => self.families.push(family),
            }
        }
    }

    /// What remains of a process that has ended: that which only ever rises.
    #[must_use]
    pub(super) fn into_retired(mut self) -> Self {
        self.processes.clear();
        self.families.retain(|family| family.kind != Kind::Gauge);
        self
    }
}

impl Family {
    fn merge(&mut self, other: Self) {
        let places: HashMap<_, _> = self
            .samples
            .iter()
            .enumerate()
            .map(|(place, sample)| (sample.labels.clone(), place))
            .collect();
        for sample in other.samples {
            match places.get(&sample.labels) {
                Some(&place) if self.kind == other.kind => {
                    self.samples[place].value.add(sample.value);
                }
                _ => self.samples.push(sample),
            }
        }
    }
}

impl Value {
    /// Adds another value. Values that do not fit stay as they are: both processes run the same
    /// program, so there are none.
    fn add(&mut self, other: Self) {
        match (self, other) {
            (Self::Whole(own), Self::Whole(more)) => *own = own.saturating_add(more),
            (Self::Number(own), Self::Number(more)) => *own += more,
            (
                Self::Histogram { bounds, counts, sum },
                Self::Histogram { bounds: other_bounds, counts: more, sum: more_sum },
            ) if *bounds == other_bounds && counts.len() == more.len() => {
                for (own, more) in counts.iter_mut().zip(more) {
                    *own = own.saturating_add(more);
                }
                *sum += more_sum;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_process(pid: u32, count: u64) -> Snapshot {
        let pid_text = pid.to_string();
        let histogram =
            Value::Histogram { bounds: vec![0.5], counts: vec![count, 1], sum: count as f64 };
        Snapshot {
            processes: vec![Process { pid, readiness: Readiness::Ready, heartbeat_age: None }],
            families: vec![
                Family::new(Kind::Counter, "c_total", "C.")
                    .with(&[("a", "x")], Value::Whole(count))
                    .with(&[("a", &format!("only {pid}"))], Value::Whole(1)),
                Family::new(Kind::Gauge, "g", "G.")
                    .with(&[("pid", &pid_text)], Value::Whole(count)),
                Family::new(Kind::Histogram, "h_seconds", "H.").with(&[], histogram),
            ],
        }
    }

    #[test]
    fn what_rises_is_added_and_gauges_stand_side_by_side() {
        let mut all = Snapshot::default();
        all.merge(of_process(1, 10).into_retired());
        all.merge(of_process(2, 20));
        all.merge(of_process(3, 30));
        let pids: Vec<_> = all.processes.iter().map(|process| process.pid).collect();
        assert_eq!(pids, [2, 3]);
        let samples = |name: &str| {
            let family = all.families.iter().find(|family| family.name == name);
            family.expect("a family").samples.clone()
        };
        let row = |name: &str, (label, value): (&str, &str)| {
            let labels = [(label.to_owned(), value.to_owned())];
            let mut found: Vec<_> = samples(name);
            found.retain(|sample| sample.labels == labels);
            assert_eq!(found.len(), 1, "{labels:?}");
            found[0].value.clone()
        };
        assert_eq!(row("c_total", ("a", "x")), Value::Whole(60));
        assert_eq!(row("c_total", ("a", "only 1")), Value::Whole(1));
        assert_eq!(samples("c_total").len(), 4);
        assert_eq!(row("g", ("pid", "2")), Value::Whole(20));
        assert_eq!(row("g", ("pid", "3")), Value::Whole(30));
        assert_eq!(samples("g").len(), 2);
        assert_eq!(
            samples("h_seconds")[0].value,
            Value::Histogram { bounds: vec![0.5], counts: vec![60, 3], sum: 60.0 }
        );
    }

    #[test]
    fn a_snapshot_survives_the_way_to_another_process() {
        let snapshot = of_process(7, u64::MAX);
        let sent = serde_json::to_vec(&snapshot).expect("JSON");
        assert_eq!(serde_json::from_slice::<Snapshot>(&sent).expect("a snapshot"), snapshot);
    }

    #[test]
    fn numbers_that_are_none_are_left_out() {
        let family = Family::new(Kind::Gauge, "g", "G.")
            .with(&[], Value::Number(f64::NAN))
            .with(&[], Value::Number(f64::INFINITY))
            .with(&[], Value::Number(1.5));
        assert_eq!(family.samples.len(), 1);
    }
}
