//! Calling the application, and what becomes of its task.
//!
//! The application runs in a task of its own whose first step is taken at once, in the turn in
//! which the request came: most applications answer in that step.

use std::cell::Cell;

use vivace_see::requests::{self, Account};

use super::exchange::{Exchange, Phase};
use super::service::Service;
use super::websocket::WebSocket;
use super::{access, exchange, response};
use crate::event_loop::Loop;
use crate::ffi::asgi_names::asgi_names;
use crate::ffi::function::{Body, Function};
use crate::ffi::{
    Builtin, Class, Instance, Object, Owned, Ref, Result, Slot, Visitor, context, error, imports,
    names, raise, text,
};
use crate::future::FutureLike;
use crate::see::slow_request;
use crate::task::{self, Start, Task};

/// What a party belongs to, and the task that the application runs in.
#[derive(Default)]
pub(crate) struct Ties {
    pub(super) service: Slot<Ref<Service>>,
    pub(super) event_loop: Slot<Ref<Loop>>,
    pub(super) task: Slot,
    /// The server has cancelled it.
    cancelled: Cell<bool>,
    /// What the diagnostics know the request by, and its scope, which they read; 0 and empty if
    /// nothing is looked at.
    request: Cell<u64>,
    scope: Slot,
    judged: Cell<bool>,
}

impl Drop for Ties {
    fn drop(&mut self) {
        self.close_request();
    }
}

impl Ties {
    pub(super) fn join(&self, service: &Instance<Service>, event_loop: &Slot<Ref<Loop>>) {
        self.service.set(service.counted());
        if let Some(event_loop) = event_loop.get() {
            self.event_loop.set(event_loop);
        }
    }

    pub(super) fn traverse(&self, visitor: &mut Visitor) {
        visitor.slot(&self.service);
        visitor.slot(&self.event_loop);
        visitor.slot(&self.task);
        visitor.slot(&self.scope);
    }

    /// The diagnostics know of the request from now on.
    pub(super) fn open_request(&self, scope: &Object) {
        let opened = self.event_loop.look(|event_loop| event_loop.see.open_request(scope));
        if let Some(number) = opened.filter(|number| *number != 0) {
            self.scope.set(scope.new_ref());
            self.request.set(number);
        }
    }

    /// The request is answered, or over without an answer: the diagnostics judge it, once.
    pub(super) fn judge_request(&self, status: Option<u16>) {
        let number = self.request.get();
        if number == 0 || self.judged.replace(true) {
            return;
        }
        if let Some(event_loop) = self.event_loop.get() {
            slow_request::judge(&event_loop, number, status);
        }
    }

    /// The request is over.
    pub(super) fn close_request(&self) {
        let number = self.request.take();
        if number != 0 {
            requests::close(number);
            self.scope.clear();
        }
    }

    /// It may last for as long as it likes.
    pub(super) fn settle_request(&self) {
        if let Some(account) = requests::of(self.request.get()) {
            account.settle();
        }
    }

    /// The application is about to wait for the body; see `requests::Account::listen`.
    pub(super) fn listen(&self) -> u64 {
        requests::of(self.request.get()).map_or(0, Account::listen)
    }

    /// Its body has come, for which the application has waited since then.
    pub(super) fn heard_client(&self, parked: u64) {
        if let Some(account) = requests::of(self.request.get()) {
            account.heard_client(parked);
        }
    }

    pub(super) fn clear(&self) {
        self.close_request();
        self.service.clear();
        self.event_loop.clear();
        self.task.clear();
    }
}

/// What the application is called for: an HTTP exchange, a WebSocket.
pub(crate) trait Party: Class {
    fn ties(&self) -> &Ties;
    /// `receive` and `send`.
    fn methods() -> [&'static Function; 2];

    /// The application has returned, or raised.
    fn ended(this: &Instance<Self>, failure: Option<Owned>) -> Result<()>;
}

impl<P: Party> Instance<P> {
    pub(super) fn service(&self) -> Result<Ref<Service>> {
        self.ties().service.get().ok_or_else(|| raise(Builtin::Runtime, "the request is over"))
    }

