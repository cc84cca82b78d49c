//! Calls by vectorcall, and the parsing of a call that arrives by vectorcall.

use pyo3::ffi;

use super::error::{Builtin, Raised, Result, raise};
use super::object::{Object, Owned};
use super::running;
use super::text;

impl Object {
    /// `self(*args)`.
    #[inline]
    pub(crate) fn call(&self, args: &[&Self]) -> Result<Owned> {
        // SAFETY: `&Object` is a non-null object pointer (repr(transparent) behind a
        // reference), so the slice is an array of `PyObject*`.
        unsafe {
            Owned::from_new(running::vectorcall(
                self.as_ptr(),
                args.as_ptr().cast(),
                args.len(),
                std::ptr::null_mut(),
            ))
        }
    }

    /// `self(*args, **{name: value})` with the names as a tuple of strings.
    pub(crate) fn call_keywords(
        &self,
        args: &[&Self],
        positional: usize,
        names: &Self,
    ) -> Result<Owned> {
        debug_assert_eq!(args.len(), positional + text::tuple_len(names));
        // SAFETY: as in `call`; the last values belong to the names.
        unsafe {
            Owned::from_new(running::vectorcall(
                self.as_ptr(),
                args.as_ptr().cast(),
                positional,
                names.as_ptr(),
            ))
        }
    }

    /// `self(*tuple)`.
    pub(crate) fn call_tuple(&self, args: &Self) -> Result<Owned> {
        // SAFETY: live objects; a non-tuple is answered with TypeError.
        unsafe { Owned::from_new(running::call(self.as_ptr(), args.as_ptr())) }
    }

    /// `self.name(*args)`.
    #[inline]
    pub(crate) fn call_method(&self, name: &Self, args: &[&Self]) -> Result<Owned> {
        const INLINE: usize = 5;
        let count = args.len() + 1;
        if count <= INLINE {
            let mut array = [std::ptr::null_mut(); INLINE];
            array[0] = self.as_ptr();
            for (place, arg) in array[1..].iter_mut().zip(args) {
                *place = arg.as_ptr();
            }
            // SAFETY: the first `count` places are live objects.
            unsafe {
                Owned::from_new(running::vectorcall_method(name.as_ptr(), array.as_ptr(), count))
            }
        } else {
            self.getattr(name)?.call(args)
        }
    }
}

/// The arguments of a call, as vectorcall passes them.
pub(crate) struct Args<'a> {
    positional: &'a [&'a Object],
    keywords: &'a [&'a Object],
    names: Option<&'a Object>,
}

impl<'a> Args<'a> {
    /// # Safety
    /// `args` holds `nargs` objects and then one for each name of `names` (null or a tuple).
    #[inline(always)]
    pub(crate) unsafe fn from_raw(
        args: *const *mut ffi::PyObject,
        nargs: ffi::Py_ssize_t,
        names: *mut ffi::PyObject,
    ) -> Self {
        let (count, names) = if names.is_null() {
            (0, None)
        } else {
            // SAFETY: a tuple by the caller's promise.
            let names = unsafe { Object::from_ptr(names) };
            (text::tuple_len(names), Some(names))
        };
        if args.is_null() {
            return Self { positional: &[], keywords: &[], names };
        }
        // SAFETY: an array of live object pointers, borrowed for the call.
        unsafe {
            Self {
                positional: std::slice::from_raw_parts(args.cast(), nargs as usize),
                keywords: std::slice::from_raw_parts(args.add(nargs as usize).cast(), count),
                names,
            }
        }
    }

    /// The arguments of a `tp_init`, which come as a tuple and a dictionary.
    pub(crate) fn with_tuple<R>(
        tuple: &Object,
        dict: Option<&Object>,
        body: impl FnOnce(&Args<'_>) -> Result<R>,
    ) -> Result<R> {
        let positional: Vec<&Object> =
            (0..text::tuple_len(tuple)).map(|index| text::tuple_get(tuple, index)).collect();
        let mut names = Vec::new();
        let mut values = Vec::new();
        if let Some(dict) = dict {
            let mut position = 0;
            let mut key = std::ptr::null_mut();
            let mut value = std::ptr::null_mut();
            // SAFETY: a dictionary that nobody changes meanwhile; key and value are borrowed
            // and taken over at once.
            unsafe {
                while ffi::PyDict_Next(dict.as_ptr(), &mut position, &mut key, &mut value) != 0 {
                    names.push(Object::from_ptr(key).new_ref());
                    values.push(Object::from_ptr(value).new_ref());
                }
            }
        }
        let name_refs: Vec<&Object> = names.iter().map(|name| &**name).collect();
        let value_refs: Vec<&Object> = values.iter().map(|value| &**value).collect();
        let names = text::tuple(&name_refs)?;
        body(&Args { positional: &positional, keywords: &value_refs, names: Some(&names) })
    }

    #[inline(always)]
    pub(crate) fn positional(&self) -> &'a [&'a Object] {
        self.positional
    }

