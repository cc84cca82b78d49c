//! The file of a process, which other processes read without its help: `<pid>.ring`.
//!
//! | file | what |
//! |---|---|
//! | `layout` | where what stands in it |
//! | `writer` | what the process writes |
//! | `reader` | what others read, whatever the bytes are |
//! | `places` | the folders of such files, which of them are stale |

pub mod layout;
pub mod places;
pub mod reader;
pub mod writer;