    pub(super) fn event_loop(&self) -> Result<Ref<Loop>> {
        self.ties().event_loop.get().ok_or_else(|| raise(Builtin::Runtime, "the request is over"))
    }

    /// Cancels the application, if it runs; whether it does.
    pub(super) fn cancel_task(&self) -> Result<bool> {
        match self.ties().task.get() {
            Some(task) => {
                self.ties().cancelled.set(true);
                task.call_method(&names().cancel, &[]).map(|_| true)
            }
            None => Ok(false),
        }
    }

    /// Logs what the application has raised, unless that is its cancellation by the server, or says
    /// that the client has `gone`. Answers whether the server has cancelled it.
    pub(super) fn log_failure(&self, exception: &Object, gone: bool) -> Result<bool> {
        // A cancellation of the application's own is a failure like others.
        let cancelled = error::is_exception_of(exception, &imports().cancelled_error)
            && (self.ties().cancelled.get() || self.service()?.is_draining());
        let fault = !cancelled && (!gone || !tells_of_disconnect(exception)?);
        if fault {
            self.service()?.log_error("Exception in ASGI application\n", Some(exception))?;
        }
        Ok(cancelled)
    }
}

/// Whether it is no failure of an application whose client has gone.
fn tells_of_disconnect(exception: &Object) -> Result<bool> {
    if error::is_exception_of(exception, Builtin::Os.object()) {
        return Ok(true);
    }
    let module = text::import("vivace.serve._disconnects")?;
    module.getattr(&*text::interned("tells_of_disconnect")?)?.call(&[exception])?.is_true()
}

/// Calls the application for a new request, or lets the request wait for its turn.
pub(super) fn start(exchange: &Instance<Exchange>) -> Result<()> {
    if exchange.ties.request.get() == 0 {
        if let Some(scope) = exchange.scope.get() {
            exchange.ties.open_request(&scope);
        }
    }
    if exchange.service()?.count_in(exchange)? { run(exchange) } else { Ok(()) }
}

fn run(exchange: &Instance<Exchange>) -> Result<()> {
    let Some(scope) = exchange.scope.take() else { return Ok(()) };
    if exchange.lost.get() {
        return exchange.service()?.count_out(exchange);
    }
    let seconds = exchange.service()?.settings().timeouts.request;
    if let (Some(seconds), Some(connection)) = (seconds, exchange.connection.get()) {
        connection.await_application(seconds)?;
    }
    call(exchange, &scope)
}

/// Calls the application and sees to what becomes of it.
pub(super) fn call<P: Party>(party: &Instance<P>, scope: &Object) -> Result<()> {
    let service = party.service()?;
    let event_loop = party.event_loop()?;
    let [receive, send] = P::methods();
    let (receive, send) = (receive.bind(party.object())?, send.bind(party.object())?);
    let begin = || {
        let coroutine = service.app().call(&[scope, &receive, &send])?;
        make_task(&event_loop, &coroutine)
    };
    let request = party.ties().request.get();
    let before = event_loop.see.answer(request);
    let outcome = if service.settings().reset_contextvars {
        context::empty().and_then(|empty| context::run_in(&empty, begin))
    } else {
        begin()
    };
    event_loop.see.answer(before);
    match outcome {
        Ok(task) => watch(party, &task),
        // It is no coroutine function, or its task could not be made.
        Err(raised) => {
            let exception = raised.fetch();
            P::ended(party, Some(exception.clone()))?;
            // As it leaves a task: one that was interrupted later has let it go by itself.
            if error::interrupts(&exception) {
                return Err(error::raise_instance(exception));
            }
            Ok(())
        }
    }
}

fn make_task(event_loop: &Instance<Loop>, coroutine: &Object) -> Result<Owned> {
    if event_loop.has_other_tasks() {
        return event_loop.object().call_method(&asgi_names().create_task, &[coroutine]);
    }
    task::create(event_loop, coroutine, None, None, Start::EagerContained).map(Ref::into_owned)
}

/// Sees what became of the task, now or when it is done.
fn watch<P: Party>(party: &Instance<P>, task: &Owned) -> Result<()> {
    let native = task.exact::<Task>();
    if native.is_some_and(|native| !native.core().is_pending()) {
        return P::ended(party, failure_of(task)?);
    }
    party.ties().task.set(task.clone());
    let callback = DONE.bind(party.object())?;
    match native {
        Some(native) => FutureLike::core(&**native).add_done_callback(task, &callback, None),
        None => task.call_method(&names().add_done_callback, &[&callback]).map(drop),
    }
}

struct DoneBody;

impl Body for DoneBody {
    fn call(bound: &Object, task: &Object) -> Result<Owned> {
        let failure = failure_of(task)?;
        if let Some(exchange) = bound.exact::<Exchange>() {
            exchange.ties.task.clear();
            Exchange::ended(exchange, failure)?;
        } else if let Some(websocket) = bound.exact::<WebSocket>() {
            websocket.ties.task.clear();
            WebSocket::ended(websocket, failure)?;
        }
        Ok(text::none())
    }
}

static DONE: Function = Function::new::<DoneBody>(c"application_done");

/// How a task has ended: `None` if it returned.
fn failure_of(task: &Object) -> Result<Option<Owned>> {
    if let Some(native) = task.exact::<Task>() {
        return Ok(native.core().outcome()?.err());
    }
    match task.call_method(&names().result, &[]) {
        Ok(_result) => Ok(None),
        Err(raised) => Ok(Some(raised.fetch())),
    }
}

impl Party for Exchange {
    fn ties(&self) -> &Ties {
        &self.ties
    }
    fn methods() -> [&'static Function; 2] {
        [&exchange::RECEIVE, &exchange::SEND]
    }
    fn ended(this: &Instance<Self>, failure: Option<Owned>) -> Result<()> {
        match failure {
            None => returned(this)?,
            Some(exception) => failed(this, exception)?,
        }
        access::log_aborted(this)?;
        this.ties.judge_request(None);
        this.ties.close_request();
        this.service()?.count_out(this)
    }
}

/// The application has returned: it must have answered, unless it was told that nobody waits.
fn returned(exchange: &Instance<Exchange>) -> Result<()> {
    if exchange.is_complete() || exchange.lost.get() {
        return Ok(());
    }
    // Its head was kept back as long as the response has only started.
    let unseen = matches!(exchange.phase(), Phase::Waiting | Phase::Started);
    if exchange.disconnected.get() {
        let gone = exchange.connection.get().is_some_and(|connection| connection.eof.get());
        return match unseen && !gone {
            true => response::plain(exchange, 503, "Service Unavailable", &[]),
            false => response::cut(exchange),
        };
    }
    let service = exchange.service()?;
    let what = if exchange.phase() == Phase::Waiting { "starting" } else { "completing" };
    service.log_error(&format!("ASGI callable returned without {what} response."), None)?;
    if unseen { internal_error(exchange) } else { response::cut(exchange) }
}

/// The application has raised.
fn failed(exchange: &Instance<Exchange>, exception: Owned) -> Result<()> {
    let cancelled = exchange.log_failure(&exception, exchange.lost.get())?;
    if exchange.is_complete() || exchange.lost.get() {
        return Ok(());
    }
    match exchange.phase() {
        Phase::Waiting if cancelled => response::plain(exchange, 503, "Service Unavailable", &[]),
        // Its head was kept back: the client has seen nothing of it.
        Phase::Waiting | Phase::Started => internal_error(exchange),
        _ => response::cut(exchange),
    }
}

pub(super) fn internal_error(exchange: &Instance<Exchange>) -> Result<()> {
    response::plain(exchange, 500, "Internal Server Error", &[])
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
