//! The worker's side: a thread that answers the parent, also while the loop is blocked.

use super::{check_peer, frame};
use crate::metrics::Registry;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a parent that does not read may hold a worker up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// Tells the parent what this worker counts. When it is dropped, it tells it a last time.
#[derive(Debug)]
pub struct Reporter {
    registry: Arc<Registry>,
    stream: Arc<Mutex<UnixStream>>,
}

impl Reporter {
    /// Connects to the collector at `address` and starts the thread.
    ///
    /// # Errors
    ///
    /// If there is no collector, or it is another user's.
    pub fn start(address: &str, registry: Arc<Registry>) -> io::Result<Self> {
        let stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(address)?)?;
        check_peer(&stream)?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        let questions = stream.try_clone()?;
        let stream = Arc::new(Mutex::new(stream));
        let reporter = Self { registry, stream };
        let (registry, stream) = (Arc::clone(&reporter.registry), Arc::clone(&reporter.stream));
        std::thread::Builder::new()
            .name("vivace-report".to_owned())
            .spawn(move || answer(questions, &stream, &registry))?;
        Ok(reporter)
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        let _ = send(&self.stream, &self.registry);
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        // Ends the thread.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// Answers until the parent or the reporter is gone.
fn answer(mut questions: UnixStream, stream: &Mutex<UnixStream>, registry: &Registry) {
    let mut buffer = [0; 64];
    loop {
        // Several questions at once have one answer.
        match questions.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        }
        if send(stream, registry).is_err() {
            // Half a frame may be on its way: the parent must not take the next for its rest.
            let _ = questions.shutdown(Shutdown::Both);
            return;
        }
    }
}

fn send(stream: &Mutex<UnixStream>, registry: &Registry) -> io::Result<()> {
    let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
    // Made under the lock, so that the last frame holds the last numbers.
    stream.write_all(&frame::encode(&registry.snapshot())?)
}
