//! One screen.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table, TableState, Wrap};
use vivace_see::ring::places::Life;
use vivace_see::view::event_loop::EventLoop;
use vivace_see::view::{View, words};

use crate::app::{App, Screen};
use crate::{summary, table};

const HELP: &[&str] = &[
    "q, Ctrl-C    quit                        enter      the task that is marked",
    "t            as a tree, and back         d          what is wrong (doctor)",
    "/            only tasks that have a word s          sort by the next column",
    "r            the other way round         space      stand still",
    "c            cancel the task (if allowed) esc       back",
    "up, down, PgUp, PgDn, Home, End (k, j, g, G)",
    "",
    "BUSY%    share of the time in which the task computed, lately",
    "STEPS/s  how often it was resumed",
    "DELAY    the longest that it was ready and did not run",
    "STATE    run, ready, wait and what for; BLOCKING: it keeps the loop from everything else",
    "",
    "All of it is read from a file that the process keeps, without its help. The counters are",
    "of this moment; the tasks are as old as the screen says.",
];

/// How many rows of a list there is room for.
pub(crate) fn page(height: u16) -> usize {
    usize::from(height.saturating_sub(7)).max(1)
}

pub(crate) fn draw(frame: &mut Frame<'_>, app: &mut App) {
    let area = frame.area();
    if area.width < 20 || area.height < 4 {
        frame.render_widget(Paragraph::new("too small"), area);
        return;
    }
    if app.screen == Screen::Pick {
        return pick(frame, app, area);
    }
    let Some(view) = &app.view else {
        frame.render_widget(Paragraph::new(app.message.clone()), area);
        return;
    };
    let head = head(app, view);
    let height = (head.len() as u16).min(area.height / 2);
    let [top, body, foot] =
        Layout::vertical([Constraint::Length(height), Constraint::Min(1), Constraint::Length(1)])
            .areas(area);
    frame.render_widget(Paragraph::new(head), top);
    frame.render_widget(Paragraph::new(footer(app)), foot);
    match app.screen {
        Screen::Doctor => text(frame, body, "doctor", app.diagnosis(), &mut app.scroll),
        Screen::Help => {
            let lines = HELP.iter().map(|line| (*line).to_owned()).collect();
            text(frame, body, "keys", lines, &mut app.scroll);
        }
        Screen::Detail => {
            let lines = detail(app);
            text(frame, body, "task", lines, &mut app.scroll);
        }
        Screen::Tasks | Screen::Tree | Screen::Pick => tasks(frame, app, body),
    }
}

fn coloured(app: &App, colour: Color) -> Style {
    if app.options.colour { Style::new().fg(colour) } else { Style::new() }
}

fn head<'a>(app: &App, view: &View) -> Vec<Line<'a>> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let red = coloured(app, Color::Red).add_modifier(Modifier::BOLD);
    let mut lines = vec![Line::from(vec![
        Span::styled("vivace top", bold),
        Span::raw(format!(
            " - pid {}  {}  up {}  py{}",
            view.pid,
            view.command(),
            words::duration(view.uptime),
            words::shown(&view.python)
        )),
    ])];
    match view.state {
        "stopped" => lines.push(Line::styled("the process is STOPPED (SIGSTOP)", red)),
        "dead" | "reused" => {
            lines.push(Line::styled("the process is DEAD: this is what it was at its end", red));
        }
        _ => {}
    }
    for event_loop in &view.loops {
        lines.push(loop_line(event_loop));
        if event_loop.is_blocked() && view.is_alive() {
            let by = match view.task(event_loop.task) {
                Some(task) => format!("{} {}", task.title(), words::shown(&task.coro)),
                None if event_loop.current.is_empty() => event_loop.phase.to_owned(),
                None => format!("a {}", event_loop.current),
            };
            let time = words::duration(event_loop.running_for);
            let text = format!("loop {} BLOCKED for {time}: {by}", event_loop.number);
            lines.push(Line::styled(text, red));
        }
    }
    lines.push(tasks_line(view));
    lines
}

