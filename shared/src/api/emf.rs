//! CloudWatch's embedded metric format: lines of the log that CloudWatch makes metrics of.
//!
//! `metrique` writes the format. Its macros and queues are for programs with many threads; here one line is written at the end of
//! an invocation, so that its two lower crates are enough. `docs/MONITORING.md` has what they cost.

use std::borrow::Cow;
use std::io::{Write, stdout};

use metrique_writer_core::config::EntryDimensions;
use metrique_writer_core::format::Format;
use metrique_writer_core::unit::NegativeScale;
use metrique_writer_core::value::{MetricFlags, Observation, Value, ValueWriter};
use metrique_writer_core::{Entry, EntryWriter, IoStreamError};
use metrique_writer_format_emf::Emf;

use crate::model::measurement::{Dimensions, Measurement, Unit};

/// Writes the measurements to the standard output, from which Lambda takes the log.
pub(super) fn write(namespace: &str, measurements: &[Measurement]) {
    let written = lines(namespace, measurements).and_then(|lines| Ok(stdout().lock().write_all(&lines)?));
    if let Err(error) = written {
        tracing::error!("the metrics are not written: {error}");
    }
}

/// The measurements as lines, one for each run of measurements that are kept under the same dimensions.
fn lines(namespace: &str, measurements: &[Measurement]) -> Result<Vec<u8>, IoStreamError> {
    // The sets of a line are multiplied with these: by one empty set they stay as they are.
    let mut emf = Emf::builder(namespace.to_owned(), vec![vec![]]).build();
    let mut lines = Vec::new();
    for together in measurements.chunk_by(|one, next| one.dimensions == next.dimensions) {
        emf.format(&Line::new(together), &mut lines)?;
    }
    Ok(lines)
}

/// Measurements that are kept under the same dimensions.
struct Line<'a> {
    names: EntryDimensions,
    measurements: &'a [Measurement],
}

impl<'a> Line<'a> {
    fn new(measurements: &'a [Measurement]) -> Self {
        let names = |set: &Dimensions| set.iter().map(|(name, _)| Cow::Borrowed(*name)).collect::<Vec<_>>().into();
        let sets = measurements.first().map(|one| one.dimensions.iter().map(names).collect::<Vec<_>>());
        Self { names: EntryDimensions::new(sets.unwrap_or_default().into()), measurements }
    }
}

impl Entry for Line<'_> {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        writer.config(&self.names);
        let mut dimensions: Dimensions =
            self.measurements.first().map(|one| one.dimensions.concat()).unwrap_or_default();
        dimensions.sort();
        dimensions.dedup();
        for (name, value) in dimensions {
            writer.value(name, &value);
        }
        for one in self.measurements {
            writer.value(one.metric.name, &Number(one));
        }
    }
}

/// The value of a measurement with its unit.
struct Number<'a>(&'a Measurement);

impl Value for Number<'_> {
    fn write(&self, writer: impl ValueWriter) {
        let unit = match self.0.metric.unit {
            Unit::Count => metrique_writer_core::Unit::Count,
            Unit::Milliseconds => metrique_writer_core::Unit::Second(NegativeScale::Milli),
        };
        writer.metric([Observation::Floating(self.0.value)], unit, [], MetricFlags::empty());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::model::measurement::Metric;

    /// The lines as JSON, each without its time.
    fn written(measurements: &[Measurement]) -> Vec<Value> {
        let lines = String::from_utf8(lines("CML/lab", measurements).unwrap()).unwrap();
        assert!(lines.is_empty() || lines.ends_with('\n'));
        let read = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let at = line["_aws"].as_object_mut().unwrap().remove("Timestamp").unwrap();
            assert!(at.as_u64().is_some_and(|at| at > 1_700_000_000_000), "milliseconds: {at}");
            line
        };
        lines.lines().map(read).collect()
    }

    fn directive(dimensions: Value, metrics: &[(&str, &str)]) -> Value {
        let metrics = metrics.iter().map(|(name, unit)| json!({"Name": name, "Unit": unit})).collect::<Vec<_>>();
        json!({"CloudWatchMetrics": [{"Namespace": "CML/lab", "Dimensions": dimensions, "Metrics": metrics}]})
    }

    #[test]
    fn measurements_of_the_same_dimensions_share_a_line() {
        let operation = || vec![Vec::new(), vec![("Operation", "health".to_owned())]];
        let code = vec![("Operation", "health".to_owned()), ("Code", "a \"b\"\n".to_owned())];
        let measured = [
            Measurement::count(Metric::REQUESTS, 1, &operation()),
            Measurement::time(Metric::LATENCY, Duration::from_micros(12_500), &operation()),
            Measurement::count(Metric::ERRORS, 2, &[code]),
            Measurement::count(Metric::SWEEPS, 1, &[Vec::new()]),
        ];
        assert_eq!(
            written(&measured),
            [
                json!({
                    "_aws": directive(json!([[], ["Operation"]]), &[("Requests", "Count"), ("Latency", "Milliseconds")]),
                    "Operation": "health", "Requests": 1, "Latency": 12.5,
                }),
                json!({
                    "_aws": directive(json!([["Operation", "Code"]]), &[("Errors", "Count")]),
                    "Operation": "health", "Code": "a \"b\"\n", "Errors": 2,
                }),
                json!({"_aws": directive(json!([[]]), &[("Sweeps", "Count")]), "Sweeps": 1}),
            ]
        );
        assert_eq!(written(&[]), Vec::<Value>::new());
    }
}
