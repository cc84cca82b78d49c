//! What only a suspended task itself holds: its island.
//!
//! A task can go on if somebody else reaches what it waits for, and it can be cancelled if
//! somebody else reaches the task. Whether anybody does is told as the garbage collector tells
//! it: from the references to each object those are taken away that come from other objects of
//! the island; who has some left is reached from elsewhere, and so is everything that he reaches.
//!
//! Only a part of the program is looked at. What is not looked at counts as elsewhere, so the
//! answer "nobody reaches it" is right, and the answer "somebody does" may not be.

use std::collections::HashMap;
use std::ffi::{c_int, c_void};

use pyo3::ffi;

use super::class::Class;
use super::object::{Object, Owned};
use super::registry::{Listed, is_held};

/// More objects, and more references, than these are not looked at.
const OBJECTS: usize = 3000;
const REFERENCES: usize = 20_000;

struct Node {
    object: *mut ffi::PyObject,
    /// References from within the island.
    inner: isize,
    /// Where its own references begin in the list of all.
    first: usize,
    last: usize,
}

struct Search {
    nodes: Vec<Node>,
    known: HashMap<*mut ffi::PyObject, usize>,
    references: Vec<usize>,
    full: bool,
}

unsafe extern "C" fn visit(object: *mut ffi::PyObject, search: *mut c_void) -> c_int {
    // SAFETY: `find` passes its own search, and nobody else has it meanwhile.
    let search = unsafe { &mut *search.cast::<Search>() };
    if search.references.len() >= REFERENCES || search.nodes.len() >= OBJECTS {
        search.full = true;
        return 1;
    }
    let number = search.number(object);
    search.nodes[number].inner += 1;
    search.references.push(number);
    0
}

impl Search {
    fn number(&mut self, object: *mut ffi::PyObject) -> usize {
        let next = self.nodes.len();
        let number = *self.known.entry(object).or_insert(next);
        if number == next {
            self.nodes.push(Node { object, inner: 0, first: 0, last: 0 });
        }
        number
    }
}

/// What leads to the whole program, or belongs to it, and is not followed.
///
/// # Safety
/// A live object.
unsafe fn is_followed(object: *mut ffi::PyObject, event_loop: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: a live object, and addresses of static types.
    unsafe {
        let class = ffi::Py_TYPE(object);
        (*class).tp_flags & ffi::Py_TPFLAGS_HAVE_GC != 0
            && class != &raw mut ffi::PyModule_Type
            && class != &raw mut ffi::PyCode_Type
            && class != &raw mut ffi::PyFunction_Type
            && ffi::PyType_Check(object) == 0
            && ffi::PyType_IsSubtype(class, event_loop) == 0
    }
}

/// The islands of several tasks, found while no Python code runs.
#[derive(Default)]
pub(crate) struct Islands(Vec<Vec<*mut ffi::PyObject>>);

impl Islands {
    /// Looks at a task (of class `T`) that waits. An instance of the class `L` is not followed.
    /// Runs no Python code, and counts no reference, so that the next task is seen as it is.
    pub(crate) fn look<L: Class, T: Listed>(&mut self, task: &Object) {
        let held = |object: &Object| object.downcast::<T>().is_some_and(|task| is_held(task));
        let island = find(task, held, L::cell().class_ptr());
        if !island.is_empty() {
            self.0.push(island);
        }
    }

    /// The islands, each with its task first. No Python code has run since the first `look`.
    pub(crate) fn into_lists(self) -> Vec<Vec<Owned>> {
        // SAFETY: alive when they were found, and nothing has run since that could change it.
        let count = |object| unsafe { Object::from_ptr(object) }.new_ref();
        self.0.into_iter().map(|island| island.into_iter().map(count).collect()).collect()
    }
}

/// The objects that nobody reaches but the suspended task; empty if somebody reaches the task.
/// Whoever is `held` has one reference to himself.
fn find(
    task: &Object,
    held: impl Fn(&Object) -> bool,
    event_loop: *mut ffi::PyTypeObject,
) -> Vec<*mut ffi::PyObject> {
    let mut search =
        Search { nodes: Vec::new(), known: HashMap::new(), references: Vec::new(), full: false };
    search.number(task.as_ptr());
    let mut next = 0;
    while next < search.nodes.len() && !search.full {
        let object = search.nodes[next].object;
        let first = search.references.len();
        // SAFETY: every object here is alive, since it is held by one that is; `tp_traverse` runs
        // no Python code, and calls `visit` with this search while nothing else uses it.
        unsafe {
            if is_followed(object, event_loop) {
                if let Some(traverse) = (*ffi::Py_TYPE(object)).tp_traverse {
                    traverse(object, visit, (&raw mut search).cast());
                }
            }
        }
        search.nodes[next].first = first;
        search.nodes[next].last = search.references.len();
        next += 1;
    }
    if search.full {
        return Vec::new();
    }
    let mut reached = vec![false; search.nodes.len()];
    let mut queue: Vec<usize> = Vec::new();
    for (number, node) in search.nodes.iter().enumerate() {
        // SAFETY: alive, as above.
        let object = unsafe { Object::from_ptr(node.object) };
        if object.references() > node.inner + isize::from(held(object)) {
            reached[number] = true;
            queue.push(number);
        }
    }
    while let Some(number) = queue.pop() {
        let node = &search.nodes[number];
        for &other in &search.references[node.first..node.last] {
            if !std::mem::replace(&mut reached[other], true) {
                queue.push(other);
            }
        }
    }
    if reached[0] {
        return Vec::new();
    }
    let island = search.nodes.iter().zip(reached).filter(|(_, reached)| !reached);
    island.map(|(node, _)| node.object).collect()
}
