//! The numbers of each invocation, as CloudWatch keeps them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::api::emf;
use crate::api::invocation::Invocation;
use crate::config::Config;
use crate::error::Error;
use crate::error::problem::{code_name, status_and_title};
use crate::model::document::Document;
use crate::model::measurement::{Measurement, Metric};

/// Whether the execution environment has not served an invocation yet.
static IS_COLD: AtomicBool = AtomicBool::new(true);

/// Writes the measurements of an invocation to the log, if the deployment wants metrics.
pub(super) fn write<D: Document>(config: &Config, invocation: &Invocation<'_>, result: &Result<D, Error>) {
    let is_cold = IS_COLD.swap(false, Ordering::Relaxed);
    if let Some(namespace) = &config.metrics_namespace {
        emf::write(namespace, &measurements(invocation, result, is_cold));
    }
}

fn measurements<D: Document>(
    invocation: &Invocation<'_>,
    result: &Result<D, Error>,
    is_cold: bool,
) -> Vec<Measurement> {
    let operation = vec![("Operation", invocation.operation.name.to_owned())];
    let each = [Vec::new(), operation.clone()];
    let count = |metric, count| Measurement::count(metric, count, &each);
    let latency = match invocation.has_waited() {
        true => Measurement::time(Metric::LATENCY_WITH_WAIT, invocation.latency, &[operation]),
        false => Measurement::time(Metric::LATENCY, invocation.latency, &each),
    };
    let mut measurements = vec![
        count(Metric::REQUESTS, 1),
        count(Metric::FAULTS, is_fault(invocation, result).into()),
        count(Metric::AWS_CALLS, invocation.calls.begun()),
        count(Metric::AWS_RETRIES, invocation.calls.retries()),
        count(Metric::COLD_STARTS, is_cold.into()),
        latency,
    ];
    measurements.extend(errors(invocation, result));
    measurements.extend(result.iter().flat_map(Document::measurements));
    measurements
}

/// Whether it was answered with 500 or above, or failed without a request.
fn is_fault<D: Document>(invocation: &Invocation<'_>, result: &Result<D, Error>) -> bool {
    match result {
        Ok(document) => document.status() >= 500 || document.failure().is_some(),
        Err(error) => invocation.request.is_none() || status_and_title(error.code).0 >= 500,
    }
}

