//! What is shown, and what a key changes. Knows no terminal.

use std::path::PathBuf;
use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use vivace_see::answer::socket;
use vivace_see::ring::places::Entry;
use vivace_see::view::find::Found;
use vivace_see::view::{Sample, View, doctor, tree};

use crate::order::{Sort, arrange};

/// Which screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// The processes, to pick one.
    Pick,
    /// The tasks of one.
    Tasks,
    /// The same as a tree.
    Tree,
    /// One task.
    Detail,
    /// What is wrong.
    Doctor,
    /// The keys.
    Help,
}

/// What the screens are asked to show.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the files, for the list of processes.
    pub folder: PathBuf,
    /// What the tasks are sorted by.
    pub sort: Sort,
    /// Only tasks that have this word.
    pub filter: String,
    /// Whether there may be colours.
    pub colour: bool,
    /// Seconds between two looks.
    pub interval: f64,
}

/// What a process was found to be, by whoever asks for it.
pub type Find = fn(u32, &std::path::Path) -> Result<Found, String>;

/// See the module.
pub struct App {
    pub(crate) options: Options,
    pub(crate) screen: Screen,
    pub(crate) processes: Vec<Entry>,
    pub(crate) found: Option<Found>,
    pub(crate) view: Option<View>,
    sample: Option<Sample>,
    /// The rows, as places in the tasks; in the tree, `branches` belong to them.
    pub(crate) rows: Vec<usize>,
    pub(crate) branches: Vec<String>,
    /// Which row is marked, and the number of its task, which it follows.
    pub(crate) marked: usize,
    marked_task: u64,
    pub(crate) scroll: usize,
    pub(crate) reverse: bool,
    pub(crate) paused: bool,
    /// The filter is being typed.
    pub(crate) typing: bool,
    pub(crate) message: String,
    /// The task that one more `c` cancels.
    doomed: u64,
    back: Screen,
    pub(crate) finished: bool,
}

impl App {
    /// With a process, or to pick one.
    pub fn new(options: Options, found: Option<Found>) -> Self {
        let screen = if found.is_some() { Screen::Tasks } else { Screen::Pick };
        Self {
            options,
            screen,
            processes: Vec::new(),
            found,
            view: None,
            sample: None,
            rows: Vec::new(),
            branches: Vec::new(),
            marked: 0,
            marked_task: 0,
            scroll: 0,
            reverse: false,
            paused: false,
            typing: false,
            message: String::new(),
            doomed: 0,
            back: Screen::Tasks,
            finished: false,
        }
    }

    /// Reads everything again. `now` is CLOCK_MONOTONIC in nanoseconds.
    pub fn look(&mut self, now: u64) {
        if self.screen == Screen::Pick {
            self.processes = vivace_see::view::find::all(&self.options.folder);
            self.marked = self.marked.min(self.processes.len().saturating_sub(1));
            return;
        }
        if self.paused {
            return;
        }
        let Some(found) = &self.found else { return };
        found.touch(now);
        match View::read(&found.reader, now, self.sample.as_ref()) {
            Ok((view, sample)) => {
                self.show(view);
                self.sample = Some(sample);
            }
            Err(problem) => self.message = problem.to_string(),
        }
    }

    pub(crate) fn show(&mut self, view: View) {
        self.view = Some(view);
        self.arrange();
    }

    fn arrange(&mut self) {
        let Some(view) = &self.view else { return };
        self.branches.clear();
        if self.screen == Screen::Tree {
            let nodes = tree::nodes(&view.tasks);
            self.rows = nodes.iter().map(|node| node.task).collect();
            self.branches = nodes.into_iter().map(|node| node.branch).collect();
        } else {
            let Options { sort, filter, .. } = &self.options;
            self.rows = arrange(&view.tasks, *sort, self.reverse, filter);
        }
        // The mark stays on its task, wherever that goes.
        let place = self.rows.iter().position(|row| view.tasks[*row].id == self.marked_task);
        self.marked = place.unwrap_or(self.marked).min(self.rows.len().saturating_sub(1));
        self.remember_mark();
    }

    fn remember_mark(&mut self) {
        let Some(view) = &self.view else { return };
        if let Some(row) = self.rows.get(self.marked) {
            self.marked_task = view.tasks[*row].id;
        }
    }

    fn length(&self) -> usize {
        if self.screen == Screen::Pick { self.processes.len() } else { self.rows.len() }
    }

    fn move_by(&mut self, by: isize) {
        if matches!(self.screen, Screen::Doctor | Screen::Detail | Screen::Help) {
            self.scroll = self.scroll.saturating_add_signed(by);
            return;
        }
        let last = self.length().saturating_sub(1);
        self.marked = self.marked.saturating_add_signed(by).min(last);
        self.remember_mark();
    }

