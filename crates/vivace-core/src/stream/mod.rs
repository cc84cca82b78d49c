//! What a connection needs that is neither Python nor a system call.

pub mod flow_control;
pub mod tls_records;
pub mod write_queue;
