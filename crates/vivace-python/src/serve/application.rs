//! Calling the application, and what becomes of its task.
//!
//! The application runs in a task of its own whose first step is taken at once, in the turn in
//! which the request came: most applications answer in that step.

use super::exchange::{Exchange, Phase};
use super::{access, response};
use crate::event_loop::Loop;
use crate::ffi::asgi_names::asgi_names;
use crate::ffi::function::{Body, Function};
use crate::ffi::{Instance, Object, Owned, Result, context, error, imports, names, text};
use crate::future::FutureLike;
use crate::task::{self, Start, Task};

/// Calls the application for a new request, or lets the request wait for its turn.
pub(super) fn start(exchange: &Instance<Exchange>) -> Result<()> {
    let service = exchange.service()?;
    match service.count_in(exchange)? {
        true => run(exchange),
        false => Ok(()),
    }
}

/// Calls the application.
pub(super) fn run(exchange: &Instance<Exchange>) -> Result<()> {
    let Some(scope) = exchange.scope.take() else { return Ok(()) };
    if exchange.lost.get() {
        return ended(exchange);
    }
    let service = exchange.service()?;
    let event_loop = exchange.event_loop()?;
    if let (Some(seconds), Some(connection)) =
        (service.settings().timeouts.request, exchange.connection.get())
    {
        connection.await_within(super::deadlines::Late::Request, seconds)?;
    }
    let asgi = asgi_names();
    let receive = exchange.object().getattr(&asgi.receive)?;
    let send = exchange.object().getattr(&asgi.send)?;
    let run = || {
        let coroutine = service.app().call(&[&scope, &receive, &send])?;
        make_task(&event_loop, &coroutine)
    };
    let outcome = if service.settings().reset_contextvars {
        context::run_in(&*context::empty()?, run)
    } else {
        run()
    };
    let task = match outcome {
        Ok(task) => task,
        // It is no coroutine function, or its task could not be made.
        Err(raised) => return failed(exchange, raised.fetch()).and_then(|()| ended(exchange)),
    };
    watch(exchange, &task)
}

fn make_task(event_loop: &Instance<Loop>, coroutine: &Object) -> Result<Owned> {
    if event_loop.has_task_factory() {
        return event_loop.object().call_method(&asgi_names().create_task, &[coroutine]);
    }
    task::create(event_loop, coroutine, None, None, Start::Eager).map(|task| task.into_owned())
}

/// Sees what became of the task, now or when it is done.
fn watch(exchange: &Instance<Exchange>, task: &Owned) -> Result<()> {
    if let Some(native) = task.exact::<Task>() {
        if !native.core().is_pending() {
            return task_done(exchange, task);
        }
        exchange.task.set(task.clone());
        let callback = DONE.bind(exchange.object())?;
        return FutureLike::core(&**native).add_done_callback(task, &callback, None);
    }
    exchange.task.set(task.clone());
    let callback = DONE.bind(exchange.object())?;
    task.call_method(&names().add_done_callback, &[&callback]).map(drop)
}

struct DoneBody;

impl Body for DoneBody {
    fn call(bound: &Object, task: &Object) -> Result<Owned> {
        if let Some(exchange) = bound.exact::<Exchange>() {
            task_done(exchange, task)?;
        }
        Ok(text::none())
    }
}

static DONE: Function = Function::new::<DoneBody>(c"application_done");

/// How a task has ended: `None` if it returned.
pub(super) fn failure_of(task: &Object) -> Result<Option<Owned>> {
    if let Some(native) = task.exact::<Task>() {
        return Ok(native.core().outcome()?.err());
    }
    match task.call_method(&names().result, &[]) {
        Ok(_result) => Ok(None),
        Err(raised) => Ok(Some(raised.fetch())),
    }
}

fn task_done(exchange: &Instance<Exchange>, task: &Object) -> Result<()> {
    exchange.task.clear();
    match failure_of(task)? {
        None => returned(exchange)?,
        Some(exception) => failed(exchange, exception)?,
    }
    ended(exchange)
}

/// The application has returned: it must have answered.
fn returned(exchange: &Instance<Exchange>) -> Result<()> {
    if exchange.is_complete() || exchange.lost.get() {
        return Ok(());
    }
    let service = exchange.service()?;
    if exchange.phase() == Phase::Waiting {
        service.log_error("ASGI callable returned without starting response.", None)?;
        return internal_error(exchange);
    }
    service.log_error("ASGI callable returned without completing response.", None)?;
    response::abort(exchange)
}

/// The application has raised.
fn failed(exchange: &Instance<Exchange>, exception: Owned) -> Result<()> {
    if error::leaves_the_loop(&exception) {
        return Err(error::raise_instance(exception));
    }
    let cancelled = error::is_exception_of(&exception, &imports().cancelled_error);
    let gone = exchange.lost.get()
        && error::is_exception_of(&exception, crate::ffi::Builtin::Os.object());
    if !cancelled && !gone {
        exchange.service()?.log_error("Exception in ASGI application\n", Some(&exception))?;
    }
    if exchange.is_complete() || exchange.lost.get() {
        return Ok(());
    }
    if exchange.phase() == Phase::Waiting && !cancelled {
        return internal_error(exchange);
    }
    if exchange.phase() == Phase::Waiting {
        return response::plain(exchange, 503, "Service Unavailable", &[]);
    }
    response::abort(exchange)
}

fn internal_error(exchange: &Instance<Exchange>) -> Result<()> {
    response::plain(exchange, 500, "Internal Server Error", &[])
}

/// The request is over for the server.
fn ended(exchange: &Instance<Exchange>) -> Result<()> {
    let service = exchange.service()?;
    access::log_aborted(exchange)?;
    service.count_out(exchange)
}

struct StartBody;

impl Body for StartBody {
    fn call(bound: &Object, _argument: &Object) -> Result<Owned> {
        if let Some(exchange) = bound.exact::<Exchange>() {
            start(exchange)?;
        }
        Ok(text::none())
    }
}

/// Begins with a request that had to wait.
pub(super) static START: Function = Function::new::<StartBody>(c"start_request");