    fn go(&mut self, screen: Screen) {
        if matches!(self.screen, Screen::Tasks | Screen::Tree) {
            self.back = self.screen;
        }
        self.screen = screen;
        self.scroll = 0;
        self.arrange();
    }

    /// A key was pressed. `page` is how many rows there are, `find` opens a process.
    pub fn press(&mut self, key: KeyEvent, page: usize, find: Find) {
        self.message.clear();
        let doomed = std::mem::take(&mut self.doomed);
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            if matches!(key.code, KeyCode::Char('c' | 'd')) {
                self.finished = true;
            }
            return;
        }
        if self.typing {
            self.type_filter(key.code);
            return;
        }
        let page = page.max(1) as isize;
        match key.code {
            KeyCode::Char('q') => self.finished = true,
            KeyCode::Up | KeyCode::Char('k') => self.move_by(-1),
            KeyCode::Down | KeyCode::Char('j') => self.move_by(1),
            KeyCode::PageUp => self.move_by(-page),
            KeyCode::PageDown => self.move_by(page),
            KeyCode::Home | KeyCode::Char('g') => self.move_by(isize::MIN / 2),
            KeyCode::End | KeyCode::Char('G') => self.move_by(isize::MAX / 2),
            KeyCode::Esc => self.leave(),
            KeyCode::Enter => self.enter(find),
            _ if self.screen == Screen::Pick => {}
            KeyCode::Char('t') => {
                let tree = self.screen == Screen::Tree;
                self.go(if tree { Screen::Tasks } else { Screen::Tree });
            }
            KeyCode::Char('d') => self.go(Screen::Doctor),
            KeyCode::Char('?' | 'h') => self.go(Screen::Help),
            KeyCode::Char('s') => {
                self.options.sort = self.options.sort.next();
                self.go(Screen::Tasks);
            }
            KeyCode::Char('r') => {
                self.reverse = !self.reverse;
                self.arrange();
            }
            KeyCode::Char('c') => self.cancel(doomed),
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Char('/') => {
                self.go(Screen::Tasks);
                self.typing = true;
            }
            _ => {}
        }
    }

    /// Cancels the task that is marked, if the key is pressed twice.
    fn cancel(&mut self, doomed: u64) {
        let (Some(view), Some(task), Some(found)) = (&self.view, self.task(), &self.found) else {
            return;
        };
        if !view.control {
            self.message = "tasks can be cancelled only in a process that was started with \
                            VIVACE_CONTROL=1"
                .into();
        } else if doomed != task.id {
            let id = task.id;
            self.message = format!("c again cancels {} {}", task.title(), task.coro);
            self.doomed = id;
        } else {
            let request = serde_json::json!({"do": "cancel", "task": task.id});
            let answer = socket::ask(&found.socket(), &request, Duration::from_secs(2));
            self.message = match answer {
                Ok(answer) => {
                    let text = answer["text"].as_str().or(answer["error"].as_str());
                    text.unwrap_or_default().to_owned()
                }
                Err(error) => format!("the process does not answer: {error}"),
            };
        }
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.options.filter.clear();
            }
            KeyCode::Backspace => drop(self.options.filter.pop()),
            KeyCode::Char(character) => self.options.filter.push(character),
            _ => {}
        }
        self.arrange();
    }

    fn leave(&mut self) {
        match self.screen {
            Screen::Detail | Screen::Doctor | Screen::Help => self.go(self.back),
            Screen::Tree => self.go(Screen::Tasks),
            Screen::Tasks if !self.options.filter.is_empty() => {
                self.options.filter.clear();
                self.arrange();
            }
            Screen::Tasks | Screen::Pick => {}
        }
    }

    fn enter(&mut self, find: Find) {
        match self.screen {
            Screen::Pick => {
                let Some(entry) = self.processes.get(self.marked) else { return };
                match find(entry.about.pid, &self.options.folder) {
                    Ok(found) => {
                        self.found = Some(found);
                        self.marked = 0;
                        self.screen = Screen::Tasks;
                    }
                    Err(text) => self.message = text,
                }
            }
            Screen::Tasks | Screen::Tree if !self.rows.is_empty() => self.go(Screen::Detail),
            _ => {}
        }
    }

    /// The task that is marked.
    pub(crate) fn task(&self) -> Option<&vivace_see::view::task::Task> {
        self.view.as_ref()?.task(self.marked_task)
    }

    /// The lines of what the doctor says.
    pub(crate) fn diagnosis(&self) -> Vec<String> {
        let Some(view) = &self.view else { return Vec::new() };
        doctor::text(view, &doctor::checks(view)).lines().map(str::to_owned).collect()
    }
}