fn loop_line<'a>(of: &EventLoop) -> Line<'a> {
    Line::raw(format!("loop {} {}  {}", of.number, of.phase, summary::numbers(of)))
}

fn tasks_line<'a>(view: &View) -> Line<'a> {
    let of = |states: &[&str]| {
        view.tasks.iter().filter(|task| states.contains(&task.state.as_str())).count()
    };
    let mut text = format!(
        "tasks {} (run {}, ready {}, wait {})",
        view.tasks.len() as u64 + view.left_out,
        of(&["running", "blocking"]),
        of(&["ready", "new"]),
        of(&["waiting"]),
    );
    match view.snapshot_age {
        Some(age) => text.push_str(&format!(" {} ago", words::duration(age))),
        None => text.push_str(", not written down yet"),
    }
    if view.descriptors > 0 {
        text.push_str(&format!(
            "  fds {}  threads {}  mem {}",
            view.descriptors,
            view.threads,
            words::size(view.resident)
        ));
    }
    if let Some(findings) = summary::findings(view) {
        text.push_str(&format!("  {findings}"));
    }
    Line::raw(text)
}

fn footer<'a>(app: &App) -> Line<'a> {
    let strong = Style::new().add_modifier(Modifier::REVERSED);
    if app.typing {
        return Line::styled(format!("/{}_", words::shown(&app.options.filter)), strong);
    }
    if !app.message.is_empty() {
        return Line::styled(words::shown(&app.message), strong);
    }
    let mut text = match app.screen {
        Screen::Pick => "q quit  enter look at it".to_owned(),
        Screen::Tasks | Screen::Tree => {
            "q quit  enter task  t tree  / filter  s sort  r reverse  d doctor  ? keys".to_owned()
        }
        _ => "q quit  esc back".to_owned(),
    };
    if app.paused {
        text.push_str("  [STANDS STILL]");
    }
    if !app.options.filter.is_empty() {
        text.push_str(&format!("  [/{}]", words::shown(&app.options.filter)));
    }
    Line::styled(text, Style::new().add_modifier(Modifier::DIM))
}

fn tasks(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let Some(view) = &app.view else { return };
    let columns = table::columns(area.width);
    let sorted = app.options.sort.name().to_uppercase();
    let title = columns.iter().map(|(column, _)| {
        let mut style = Style::new().add_modifier(Modifier::BOLD);
        let sorts = column.title().starts_with(&sorted) && app.screen == Screen::Tasks;
        if sorts {
            style = style.add_modifier(Modifier::UNDERLINED);
        }
        cell(column.title().to_owned(), column.is_number()).style(style)
    });
    // Only what is on the screen is made into rows.
    let height = usize::from(area.height.saturating_sub(1)).max(1);
    let first = (app.marked + 1).saturating_sub(height);
    let rows = app.rows.iter().enumerate().skip(first).take(height).map(|(place, row)| {
        let task = &view.tasks[*row];
        let cells = columns.iter().map(|(column, _)| {
            let mut text = column.cell(task);
            if let (table::Column::Name, Some(branch)) = (column, app.branches.get(place)) {
                text.insert_str(0, branch);
            }
            cell(text, column.is_number())
        });
        let style = match task.state.as_str() {
            "blocking" => coloured(app, Color::Red).add_modifier(Modifier::BOLD),
            "running" => coloured(app, Color::Green),
            "ready" | "new" => coloured(app, Color::Yellow),
            _ if task.cycle => coloured(app, Color::Magenta).add_modifier(Modifier::BOLD),
            _ => Style::new(),
        };
        Row::new(cells).style(style)
    });
    let widths = columns.iter().map(|(_, width)| Constraint::Length(*width));
    let table = Table::new(rows, widths)
        .header(Row::new(title))
        .column_spacing(1)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new();
    if !app.rows.is_empty() {
        state.select(Some(app.marked - first));
    }
    frame.render_stateful_widget(table, area, &mut state);
}

fn cell<'a>(text: String, right: bool) -> Cell<'a> {
    let line = Line::raw(text);
    Cell::new(if right { line.alignment(Alignment::Right) } else { line })
}

