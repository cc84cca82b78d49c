//! The few Python objects that the engine needs: interned names, asyncio's types.
//!
//! They are made at import and never given up. One place for the whole process is enough as
//! long as subinterpreters are refused (the module says so at import); should that change,
//! this cell becomes the module's state and nothing else.

use std::sync::OnceLock;

use super::error::Result;
use super::object::{Object, Owned};
use super::text::{import, interned, tuple};

macro_rules! names {
    ($($name:ident $(= $text:literal)?),* $(,)?) => {
        /// Interned strings, one field a name.
        pub(crate) struct Names { $(pub(crate) $name: Owned),* }
        impl Names {
            fn make() -> Result<Self> {
                Ok(Self { $($name: interned(names!(@text $name $($text)?))?),* })
            }
        }
    };
    (@text $name:ident) => { stringify!($name) };
    (@text $name:ident $text:literal) => { $text };
}

names! {
    add_done_callback, asyncio_future_blocking = "_asyncio_future_blocking", buffer_updated,
    call_exception_handler, call_soon, cancel, close, connection_lost, connection_made, context,
    data_received, done, eof_received, exception, future, get_buffer, get_debug, get_loop,
    message, pause_writing, protocol, result, resume_writing, slow_callback_duration,
    source_traceback, task, throw, time, transport, fileno, set_result, loop_attr = "_loop",
    attach = "_attach", detach_server = "_detach", socket, get_descriptor = "__get__",
    set_exception, create_future, sockname, peername, warning, call_connection_lost =
    "_call_connection_lost", log_network_error = "_log_network_error", log_accepted = "_log_accepted",
    accept_out_of_resources = "_accept_out_of_resources", msg, callback_failed = "_callback_failed", slow_callback =
    "_slow_callback", check_thread = "_check_thread", check_callback = "_check_callback",
    is_running,
    abort, advance = "_advance", call_later, cancelled, channel = "_sslobj",
    check_handshake_timeout = "_check_handshake_timeout", check_shutdown_timeout =
    "_check_shutdown_timeout", cipher, compression, do_handshake, force_close = "_force_close",
    get_extra_info, getpeercert, pause_reading, peercert, pending, read, resume_reading,
    server_hostname, server_side, ssl_object, tls_context = "sslcontext", unwrap, wrap_bio, write,
    get_write_buffer_size,
    cr_await, cr_code, gi_code, gi_yieldfrom, co_qualname, co_filename, co_firstlineno,
    code = "__code__", func = "__func__", partial_func = "func", qualname = "__qualname__", file =
    "__file__",
    cr_origin,
}

/// Objects of the standard library.
pub(crate) struct Imports {
    pub(crate) future_class: Owned,
    pub(crate) task_class: Owned,
    pub(crate) handle_class: Owned,
    pub(crate) timer_handle_class: Owned,
    /// From CPython 3.14 on.
    pub(crate) threadsafe_handle_class: Option<Owned>,
    pub(crate) transport_class: Owned,
    pub(crate) buffered_protocol_class: Owned,
    pub(crate) protocol_class: Owned,
    pub(crate) transport_socket_class: Owned,
    pub(crate) socket_class: Owned,
    pub(crate) cancelled_error: Owned,
    pub(crate) invalid_state_error: Owned,
    pub(crate) get_event_loop: Owned,
    pub(crate) is_coroutine: Owned,
    pub(crate) extract_stack: Owned,
    pub(crate) future_repr: Owned,
    pub(crate) task_repr: Owned,
    pub(crate) task_get_stack: Owned,
    pub(crate) task_print_stack: Owned,
    pub(crate) set_result_unless_cancelled: Owned,
    pub(crate) current_tasks: Option<Owned>,
    pub(crate) swap_current_task: Option<Owned>,
    pub(crate) register_task: Owned,
    pub(crate) unregister_task: Owned,
    pub(crate) base_create_task: Owned,
    pub(crate) eager_task_factory: Option<Owned>,
    /// The call graph of asyncio, from CPython 3.14 on.
    pub(crate) add_to_awaited_by: Option<Owned>,
    pub(crate) discard_from_awaited_by: Option<Owned>,
    pub(crate) future_awaited_by: Option<Owned>,
    /// `constants._SendfileMode.TRY_NATIVE`.
    pub(crate) sendfile_native: Owned,
    /// `constants._SendfileMode.FALLBACK`.
    pub(crate) sendfile_fallback: Owned,
    pub(crate) logger: Owned,
    /// `sys.modules`.
    pub(crate) modules: Owned,
    /// `os.fspath`.
    pub(crate) fspath: Owned,
    pub(crate) context_keyword: Owned,
    pub(crate) message_keyword: Owned,
}

