//! What the access log counts, among the metrics.

use super::registry::Source;
use super::snapshot::{Family, Kind, Value};
use crate::access_log::Flusher;

impl Source for Flusher {
    fn collect(&self, families: &mut Vec<Family>) {
        let statistics = self.statistics();
        for (name, help, count) in [
            (
                "vivace_access_log_lines_total",
                "Lines of the access log that were queued.",
                statistics.accepted,
            ),
            (
                "vivace_access_log_lines_lost_total",
                "Lines of the access log that were not queued, or not written.",
                statistics.lost,
            ),
        ] {
            families.push(Family::new(Kind::Counter, name, help).with(&[], Value::Whole(count)));
        }
    }
}