fn text(frame: &mut Frame<'_>, area: Rect, title: &str, lines: Vec<String>, scroll: &mut usize) {
    let height = usize::from(area.height.saturating_sub(1));
    *scroll = (*scroll).min(lines.len().saturating_sub(height));
    let lines: Vec<Line<'_>> = lines.into_iter().map(Line::raw).collect();
    let block = Block::new()
        .title(Line::styled(title.to_uppercase(), Style::new().add_modifier(Modifier::BOLD)));
    let scrolled = u16::try_from(*scroll).unwrap_or(u16::MAX);
    let text = Paragraph::new(lines).wrap(Wrap { trim: false }).block(block);
    frame.render_widget(text.scroll((scrolled, 0)), area);
}

fn detail(app: &App) -> Vec<String> {
    let (Some(view), Some(task)) = (&app.view, app.task()) else {
        return vec!["this task has ended".to_owned()];
    };
    let name_of = |id: u64| match view.task(id) {
        Some(task) => format!("{} {}", task.title(), words::shown(&task.coro)),
        None => format!("task number {id}, which has ended"),
    };
    let mut lines = vec![
        format!("name      {}", words::shown(&task.name)),
        format!("coroutine {}", words::shown(&task.coro)),
        format!("state     {}", words::shown(&task.state)),
        format!("at        {}:{}", words::shown(&task.file), task.line),
        format!("in        {}", words::shown(&task.function)),
    ];
    if !task.waits.is_empty() {
        lines.push(format!("waits for {}", task.doing()));
    }
    if !task.request.is_empty() {
        lines.push(format!("request   {}", words::shown(&task.request)));
    }
    for id in &task.awaits {
        lines.push(format!("awaits    {}", name_of(*id)));
    }
    for other in view.tasks.iter().filter(|other| other.awaits.contains(&task.id)) {
        lines.push(format!("awaited   by {} {}", other.title(), words::shown(&other.coro)));
    }
    if task.parent != 0 {
        lines.push(format!("made by   {}", name_of(task.parent)));
    }
    lines.push(format!("age       {}", words::duration(task.age)));
    lines.push(format!(
        "computed  {} in {} steps ({} lately, {:.1} steps/s)",
        words::duration(task.busy),
        task.steps,
        words::share(task.share),
        task.rate
    ));
    lines.push(format!("delay     {} at most between ready and run", words::duration(task.delay)));
    lines.push(format!("loop      {}", task.event_loop));
    for finding in &view.findings {
        if finding["task"]["name"].as_str() == Some(&task.name) {
            let part = |key: &str| words::shown(finding[key].as_str().unwrap_or_default());
            lines.push(format!("finding   {} {} {}", part("code"), part("name"), part("title")));
        }
    }
    lines
}

