//! Keeps findings for whoever runs inside the process and wants them: the plugin for pytest.

use std::sync::{Arc, Mutex, Once, PoisonError};

use pyo3::prelude::*;
use vivace_see::finding::{Finding, Origin};
use vivace_see::report::Listener;

use super::reporter;

/// So many are kept, if nobody fetches them.
const MOST: usize = 10_000;

static HEARD: Mutex<Vec<Arc<str>>> = Mutex::new(Vec::new());

struct Keeper;

impl Listener for Keeper {
    fn found(&self, _finding: &Finding, _origin: &Origin, json: &str) {
        let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() < MOST {
            heard.push(json.into());
        }
    }
}

/// `see_heard()`: the findings since the last call, each as one line of JSON. The first call begins
/// to keep them. Each call forgets what was reported before, so that the next finding of the same
/// place is not kept back as a repetition.
#[pyfunction]
pub(super) fn see_heard(py: Python<'_>) -> Vec<String> {
    static BEGIN: Once = Once::new();
    // Another thread may be reporting, and may need the GIL for it.
    py.detach(|| {
        BEGIN.call_once(|| reporter().listen(Box::new(Keeper)));
        reporter().forget();
        let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *heard).iter().map(|json| json.to_string()).collect()
    })
}
