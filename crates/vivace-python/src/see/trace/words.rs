//! Names of functions, tasks and of what tasks wait for, as numbers of the recorder.
//!
//! A code object is looked at once for each trace: it is kept with its number, so that nothing else
//! can have its address meanwhile.

use std::cell::RefCell;
use std::collections::HashMap;

use vivace_see::trace::name::Name;

use super::Sink;
use crate::event_loop::Entry;
use crate::ffi::code::{self, Place};
use crate::ffi::{Instance, Object, Owned, frames, function, imports, names, suspended, text};
use crate::handles::AsHandle;
use crate::task::Task;

/// A coroutine inside a coroutine inside …: more than anybody writes.
const DEEPEST: usize = 64;

/// What is known of a code object.
#[derive(Clone, Copy)]
struct Known {
    /// The number of its name.
    function: u32,
    /// It belongs to asyncio: whoever waits in it, waits for what it is called after.
    is_asyncio: bool,
}

/// What a task waits for: the function of asyncio, or the number of a task; and in which function,
/// on which line.
type Waiting = (u32, u32, u32);

/// In the lane of a loop.
#[derive(Default)]
pub(super) struct Words {
    codes: RefCell<HashMap<usize, (Owned, Known)>>,
    /// Where tasks were made: the address of a code object, and the instruction.
    sites: RefCell<HashMap<(usize, u32), u32>>,
    /// What is waited for, and where.
    reasons: RefCell<HashMap<Waiting, u32>>,
    /// The folder of asyncio, with a slash.
    asyncio: RefCell<Option<String>>,
}

impl Words {
    /// Another trace: other numbers.
    pub(super) fn forget(&self) {
        let codes = self.codes.take();
        self.sites.take();
        self.reasons.take();
        drop(codes);
    }

    fn known(&self, code: &Owned, recorder: &dyn Sink) -> Known {
        if let Some((_, known)) = self.codes.borrow().get(&code.address()) {
            return *known;
        }
        let Place { qualname, file, line } = code::place(code);
        let is_asyncio = self.is_asyncio(&file);
        let function = recorder.name(&Name { text: qualname, file, line });
        let known = Known { function, is_asyncio };
        self.codes.borrow_mut().insert(code.address(), (code.clone(), known));
        known
    }

    fn is_asyncio(&self, file: &str) -> bool {
        let mut folder = self.asyncio.borrow_mut();
        let folder = folder.get_or_insert_with(|| asyncio_folder().unwrap_or_default());
        !folder.is_empty() && file.starts_with(folder.as_str())
    }

    /// The function that a task runs.
    pub(super) fn coroutine(&self, task: &Instance<Task>, recorder: &dyn Sink) -> u32 {
        let Some(coroutine) = task.coroutine() else { return 0 };
        match code::code(&coroutine) {
            Some(code) => self.known(&code, recorder).function,
            None => recorder.name(&plain(code::class_name(&coroutine))),
        }
    }

    /// What a task is called.
    pub(super) fn name(&self, task: &Instance<Task>, recorder: &dyn Sink) -> u32 {
        match task.name() {
            Ok(name) => recorder.name(&plain(text::to_string_lossy(&name))),
            Err(raised) => {
                raised.clear();
                0
            }
        }
    }

    /// The line that made a task, if that is known.
    pub(super) fn site(&self, task: &Instance<Task>, recorder: &dyn Sink) -> Option<u32> {
        let site = task.provenance.site()?;
        let key = (site.code.address(), site.instruction);
        if let Some(number) = self.sites.borrow().get(&key) {
            return Some(*number);
        }
        // Keeps the code, and so its address.
        self.known(&site.code, recorder);
        let Place { qualname: text, file, line: first } = code::place(&site.code);
        let line = u32::try_from(frames::line_of(&site.code, site.instruction)).unwrap_or(0);
        let line = if line == 0 { first } else { line };
        let number = recorder.name(&Name { text, file, line });
        self.sites.borrow_mut().insert(key, number);
        Some(number)
    }

