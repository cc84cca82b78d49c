//! The terminal: keys in, screens out, and all as it was before at the end.

use std::io;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyEventKind};

use crate::app::{App, Find};
use crate::draw;

/// Shows it until a key ends it. `clock` gives CLOCK_MONOTONIC in nanoseconds.
pub fn run(mut app: App, clock: fn() -> u64, find: Find) -> io::Result<()> {
    // Restores the terminal also if this panics.
    let mut terminal = ratatui::try_init()?;
    let outcome = (|| {
        let interval = Duration::from_secs_f64(app.options.interval.clamp(0.1, 3600.0));
        let mut next = Instant::now();
        loop {
            if Instant::now() >= next {
                app.look(clock());
                next = Instant::now() + interval;
            }
            terminal.draw(|frame| draw::draw(frame, &mut app))?;
            let rest = next.saturating_duration_since(Instant::now());
            if !event::poll(rest)? {
                continue;
            }
            if let Event::Key(key) = event::read()? {
                if key.kind != KeyEventKind::Release {
                    let page = draw::page(terminal.size()?.height);
                    let before = app.screen;
                    app.press(key, page, find);
                    if app.screen != before && app.view.is_none() {
                        next = Instant::now();
                    }
                }
            }
            if app.finished {
                return Ok(());
            }
        }
    })();
    ratatui::restore();
    outcome
}