fn pick(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let [top, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)])
            .areas(area);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let title = format!("vivace top - processes in {}", app.options.folder.display());
    frame.render_widget(Paragraph::new(Line::styled(words::shown(&title), bold)), top);
    frame.render_widget(Paragraph::new(footer(app)), foot);
    if app.processes.is_empty() {
        let text = "no process runs a loop of vivace (of this user, and with diagnostics on)";
        frame.render_widget(Paragraph::new(text), body);
        return;
    }
    let rows = app.processes.iter().map(|entry| {
        let state = match entry.life {
            Life::Running => "runs",
            Life::Stopped => "stopped",
            Life::Dead | Life::Reused => "dead",
        };
        Row::new([
            entry.about.pid.to_string(),
            state.to_owned(),
            words::shown(&entry.about.python),
            words::command(&entry.about.argv),
        ])
    });
    let widths =
        [Constraint::Length(8), Constraint::Length(8), Constraint::Length(8), Constraint::Min(10)];
    let table = Table::new(rows, widths)
        .header(Row::new(["PID", "STATE", "PYTHON", "COMMAND"]).style(bold))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(Some(app.marked));
    frame.render_stateful_widget(table, body, &mut state);
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    use vivace_see::view::find::Found;
    use vivace_see::view::task::Task;

    use super::*;
    use crate::app::Options;
    use crate::order::Sort;

    fn app() -> App {
        let options = Options {
            folder: PathBuf::from("/nonexistent"),
            sort: Sort::Name,
            filter: String::new(),
            colour: false,
            interval: 1.0,
        };
        let mut app = App::new(options, None);
        app.screen = Screen::Tasks;
        let task = |id: u64, name: &str, waits: &str| Task {
            id,
            name: name.into(),
            coro: "worker".into(),
            state: "waiting".into(),
            kind: "Lock".into(),
            waits: waits.into(),
            file: "/srv/app/q.py".into(),
            line: 14,
            ..Task::default()
        };
        let mut parent =
            task(1, "Task-1 \u{1b}[31m漢字漢字漢字漢字漢字漢字漢字", "gather, 1 of 1 left");
        parent.awaits = vec![2];
        let tasks = vec![parent, task(2, "<b>child</b>", "Lock \"b\"")];
        app.show(View {
            pid: 4711,
            state: "running",
            argv: vec!["/usr/bin/python".into(), "app.py".into()],
            python: "3.13".into(),
            vivace: "0.1".into(),
            uptime: 11_520.0,
            threads: 3,
            descriptors: 12,
            resident: 31 << 20,
            control: false,
            loops: vec![EventLoop { phase: "polling", ..EventLoop::default() }],
            snapshot_age: Some(0.4),
            left_out: 3,
            tasks,
            finding_count: 0,
            findings: Vec::new(),
            finding_ages: Vec::new(),
            life: Life::Running,
        });
        app
    }

    fn screen(app: &mut App, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("in memory");
        terminal.draw(|frame| draw(frame, app)).expect("in memory");
        terminal.backend().to_string()
    }

    fn find(_pid: u32, _folder: &Path) -> Result<Found, String> {
        Err("no such process".into())
    }

    fn press(app: &mut App, code: KeyCode) {
        app.press(KeyEvent::new(code, KeyModifiers::NONE), 10, find);
    }

    #[test]
    fn tasks_are_listed_and_steer_no_terminal() {
        let text = screen(&mut app(), 120, 12);
        assert!(text.contains("pid 4711  python app.py  up 3h12"), "{text}");
        assert!(text.contains("tasks 5 (run 0, ready 0, wait 2) 400ms ago"), "{text}");
        assert!(text.contains("wait Lock"), "{text}");
        assert!(text.contains("Lock \"b\"  app/q.py:14"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn any_size_of_terminal_is_drawn() {
        for code in ['t', 'd', '?'] {
            for width in 1..130 {
                for height in [1, 2, 3, 4, 5, 8, 24] {
                    let mut app = app();
                    press(&mut app, KeyCode::Char(code));
                    screen(&mut app, width, height);
                }
            }
        }
    }

    #[test]
    fn keys_filter_open_and_leave() {
        let mut app = app();
        press(&mut app, KeyCode::Char('/'));
        for character in "CHILD".chars() {
            press(&mut app, KeyCode::Char(character));
        }
        press(&mut app, KeyCode::Enter);
        assert_eq!(app.rows.len(), 1);
        press(&mut app, KeyCode::Enter);
        let text = screen(&mut app, 100, 24);
        assert!(text.contains("name      <b>child</b>"), "{text}");
        assert!(text.contains("awaited   by Task-1 \\x1b[31m"), "{text}");
        press(&mut app, KeyCode::Esc);
        press(&mut app, KeyCode::Esc);
        assert_eq!(app.rows.len(), 2);
        press(&mut app, KeyCode::Char('t'));
        assert!(screen(&mut app, 100, 24).contains("└─ <b>child</b>"));
        press(&mut app, KeyCode::Char('d'));
        let text = screen(&mut app, 100, 24);
        assert!(text.contains("[ok] deadlocks"), "{text}");
        press(&mut app, KeyCode::Char('q'));
        assert!(app.finished);
    }

    #[test]
    fn the_mark_stays_on_its_task() {
        let mut app = app();
        press(&mut app, KeyCode::Down);
        let before = app.task().map(|task| task.id);
        press(&mut app, KeyCode::Char('r'));
        assert_eq!(app.task().map(|task| task.id), before);
    }
}
