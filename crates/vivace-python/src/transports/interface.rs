//! The interface of a stream transport, as Python sees it: names, arguments and documentation of
//! an `asyncio.Transport`, once for a plain connection and for one within TLS.

use vivace_core::stream::flow_control::Marks;

use crate::event_loop::Loop;
use crate::ffi::bytes::Bytes;
use crate::ffi::{
    Args, Builtin, Class, ClassBuilder, Instance, Object, Owned, Ref, Result, raise, text,
};

/// What a class has to be able to do to have the interface.
pub(crate) trait StreamTransport: Class {
    const CAN_WRITE_EOF: bool;
    /// The high-water mark of writing when none is given, in bytes.
    const WRITE_HIGH: usize;

    fn write(this: &Instance<Self>, data: &Object) -> Result<()>;
    fn write_lines(this: &Instance<Self>, pieces: Vec<Bytes>) -> Result<()>;
    fn write_eof(this: &Instance<Self>) -> Result<()>;
    fn close(this: &Instance<Self>) -> Result<()>;
    fn force_close(this: &Instance<Self>, exception: Option<&Object>) -> Result<()>;
    fn is_closing(this: &Instance<Self>) -> bool;
    fn is_reading(this: &Instance<Self>) -> Result<bool>;
    fn pause_reading(this: &Instance<Self>) -> Result<()>;
    fn resume_reading(this: &Instance<Self>) -> Result<()>;
    /// The protocol, or `None`.
    fn protocol(this: &Instance<Self>) -> Owned;
    fn set_protocol(this: &Instance<Self>, protocol: &Object) -> Result<()>;
    fn event_loop(this: &Instance<Self>) -> Option<Ref<Loop>>;
    fn extra_info(this: &Instance<Self>, name: &Object, default: &Object) -> Result<Owned>;
    fn set_write_marks(this: &Instance<Self>, marks: Marks) -> Result<()>;
    fn write_marks(this: &Instance<Self>) -> Result<Marks>;
    fn write_buffer_size(this: &Instance<Self>) -> Result<usize>;
    fn is_writing_paused(this: &Instance<Self>) -> Result<bool>;
}

/// The marks of `function(high=None, low=None)`.
pub(crate) fn marks_given(args: &Args<'_>, function: &str, default_high: usize) -> Result<Marks> {
    let [high, low] = args.parse(function, ["high", "low"], 0, 2)?;
    let number = |value: Option<&Object>| match value.filter(|value| !value.is_none()) {
        Some(value) => text::to_i64(value).map(Some),
        None => Ok(None),
    };
    Marks::derive(number(high)?, number(low)?, default_high).map_err(|bad| {
        let message = format!("high ({}) must be >= low ({}) must be >= 0", bad.high, bad.low);
        raise(Builtin::Value, &message)
    })
}

/// The exception and the message of `_fatal_error(exc, message='Fatal error on transport')`.
pub(crate) fn fatal_error_given<'a>(args: &Args<'a>) -> Result<(&'a Object, String)> {
    let [exception, message] = args.parse("_fatal_error", ["exc", "message"], 1, 2)?;
    let message =
        message.map_or_else(|| "Fatal error on transport".to_owned(), text::to_string_lossy);
    Ok((exception.unwrap_or(text::none_ref()), message))
}

fn write_lines<T: StreamTransport>(this: &Instance<T>, args: &Args<'_>) -> Result<()> {
    let mut pieces = Vec::new();
    for piece in text::iterate(args.only("writelines", "list_of_data")?)? {
        pieces.push(Bytes::from_data(&piece)?);
    }
    T::write_lines(this, pieces)
}

fn get_extra_info<T: StreamTransport>(this: &Instance<T>, args: &Args<'_>) -> Result<Owned> {
    let [name, default] = args.parse("get_extra_info", ["name", "default"], 1, 2)?;
    let none = text::none_ref();
    T::extra_info(this, name.unwrap_or(none), default.unwrap_or(none))
}