    /// What runs when an entry of the queue does.
    pub(super) fn callback(&self, entry: &Entry, recorder: &dyn Sink) -> u32 {
        let function = match entry {
            Entry::Handle(handle) => handle.handle().callback(),
            Entry::ThreadSafe(handle) => handle.handle().callback(),
            Entry::Timer(timer) => timer.handle().callback(),
            Entry::Callback { function, .. } => Some(function.clone()),
            Entry::Stream(stream) => {
                let protocol = code::class_name(&stream.protocol());
                return recorder.name(&plain(format!("{protocol} (connection)")));
            }
            Entry::Listener(_) => return recorder.name(&plain("accept connections".into())),
            Entry::Step(_) => None,
        };
        match function {
            Some(function) => self.function(&function, recorder),
            None => recorder.name(&plain("callback".into())),
        }
    }

    fn function(&self, function: &Object, recorder: &dyn Sink) -> u32 {
        if let Some(code) = code::code(function) {
            return self.known(&code, recorder).function;
        }
        if let Some(inner) = code::function_of_partial(function) {
            return self.function(&inner, recorder);
        }
        let name = code::builtin_name(function).unwrap_or_else(|| code::class_name(function));
        recorder.name(&plain(name))
    }

    /// What a suspended task waits for; nothing if it does not wait.
    pub(super) fn reason(&self, task: &Instance<Task>, recorder: &dyn Sink) -> Option<u32> {
        let waited = task.waited()?;
        let mut user = None;
        let mut next = task.coroutine();
        for _ in 0..DEEPEST {
            let Some(frame) = next else { break };
            let Some(code) = code::code(&frame) else { break };
            let known = self.known(&code, recorder);
            next = code::awaited(&frame);
            if !known.is_asyncio {
                user = Some((code, known.function, frame));
                continue;
            }
            let qualname = || code::place(&code).qualname;
            // What `async with` enters: the method that it calls says more.
            if next.is_some() && qualname().ends_with("_ContextManagerMixin.__aenter__") {
                continue;
            }
            return Some(self.reason_of(known.function, user, recorder, qualname));
        }
        // Nothing of asyncio between the program and what it awaits.
        if let Some(other) = waited.exact::<Task>() {
            let function = other.coroutine().and_then(|coroutine| code::code(&coroutine));
            let function = function.map(|code| code::place(&code).qualname);
            let number = other.see.id() as u32 | 1 << 31;
            let reason = || format!("task {}", function.unwrap_or_default());
            return Some(self.reason_of(number, user, recorder, reason));
        }
        Some(self.reason_of(0, user, recorder, || code::class_name(&waited)))
    }

    /// `user` is the innermost function of the program: its code, its number, its coroutine.
    fn reason_of(
        &self,
        what: u32,
        user: Option<(Owned, u32, Owned)>,
        recorder: &dyn Sink,
        text: impl FnOnce() -> String,
    ) -> u32 {
        let line = user.as_ref().and_then(|(_, _, frame)| suspended::line(frame)).unwrap_or(0);
        let function = user.as_ref().map_or(0, |(_, function, _)| *function);
        let key = (what, function, line);
        if let Some(number) = self.reasons.borrow().get(&key) {
            return *number;
        }
        let mut name = plain(text());
        if let Some((code, ..)) = &user {
            let Place { qualname, file, line: first } = code::place(code);
            let line = if line == 0 { first } else { line };
            name = Name { text: format!("{} in {qualname}", name.text), file, line };
        }
        let number = recorder.name(&name);
        self.reasons.borrow_mut().insert(key, number);
        number
    }
}

/// The task that takes a step when an entry of the queue runs: one that waited for a future of
/// others.
pub(super) fn woken_by(entry: &Entry) -> Option<Owned> {
    let function = match entry {
        Entry::Handle(handle) => handle.handle().callback()?,
        Entry::Callback { function, .. } => function.clone(),
        _ => return None,
    };
    let task = function::self_of_builtin(&function)?;
    let name = code::builtin_name(&function)?;
    (name.ends_with("task_wakeup") || name.ends_with("task_step")).then(|| task.new_ref())
}

fn plain(text: String) -> Name {
    Name { text, ..Name::default() }
}

/// The folder of the module that tasks come from.
fn asyncio_folder() -> Option<String> {
    let module = text::dict_get(&imports().modules, &*text::interned("asyncio").ok()?);
    let module = module.ok().flatten()?;
    let file = module.getattr(&names().file).ok()?;
    let file = text::to_string_lossy(&file);
    Some(file.strip_suffix("__init__.py")?.to_owned())
}
