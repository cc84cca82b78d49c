//! What a function of a class may answer, and what Python is given for it.

use super::class::{Class, Ref};
use super::error::Result;
use super::object::Owned;
use super::text;

/// The answer of a method or a getter.
pub(crate) trait Answer {
    fn into_python(self) -> Result<Owned>;
}

impl Answer for Owned {
    #[inline(always)]
    fn into_python(self) -> Result<Owned> {
        Ok(self)
    }
}

impl<T: Class> Answer for Ref<T> {
    #[inline(always)]
    fn into_python(self) -> Result<Owned> {
        Ok(self.into_owned())
    }
}

/// `None`.
impl Answer for () {
    #[inline(always)]
    fn into_python(self) -> Result<Owned> {
        Ok(text::none())
    }
}

impl Answer for bool {
    #[inline(always)]
    fn into_python(self) -> Result<Owned> {
        Ok(text::boolean(self))
    }
}

impl Answer for usize {
    fn into_python(self) -> Result<Owned> {
        text::integer(self as i64)
    }
}

/// A tuple.
impl Answer for (usize, usize) {
    fn into_python(self) -> Result<Owned> {
        text::tuple(&[&*self.0.into_python()?, &*self.1.into_python()?])
    }
}

/// The value or `None`.
impl<A: Answer> Answer for Option<A> {
    #[inline(always)]
    fn into_python(self) -> Result<Owned> {
        self.map_or_else(|| Ok(text::none()), A::into_python)
    }
}

impl<A: Answer> Answer for Result<A> {
    #[inline(always)]
    fn into_python(self) -> Result<Owned> {
        self.and_then(A::into_python)
    }
}