/// The interface; what else a class has, it adds itself.
pub(crate) fn with_interface<T: StreamTransport>(builder: ClassBuilder<T>) -> ClassBuilder<T> {
    with_reading(with_writing(builder))
        .noargs(c"close", c"Closes once everything is sent.", |this: &Instance<T>| T::close(this))
        .noargs(c"abort", c"Closes at once; unsent data is dropped.", |this: &Instance<T>| {
            T::force_close(this, None)
        })
        .onearg(
            c"_force_close",
            c"Closes at once because of an error.",
            |this: &Instance<T>, exception: &Object| {
                T::force_close(this, (!exception.is_none()).then_some(exception))
            },
        )
        .noargs(c"is_closing", c"Whether it is closing or closed.", |this: &Instance<T>| {
            T::is_closing(this)
        })
        .keywords(
            c"set_protocol",
            c"set_protocol($self, /, protocol)\n--\n\nChanges the protocol.",
            |this: &Instance<T>, args: &Args<'_>| {
                T::set_protocol(this, args.only("set_protocol", "protocol")?)
            },
        )
        .noargs(c"get_protocol", c"The protocol.", |this: &Instance<T>| T::protocol(this))
        .keywords(
            c"get_extra_info",
            c"get_extra_info($self, /, name, default=None)\n--\n\n\
              What is known of the connection.",
            get_extra_info,
        )
        .getter(c"_protocol", |this: &Instance<T>| T::protocol(this))
        .getter(c"_loop", |this: &Instance<T>| T::event_loop(this))
        .getter(c"_start_tls_compatible", |_this: &Instance<T>| true)
}

fn with_writing<T: StreamTransport>(builder: ClassBuilder<T>) -> ClassBuilder<T> {
    builder
        .keywords(
            c"write",
            c"write($self, /, data)\n--\n\nQueues bytes; they leave at the end of the turn.",
            |this: &Instance<T>, args: &Args<'_>| T::write(this, args.only("write", "data")?),
        )
        .keywords(
            c"writelines",
            c"writelines($self, /, list_of_data)\n--\n\nQueues several pieces.",
            write_lines,
        )
        .noargs(c"write_eof", c"Half-closes, where that is possible.", |this: &Instance<T>| {
            T::write_eof(this)
        })
        .noargs(c"can_write_eof", c"Whether write_eof() is possible.", |_this: &Instance<T>| {
            T::CAN_WRITE_EOF
        })
        .keywords(
            c"set_write_buffer_limits",
            c"set_write_buffer_limits($self, /, high=None, low=None)\n--\n\n\
              When to pause and to resume the protocol, in bytes.",
            |this: &Instance<T>, args: &Args<'_>| {
                T::set_write_marks(
                    this,
                    marks_given(args, "set_write_buffer_limits", T::WRITE_HIGH)?,
                )
            },
        )
        .noargs(c"get_write_buffer_limits", c"(low, high), in bytes.", |this: &Instance<T>| {
            T::write_marks(this).map(|marks| (marks.low, marks.high))
        })
        .noargs(c"get_write_buffer_size", c"Bytes that wait to be sent.", |this: &Instance<T>| {
            T::write_buffer_size(this)
        })
        .getter(c"_protocol_paused", |this: &Instance<T>| T::is_writing_paused(this))
}

fn with_reading<T: StreamTransport>(builder: ClassBuilder<T>) -> ClassBuilder<T> {
    builder
        .noargs(c"is_reading", c"Whether incoming data is delivered.", |this: &Instance<T>| {
            T::is_reading(this)
        })
        .noargs(
            c"pause_reading",
            c"Delivers nothing until resume_reading().",
            |this: &Instance<T>| T::pause_reading(this),
        )
        .noargs(c"resume_reading", c"Delivers incoming data again.", |this: &Instance<T>| {
            T::resume_reading(this)
        })
}