impl Imports {
    fn make(names: &Names) -> Result<Self> {
        // In this order: asyncio, imported by `_asyncio`, would find it half made and do with its
        // Python versions of Task, Future and current_task.
        let asyncio = import("asyncio")?;
        let native = import("_asyncio")?;
        let submodule = |name: &str| asyncio.getattr(&*interned(name)?);
        let get = |module: &Object, name: &str| module.getattr(&*interned(name)?);
        let get_opt = |module: &Object, name: &str| module.getattr_opt(&*interned(name)?);
        let events = submodule("events")?;
        let futures = submodule("futures")?;
        let coroutines = submodule("coroutines")?;
        let tasks = submodule("tasks")?;
        let base_futures = submodule("base_futures")?;
        let base_tasks = submodule("base_tasks")?;
        let exceptions = submodule("exceptions")?;
        let protocols = submodule("protocols")?;
        let transports = submodule("transports")?;
        let base_events = submodule("base_events")?;
        let base_loop = get(&base_events, "BaseEventLoop")?;
        Ok(Self {
            future_class: get(&native, "Future")?,
            task_class: get(&native, "Task")?,
            handle_class: get(&events, "Handle")?,
            threadsafe_handle_class: get_opt(&events, "_ThreadSafeHandle")?,
            timer_handle_class: get(&events, "TimerHandle")?,
            transport_class: get(&transports, "_FlowControlMixin")?,
            buffered_protocol_class: get(&protocols, "BufferedProtocol")?,
            protocol_class: get(&protocols, "Protocol")?,
            transport_socket_class: get(&*import_from("asyncio.trsock")?, "TransportSocket")?,
            socket_class: get(&*import("socket")?, "socket")?,
            cancelled_error: get(&exceptions, "CancelledError")?,
            invalid_state_error: get(&exceptions, "InvalidStateError")?,
            get_event_loop: get(&events, "get_event_loop")?,
            is_coroutine: get(&coroutines, "iscoroutine")?,
            extract_stack: get(&*import_from("asyncio.format_helpers")?, "extract_stack")?,
            future_repr: get(&base_futures, "_future_repr")?,
            task_repr: get(&base_tasks, "_task_repr")?,
            task_get_stack: get(&base_tasks, "_task_get_stack")?,
            task_print_stack: get(&base_tasks, "_task_print_stack")?,
            set_result_unless_cancelled: get(&futures, "_set_result_unless_cancelled")?,
            current_tasks: get_opt(&native, "_current_tasks")?,
            swap_current_task: get_opt(&native, "_swap_current_task")?,
            register_task: get(&native, "_register_task")?,
            unregister_task: get(&native, "_unregister_task")?,
            base_create_task: get(&base_loop, "create_task")?,
            eager_task_factory: get_opt(&tasks, "eager_task_factory")?,
            add_to_awaited_by: get_opt(&native, "future_add_to_awaited_by")?,
            discard_from_awaited_by: get_opt(&native, "future_discard_from_awaited_by")?,
            future_awaited_by: get_opt(&*get(&native, "Future")?, "_asyncio_awaited_by")?,
            sendfile_native: get(&*get(&*submodule("constants")?, "_SendfileMode")?, "TRY_NATIVE")?,
            sendfile_fallback: get(&*get(&*submodule("constants")?, "_SendfileMode")?, "FALLBACK")?,
            fspath: get(&*import("os")?, "fspath")?,
            modules: get(&*import("sys")?, "modules")?,
            logger: get(&*import_from("asyncio.log")?, "logger")?,
            context_keyword: tuple(&[&names.context])?,
            message_keyword: tuple(&[&names.msg])?,
        })
    }
}

/// Imports a dotted module and gives the module itself.
fn import_from(name: &str) -> Result<Owned> {
    import(name)?;
    let modules = import("sys")?.getattr(&*interned("modules")?)?;
    Ok(super::text::dict_get(&modules, &*interned(name)?)?.unwrap_or_else(super::text::none))
}

struct State {
    names: Names,
    imports: Imports,
}

struct StateCell(OnceLock<State>);

// SAFETY: written once, at import; the objects are used by attached threads only and the
// references are never given up.
unsafe impl Sync for StateCell {}
// SAFETY: as above.
unsafe impl Send for StateCell {}

static STATE: StateCell = StateCell(OnceLock::new());

/// Makes the state; called at import, before any class is made.
pub(crate) fn initialise() -> Result<()> {
    if STATE.0.get().is_none() {
        let names = Names::make()?;
        let imports = Imports::make(&names)?;
        super::context::find_fields()?;
        super::frames::check_layout();
        super::task_class::watch(&*import_from("asyncio.tasks")?, &imports.task_class)?;
        super::outside_view::find(&imports.future_class, &imports.task_class)?;
        let _already = STATE.0.set(State { names, imports });
    }
    Ok(())
}

#[inline(always)]
fn state() -> &'static State {
    STATE.0.get().expect("invariant: the module was imported")
}

#[inline(always)]
pub(crate) fn names() -> &'static Names {
    &state().names
}

#[inline(always)]
pub(crate) fn imports() -> &'static Imports {
    &state().imports
}
