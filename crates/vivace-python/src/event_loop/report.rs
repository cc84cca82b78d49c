//! What the loop's exception handler and its log are told.

use super::Loop;
use crate::ffi::{Instance, Object, Result, names, text};

/// Whom a report about a connection names.
#[derive(Clone, Copy)]
pub(crate) struct Parties<'a> {
    pub(crate) transport: &'a Object,
    pub(crate) protocol: &'a Object,
}

impl Instance<Loop> {
    /// `call_exception_handler({'message': message, …})`.
    #[cold]
    pub(crate) fn report(&self, message: &str, details: &[(&Object, &Object)]) -> Result<()> {
        let context = text::dict()?;
        text::dict_set(&context, &names().message, &*text::string(message)?)?;
        for (name, value) in details {
            text::dict_set(&context, name, value)?;
        }
        self.object().call_method(&names().call_exception_handler, &[&context]).map(drop)
    }

    /// The same, of a failure that has to do with a connection.
    #[cold]
    pub(crate) fn report_connection(
        &self,
        message: &str,
        exception: &Object,
        connection: Parties<'_>,
    ) -> Result<()> {
        let names = names();
        let details = [
            (&*names.exception, exception),
            (&*names.transport, connection.transport),
            (&*names.protocol, connection.protocol),
        ];
        self.report(message, &details)
    }

    /// A connection was accepted, and nothing came of it; debug mode says so.
    #[cold]
    pub(crate) fn report_failed_accept(
        &self,
        exception: &Object,
        protocol: Option<&Object>,
        transport: Option<&Object>,
    ) -> Result<()> {
        if !self.debug() {
            return Ok(());
        }
        let mut details = vec![(&*names().exception, exception)];
        details.extend(protocol.map(|protocol| (&*names().protocol, protocol)));
        details.extend(transport.map(|transport| (&*names().transport, transport)));
        self.report("Error on transport creation for incoming connection", &details)
    }

    /// An error of the network is no fault of the program: debug mode has it in the log.
    #[cold]
    pub(crate) fn log_network_error(
        &self,
        subject: &Object,
        exception: &Object,
        message: &str,
    ) -> Result<()> {
        if !self.debug() {
            return Ok(());
        }
        let args = [subject, exception, &*text::string(message)?];
        self.object().call_method(&names().log_network_error, &args).map(drop)
    }
}
