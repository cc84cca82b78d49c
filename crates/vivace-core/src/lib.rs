//! The event loop without Python.
#![forbid(unsafe_code)]
