//! Who is told when a future is done: mostly one, and mostly a task that waits.

use std::cell::RefCell;

use crate::ffi::slot::Counted;
use crate::ffi::{Environment, Object, Owned, Ref, Result, Visitor, text};
use crate::task::Task;

/// One of those who are told.
pub(crate) enum Callback {
    /// A task of the same loop: it takes its next step.
    Wake(Ref<Task>),
    /// `function(future)` inside `environment`.
    Call { function: Owned, environment: Environment },
}

impl Callback {
    /// The same as a function that Python can call, and the context that it runs in.
    pub(crate) fn into_function(self) -> Result<(Owned, Owned)> {
        match self {
            Self::Wake(task) => Ok((task.wakeup_function()?, task.context_or_none()?)),
            Self::Call { function, environment } => Ok((function, environment.context_or_none()?)),
        }
    }

    fn function(&self) -> Result<Owned> {
        match self {
            Self::Wake(task) => task.wakeup_function(),
            Self::Call { function, .. } => Ok(function.clone()),
        }
    }

    fn copy(&self) -> Self {
        match self {
            Self::Wake(task) => Self::Wake(task.clone()),
            Self::Call { function, environment } => {
                Self::Call { function: function.clone(), environment: environment.duplicate() }
            }
        }
    }
}

#[derive(Default)]
struct List {
    first: Option<Callback>,
    rest: Vec<Callback>,
}

/// The callbacks of one future, in the order in which they were added.
#[derive(Default)]
pub(crate) struct Callbacks(RefCell<List>);

impl Callbacks {
    #[inline]
    pub(crate) fn push(&self, callback: Callback) {
        let mut list = self.0.borrow_mut();
        if list.first.is_none() && list.rest.is_empty() {
            list.first = Some(callback);
        } else {
            list.rest.push(callback);
        }
    }

    /// Whether a task waits.
    pub(crate) fn wakes_a_task(&self) -> bool {
        let list = self.0.borrow();
        list.first.iter().chain(&list.rest).any(|callback| matches!(callback, Callback::Wake(_)))
    }

    /// Whether there is one, and no more.
    pub(crate) fn is_one(&self) -> bool {
        let list = self.0.borrow();
        usize::from(list.first.is_some()) + list.rest.len() == 1
    }

    /// Takes all.
    #[inline]
    pub(crate) fn take(&self) -> (Option<Callback>, Vec<Callback>) {
        let mut list = self.0.borrow_mut();
        (list.first.take(), std::mem::take(&mut list.rest))
    }

    /// Takes out those for which `matches` says so; the answer is how many.
    ///
    /// `matches` runs `__eq__` of the user, which may change the list: it works on a copy, and
    /// only what is still there leaves.
    pub(crate) fn remove(&self, function: &Object) -> Result<usize> {
        let copies: Vec<Callback> = {
            let list = self.0.borrow();
            list.first.iter().chain(&list.rest).map(Callback::copy).collect()
        };
        let mut doomed = Vec::new();
        for callback in &copies {
            if callback.function()?.equals(function)? {
                doomed.push(callback);
            }
        }
        let mut removed = Vec::new();
        {
            let mut list = self.0.borrow_mut();
            let List { first, rest } = &mut *list;
            for callback in first.take().into_iter().chain(std::mem::take(rest)) {
                if doomed.iter().any(|other| other.is_same(&callback)) {
                    removed.push(callback);
                } else if first.is_none() {
                    *first = Some(callback);
                } else {
                    rest.push(callback);
                }
            }
        }
        Ok(removed.len())
    }

    /// The tasks among those who are told.
    pub(crate) fn tasks(&self) -> Vec<Owned> {
        let list = self.0.borrow();
        list.first
            .iter()
            .chain(&list.rest)
            .filter_map(|callback| match callback {
                Callback::Wake(task) => Some(task.object().new_ref()),
                Callback::Call { .. } => None,
            })
            .collect()
    }

    /// `[(function, context), …]`, or `None` if there is none.
    pub(crate) fn to_python(&self) -> Result<Owned> {
        let copies: Vec<Callback> = {
            let list = self.0.borrow();
            list.first.iter().chain(&list.rest).map(Callback::copy).collect()
        };
        if copies.is_empty() {
            return Ok(text::none());
        }
        let mut pairs = Vec::new();
        for callback in copies {
            let (function, context) = callback.into_function()?;
            pairs.push(text::tuple(&[&function, &context])?);
        }
        text::list(pairs)
    }

    pub(crate) fn traverse(&self, visitor: &mut Visitor) {
        let Ok(list) = self.0.try_borrow() else { return };
        for callback in list.first.iter().chain(&list.rest) {
            match callback {
                Callback::Wake(task) => visitor.object(task.as_object()),
                Callback::Call { function, environment } => {
                    visitor.object(function);
                    environment.traverse(visitor);
                }
            }
        }
    }
}

impl Callback {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Wake(a), Self::Wake(b)) => a.as_object().is(b.as_object()),
            (Self::Call { function: a, .. }, Self::Call { function: b, .. }) => a.is(b),
            _ => false,
        }
    }
}
