//! Which tasks are shown, in which order.

use std::cmp::Ordering;

use vivace_see::view::task::Task;

/// What the tasks are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// What computes most comes first.
    #[default]
    Busy,
    /// What is stepped most often.
    Steps,
    /// What had to wait longest to run.
    Delay,
    /// The oldest.
    Age,
    /// By name.
    Name,
    /// By the name of the coroutine.
    Coro,
    /// By state and what is waited for.
    State,
}

impl Sort {
    /// All of them, in the order of the columns.
    pub const ALL: [Self; 7] =
        [Self::Busy, Self::Steps, Self::Delay, Self::State, Self::Age, Self::Name, Self::Coro];

    /// As it is written on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Steps => "steps",
            Self::Delay => "delay",
            Self::Age => "age",
            Self::Name => "task",
            Self::Coro => "coro",
            Self::State => "state",
        }
    }

    /// The reverse of `name`.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.name() == name)
    }

    /// The one after it.
    pub fn next(self) -> Self {
        let place = Self::ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        Self::ALL[(place + 1) % Self::ALL.len()]
    }

    fn compare(self, a: &Task, b: &Task) -> Ordering {
        let greater = |a: f64, b: f64| b.total_cmp(&a);
        match self {
            Self::Busy => greater(a.share, b.share).then(greater(a.busy, b.busy)),
            Self::Steps => greater(a.rate, b.rate).then(b.steps.cmp(&a.steps)),
            Self::Delay => greater(a.delay, b.delay),
            Self::Age => greater(a.age, b.age),
            Self::Name => a.title().cmp(&b.title()),
            Self::Coro => a.coro.cmp(&b.coro),
            Self::State => (&a.state, &a.waits).cmp(&(&b.state, &b.waits)),
        }
    }
}

/// The places of the tasks that match, in order. What blocks its loop is always first.
pub fn arrange(tasks: &[Task], sort: Sort, reverse: bool, filter: &str) -> Vec<usize> {
    let mut places: Vec<usize> = (0..tasks.len())
        .filter(|place| filter.is_empty() || tasks[*place].matches(filter))
        .collect();
    places.sort_by(|a, b| {
        let (a, b) = (&tasks[*a], &tasks[*b]);
        let blocks = |task: &Task| task.state == "blocking";
        let order = sort.compare(a, b);
        let order = if reverse { order.reverse() } else { order };
        blocks(b).cmp(&blocks(a)).then(order).then(a.id.cmp(&b.id))
    });
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_blocks_is_first_and_the_rest_in_order() {
        let task = |id: u64, share: f64, state: &str| Task {
            id,
            share,
            state: state.into(),
            name: format!("t{id}"),
            ..Task::default()
        };
        let tasks = [task(1, 0.1, "waiting"), task(2, 0.5, "ready"), task(3, 0.0, "blocking")];
        assert_eq!(arrange(&tasks, Sort::Busy, false, ""), [2, 1, 0]);
        assert_eq!(arrange(&tasks, Sort::Name, true, ""), [2, 1, 0]);
        assert_eq!(arrange(&tasks, Sort::Name, false, "T2"), [1]);
        assert!(arrange(&tasks, Sort::Name, false, "nothing").is_empty());
    }

    #[test]
    fn every_sort_has_a_name_and_a_next() {
        let mut sort = Sort::Busy;
        for _ in Sort::ALL {
            assert_eq!(Sort::of(sort.name()), Some(sort));
            sort = sort.next();
        }
        assert_eq!(sort, Sort::Busy);
    }
}
