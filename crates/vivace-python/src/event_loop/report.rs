//! What the loop's exception handler and its log are told.

use super::Loop;
use crate::ffi::{Instance, Object, Result, names, text};

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
        transport: &Object,
        protocol: &Object,
    ) -> Result<()> {
        let names = names();
        let details = [
            (&*names.exception, exception),
            (&*names.transport, transport),
            (&*names.protocol, protocol),
        ];
        self.report(message, &details)
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