/// The error, or those of the instances that a call on many failed for, counted by code and by missing permission.
fn errors<D: Document>(invocation: &Invocation<'_>, result: &Result<D, Error>) -> Vec<Measurement> {
    let errors: Vec<&Error> = match result {
        Ok(document) => {
            document.effects().into_iter().filter_map(|effect| effect.result.err()).chain(document.failure()).collect()
        }
        Err(error) => vec![error],
    };
    let mut by_code: BTreeMap<String, usize> = BTreeMap::new();
    for error in &errors {
        *by_code.entry(code_name(error.code).unwrap_or_default()).or_default() += 1;
    }
    let operation = || ("Operation", invocation.operation.name.to_owned());
    let by_code = by_code.into_iter();
    let by_code =
        by_code.map(|(code, count)| Measurement::count(Metric::ERRORS, count, &[vec![operation(), ("Code", code)]]));
    by_code.chain(Measurement::missing(errors.iter().filter_map(|error| error.missing_permission()))).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::aws::calls::Calls;
    use crate::error::{Code, Denial};
    use crate::model::document::Effect;
    use crate::ops::stop_instance::OPERATION;
    use crate::testing::event;

    /// An answer with a status, failed instances and a number of its own.
    #[derive(serde::Serialize)]
    struct Answer {
        status: u16,
        #[serde(skip)]
        failed: Vec<Error>,
    }

    impl Document for Answer {
        fn status(&self) -> u16 {
            self.status
        }

        fn effects(&self) -> Vec<Effect<'_>> {
            self.failed.iter().map(|error| Effect { instance_id: "i-1", result: Err(error) }).collect()
        }

        fn measurements(&self) -> Vec<Measurement> {
            vec![Measurement::count(Metric::SWEEPS, 1, &[Vec::new()])]
        }
    }

    /// The values of a metric, each with the names and values of one set of its dimensions.
    fn values(measurements: &[Measurement], metric: Metric) -> Vec<(f64, String)> {
        let own = measurements.iter().filter(|one| one.metric == metric);
        let text = |set: &crate::model::measurement::Dimensions| {
            set.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
        };
        own.flat_map(|one| one.dimensions.iter().map(|set| (one.value, text(set))).collect::<Vec<_>>()).collect()
    }

    fn measured(query: Value, result: &Result<Answer, Error>, calls: &Calls, is_cold: bool) -> Vec<Measurement> {
        let event = event(json!({}), query, "");
        measured_of(Some(&event), result, calls, is_cold)
    }

    fn measured_of(
        request: Option<&lambda_http::Request>,
        result: &Result<Answer, Error>,
        calls: &Calls,
        is_cold: bool,
    ) -> Vec<Measurement> {
        let (context, latency) = (lambda_http::Context::default(), Duration::from_millis(12));
        let invocation = Invocation::of(&OPERATION, request, &context, calls, latency);
        measurements(&invocation, result, is_cold)
    }

    fn answer(status: u16) -> Result<Answer, Error> {
        Ok(Answer { status, failed: Vec::new() })
    }

    fn both(value: f64) -> Vec<(f64, String)> {
        vec![(value, String::new()), (value, "Operation=stop-instance".to_owned())]
    }

    #[test]
    fn each_invocation_is_counted_in_all_and_by_its_operation() {
        let mut calls = Calls::of(&[("DescribeInstances", true, "aws-1"), ("StopInstances", true, "aws-2")]);
        calls.attempts += 3;
        let measured = measured(Value::Null, &answer(200), &calls, true);
        for (metric, value) in [
            (Metric::REQUESTS, 1.0),
            (Metric::LATENCY, 12.0),
            (Metric::FAULTS, 0.0),
            (Metric::AWS_CALLS, 2.0),
            (Metric::AWS_RETRIES, 3.0),
            (Metric::COLD_STARTS, 1.0),
        ] {
            assert_eq!(values(&measured, metric), both(value), "{metric:?}");
        }
        assert_eq!(values(&measured, Metric::ERRORS), []);
        assert_eq!(values(&measured, Metric::SWEEPS), [(1.0, String::new())], "the answer's own");
    }

    #[test]
    fn a_wait_says_nothing_about_latency_and_a_warm_start_is_none() {
        let measured = measured(json!({"wait": ["stopped"]}), &answer(202), &Calls::default(), false);
        assert_eq!(values(&measured, Metric::LATENCY), []);
        assert_eq!(values(&measured, Metric::LATENCY_WITH_WAIT), [(12.0, "Operation=stop-instance".to_owned())]);
        assert_eq!(values(&measured, Metric::COLD_STARTS), both(0.0));
    }

    #[test]
    fn an_error_counts_by_its_code_and_as_a_fault_from_500_on() {
        for (code, name, fault) in [(Code::NotManaged, "not_managed", 0.0), (Code::AwsTimeout, "aws_timeout", 1.0)] {
            let measured = measured(Value::Null, &Err(Error::new(code, "no")), &Calls::default(), false);
            assert_eq!(values(&measured, Metric::FAULTS), both(fault));
            let dimensions = format!("Operation=stop-instance,Code={name}");
            assert_eq!(values(&measured, Metric::ERRORS), [(1.0, dimensions)]);
        }
        let measured = measured(Value::Null, &answer(503), &Calls::default(), false);
        assert_eq!(values(&measured, Metric::FAULTS), both(1.0), "an answer that says so itself");
    }

    #[test]
    fn a_missing_permission_is_named_for_one_instance_of_many_too() {
        let denial = Denial { action: "ec2:StopInstances".to_owned(), resource: None, by: None };
        let denied = Error { denial: Some(Box::new(denial)), ..Error::new(Code::MissingPermission, "no") };
        let named = [(1.0, "Permission=ec2:StopInstances".to_owned())];
        let of_many = Ok(Answer { status: 200, failed: vec![denied.clone()] });
        for result in [Err(denied), of_many] {
            let measured = measured(Value::Null, &result, &Calls::default(), false);
            assert_eq!(values(&measured, Metric::MISSING_PERMISSIONS), named);
            let code = "Operation=stop-instance,Code=missing_permission".to_owned();
            assert_eq!(values(&measured, Metric::ERRORS), [(1.0, code)]);
        }
    }

    #[test]
    fn an_event_without_a_request_fails_with_its_work() {
        let failed: Result<Answer, Error> = Err(Error::new(Code::InvalidRequest, "no"));
        for (result, fault) in [(answer(200), 0.0), (failed, 1.0)] {
            let measured = measured_of(None, &result, &Calls::default(), false);
            assert_eq!(values(&measured, Metric::FAULTS), both(fault));
        }
    }
}
