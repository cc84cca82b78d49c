//! The text format of Prometheus, version 0.0.4.

use super::snapshot::{Family, Kind, Snapshot, Value};
use std::fmt::{self, Write as _};

/// The media type of `text`.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of a snapshot as Prometheus reads them.
pub fn text(snapshot: &Snapshot) -> String {
    let mut out = String::new();
    for family in &snapshot.families {
        write_family(&mut out, family).expect("invariant: writing to a string does not fail");
    }
    out
}

fn write_family(out: &mut String, family: &Family) -> fmt::Result {
    let Family { name, help, kind, samples } = family;
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    writeln!(out, "# HELP {name} {}", help.replace('\\', "\\\\").replace('\n', "\\n"))?;
    writeln!(out, "# TYPE {name} {kind}")?;
    for sample in samples {
        let labels = &sample.labels;
        match &sample.value {
            Value::Whole(number) => write_sample(out, name, "", labels, None, number)?,
            Value::Number(number) => write_sample(out, name, "", labels, None, number)?,
            Value::Histogram { bounds, counts, sum } => {
                let mut total = 0_u64;
                let bounds = bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
                for (bound, count) in bounds.zip(counts) {
                    total = total.saturating_add(*count);
                    write_sample(out, name, "_bucket", labels, Some(&bound), &total)?;
                }
                write_sample(out, name, "_sum", labels, None, sum)?;
                write_sample(out, name, "_count", labels, None, &total)?;
            }
        }
    }
    Ok(())
}

fn write_sample(
    out: &mut String,
    name: &str,
    suffix: &str,
    labels: &[(String, String)],
    bound: Option<&str>,
    value: &dyn fmt::Display,
) -> fmt::Result {
    write!(out, "{name}{suffix}")?;
    let mut separator = '{';
    let labels = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (label, value) in labels.chain(bound.map(|bound| ("le", bound))) {
        write!(out, "{separator}{label}=\"")?;
        for character in value.chars() {
            match character {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                other => out.push(other),
            }
        }
        out.push('"');
        separator = ',';
    }
    if separator == ',' {
        out.push('}');
    }
    writeln!(out, " {value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_as_it_is_written_down() {
        let histogram = Value::Histogram {
            bounds: vec![0.0005, 1.0, 2.5],
            counts: vec![1, 0, 2, 3],
            sum: 9.75,
        };
        let snapshot = Snapshot {
            processes: Vec::new(),
            families: vec![
                Family::new(Kind::Counter, "a_total", "With a \\ and a\nnewline.")
                    .with(&[("route", "/a\"b\\c\nd"), ("x", "\u{e9}")], Value::Whole(u64::MAX)),
                Family::new(Kind::Gauge, "b_seconds", "B.").with(&[], Value::Number(0.25)),
                Family::new(Kind::Histogram, "c_seconds", "C.").with(&[("r", "/")], histogram),
                Family::new(Kind::Gauge, "empty", "E."),
            ],
        };
        assert_eq!(
            text(&snapshot),
            "# HELP a_total With a \\\\ and a\\nnewline.\n\
             # TYPE a_total counter\n\
             a_total{route=\"/a\\\"b\\\\c\\nd\",x=\"\u{e9}\"} 18446744073709551615\n\
             # HELP b_seconds B.\n\
             # TYPE b_seconds gauge\n\
             b_seconds 0.25\n\
             # HELP c_seconds C.\n\
             # TYPE c_seconds histogram\n\
             c_seconds_bucket{r=\"/\",le=\"0.0005\"} 1\n\
             c_seconds_bucket{r=\"/\",le=\"1\"} 1\n\
             c_seconds_bucket{r=\"/\",le=\"2.5\"} 3\n\
             c_seconds_bucket{r=\"/\",le=\"+Inf\"} 6\n\
             c_seconds_sum{r=\"/\"} 9.75\n\
             c_seconds_count{r=\"/\"} 6\n\
             # HELP empty E.\n\
             # TYPE empty gauge\n"
        );
    }
}
