//! The operating system calls of vivace.
