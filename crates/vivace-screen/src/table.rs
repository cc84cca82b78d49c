//! The columns of the list of tasks, and which of them there is room for.

use vivace_see::view::task::Task;
use vivace_see::view::words;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// `!` before what blocks its loop.
    Mark,
    Busy,
    Steps,
    Delay,
    State,
    Age,
    Name,
    Coro,
    Doing,
}

impl Column {
    /// All of them, in the order of the screen.
    pub(crate) const ALL: [Self; 9] = [
        Self::Mark,
        Self::Busy,
        Self::Steps,
        Self::Delay,
        Self::State,
        Self::Age,
        Self::Name,
        Self::Coro,
        Self::Doing,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Mark => "",
            Self::Busy => "BUSY%",
            Self::Steps => "STEPS/s",
            Self::Delay => "DELAY",
            Self::State => "STATE",
            Self::Age => "AGE",
            Self::Name => "TASK",
            Self::Coro => "CORO",
            Self::Doing => "WAITING FOR / LAST LINE",
        }
    }

    /// How wide it is; the last one takes what is left.
    fn width(self) -> u16 {
        match self {
            Self::Mark => 1,
            Self::Busy => 5,
            Self::Steps => 7,
            Self::Delay => 6,
            Self::State => 14,
            Self::Age => 5,
            Self::Name => 16,
            Self::Coro => 24,
            Self::Doing => 24,
        }
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Busy | Self::Steps | Self::Delay | Self::Age)
    }

    pub(crate) fn cell(self, task: &Task) -> String {
        match self {
            Self::Mark => if task.state == "blocking" { "!" } else { "" }.into(),
            Self::Busy => format!("{:.1}", task.share * 100.0),
            Self::Steps => match task.rate {
                rate if rate < 0.05 => "0".into(),
                rate if rate < 9.95 => format!("{rate:.1}"),
                rate => format!("{rate:.0}"),
            },
            Self::Delay => words::duration(task.delay),
            Self::State => state(task),
            Self::Age => words::duration(task.age),
            Self::Name => task.title(),
            Self::Coro => words::shown(&task.coro),
            Self::Doing => match (task.doing(), task.place()) {
                (doing, place) if doing.is_empty() => place,
                (doing, place) if place.is_empty() => doing,
                (doing, place) => format!("{doing}  {place}"),
            },
        }
    }
}

fn state(task: &Task) -> String {
    match task.state.as_str() {
        "blocking" => "BLOCKING".into(),
        "waiting" if !task.kind.is_empty() => format!("wait {}", words::shown(&task.kind)),
        "waiting" => "wait".into(),
        other => words::shown(other),
    }
}

/// The columns for a terminal of this width, with their widths. What says least goes first.
pub(crate) fn columns(width: u16) -> Vec<(Column, u16)> {
    let mut columns = Column::ALL.to_vec();
    let needed =
        |columns: &[Column]| columns.iter().map(|column| column.width() + 1).sum::<u16>() - 1;
    for column in [Column::Delay, Column::Steps, Column::Coro, Column::Age, Column::State] {
        if needed(&columns) > width {
            columns.retain(|kept| *kept != column);
        }
    }
    let fixed: u16 = columns.iter().take(columns.len() - 1).map(|column| column.width() + 1).sum();
    let rest = width.saturating_sub(fixed);
    // Names and coroutines share in what a wide terminal has to give.
    let spare = rest.saturating_sub(60) / 2;
    columns
        .into_iter()
        .map(|column| match column {
            Column::Doing => (column, rest.saturating_sub(spare)),
            Column::Coro => (column, column.width() + spare.div_ceil(2)),
            Column::Name => (column, column.width() + spare / 2),
            _ => (column, column.width()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_whatever_the_width() {
        for width in 0..300_u16 {
            let columns = columns(width);
            assert_eq!(columns.last().map(|last| last.0), Some(Column::Doing));
            let used: u16 = columns.iter().map(|(_, width)| width + 1).sum::<u16>() - 1;
            assert!(used <= width.max(25), "{width}: {columns:?}");
        }
        assert_eq!(columns(120).len(), 9);
        assert!(columns(80).len() >= 6, "{:?}", columns(80));
    }
}