    #[inline(always)]
    pub(crate) fn has_keywords(&self) -> bool {
        !self.keywords.is_empty()
    }

    /// The keywords, name by name.
    pub(crate) fn keywords(&self) -> impl Iterator<Item = (&'a Object, &'a Object)> {
        let names = self.names;
        self.keywords.iter().enumerate().map(move |(index, value)| {
            let names = names.expect("invariant: values come with their names");
            (text::tuple_get(names, index), *value)
        })
    }

    /// Sorts the arguments into the places of a signature.
    ///
    /// `names` are the parameters in order, `required` how many of them must be given,
    /// `by_position` how many may be given by position.
    pub(crate) fn parse<const N: usize>(
        &self,
        function: &str,
        names: [&str; N],
        required: usize,
        by_position: usize,
    ) -> Result<[Option<&'a Object>; N]> {
        let mut places = [None; N];
        let given = self.positional.len();
        if given > by_position {
            return Err(self.too_many(function, given, by_position));
        }
        for (place, value) in places.iter_mut().zip(self.positional) {
            *place = Some(*value);
        }
        for (name, value) in self.keywords() {
            let Some(index) = names.iter().position(|known| name_is(name, known)) else {
                let name = text::to_string_lossy(name);
                return Err(raise(
                    Builtin::Type,
                    &format!("{function}() got an unexpected keyword argument '{name}'"),
                ));
            };
            if places[index].is_some() {
                let name = names[index];
                return Err(raise(
                    Builtin::Type,
                    &format!("{function}() got multiple values for argument '{name}'"),
                ));
            }
            places[index] = Some(value);
        }
        if let Some(index) = places[..required].iter().position(Option::is_none) {
            let name = names[index];
            return Err(raise(
                Builtin::Type,
                &format!("{function}() missing required argument '{name}' (pos {})", index + 1),
            ));
        }
        Ok(places)
    }

    /// The one argument of a method, by position or by name.
    #[inline]
    pub(crate) fn only(&self, function: &str, name: &str) -> Result<&'a Object> {
        if let ([value], true) = (self.positional, self.keywords.is_empty()) {
            return Ok(value);
        }
        let [value] = self.parse(function, [name], 1, 1)?;
        Ok(value.expect("invariant: it is required"))
    }

    /// Sorts the arguments of `function(*names, *rest, context=None)`: `call_soon` and its kin.
    #[inline]
    pub(crate) fn with_rest<const N: usize>(
        &self,
        function: &str,
        names: [&str; N],
    ) -> Result<([&'a Object; N], &'a [&'a Object], Option<&'a Object>)> {
        if self.keywords.is_empty() {
            if let Some((first, rest)) = self.positional.split_first_chunk::<N>() {
                return Ok((*first, rest, None));
            }
        }
        self.with_rest_by_name(function, names)
    }

    fn with_rest_by_name<const N: usize>(
        &self,
        function: &str,
        names: [&str; N],
    ) -> Result<([&'a Object; N], &'a [&'a Object], Option<&'a Object>)> {
        let mut places = [None; N];
        for (place, value) in places.iter_mut().zip(self.positional) {
            *place = Some(*value);
        }
        let mut context = None;
        for (name, value) in self.keywords() {
            if name_is(name, "context") {
                context = (!value.is_none()).then_some(value);
                continue;
            }
            let text = text::to_string_lossy(name);
            match names.iter().position(|known| *known == text) {
                Some(index) if places[index].is_none() => places[index] = Some(value),
                Some(_) => {
                    return Err(raise(
                        Builtin::Type,
                        &format!("{function}() got multiple values for argument '{text}'"),
                    ));
                }
                None => {
                    return Err(raise(
                        Builtin::Type,
                        &format!("{function}() got an unexpected keyword argument '{text}'"),
                    ));
                }
            }
        }
        let mut found = [text::none_ref(); N];
        for ((place, name), slot) in places.iter().zip(names).zip(&mut found) {
            let Some(value) = place else {
                return Err(raise(
                    Builtin::Type,
                    &format!("{function}() missing 1 required positional argument: '{name}'"),
                ));
            };
            *slot = value;
        }
        Ok((found, self.positional.get(N..).unwrap_or_default(), context))
    }

    #[cold]
    fn too_many(&self, function: &str, given: usize, accepted: usize) -> Raised {
        raise(
            Builtin::Type,
            &format!("{function}() takes {accepted} positional arguments but {given} were given"),
        )
    }
}

/// `name == known` for a str and a Rust name.
fn name_is(name: &Object, known: &str) -> bool {
    let mut length = 0;
    // SAFETY: a live str (keyword names are); the buffer is compared at once.
    unsafe {
        let data = ffi::PyUnicode_AsUTF8AndSize(name.as_ptr(), &mut length);
        if data.is_null() {
            ffi::PyErr_Clear();
            return false;
        }
        std::slice::from_raw_parts(data.cast::<u8>(), length as usize) == known.as_bytes()
    }
}
