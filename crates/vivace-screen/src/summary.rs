//! What both forms say on one line: the numbers of a loop, the codes of findings.

use vivace_see::view::event_loop::EventLoop;
use vivace_see::view::{View, words};

/// `util 63%  delay p50 …`.
pub(crate) fn numbers(of: &EventLoop) -> String {
    format!(
        "util {}  delay p50 {} p99 {} max {}  ready {}  timers {}  GILwait {}  GC {}",
        words::share(of.utilisation),
        words::duration(of.delay_p50),
        words::duration(of.delay_p99),
        words::duration(of.delay_max),
        of.ready,
        of.timers,
        words::share(of.gil_wait),
        words::share(of.gc),
    )
}

/// `findings: V101 x2 V201 x1`; nothing if there are none.
pub(crate) fn findings(view: &View) -> Option<String> {
    let codes: Vec<String> =
        view.codes().iter().map(|(code, count)| format!("{code} x{count}")).collect();
    (!codes.is_empty()).then(|| format!("findings: {}", codes.join(" ")))
}
