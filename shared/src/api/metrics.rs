//! The numbers of each invocation, as CloudWatch keeps them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lambda_http::RequestExt;

use crate::api::emf;
use crate::aws::calls::Calls;
use crate::config::Config;
use crate::error::Error;
use crate::error::problem::{code_name, status_and_title};
use crate::model::document::Document;
use crate::model::measurement::{Measurement, Metric};
use crate::model::operation::Operation;

/// Whether the execution environment has not served an invocation yet.
static IS_COLD: AtomicBool = AtomicBool::new(true);

/// Writes the measurements of an invocation to the log, if the deployment wants metrics.
pub(super) fn write(config: &Config, invocation: &Invocation<'_>) {
    let is_cold = IS_COLD.swap(false, Ordering::Relaxed);
    if let Some(namespace) = &config.metrics_namespace {
        emf::write(namespace, &invocation.measurements(is_cold));
    }
}

/// What is measured of one invocation.
#[derive(Debug)]
pub(super) struct Invocation<'a> {
    operation: &'a Operation,
    calls: &'a Calls,
    latency: Duration,
    /// Whether the caller asked to wait for a state, so that the time says nothing about the function.
    waited: bool,
    is_fault: bool,
    errors: Vec<&'a Error>,
    /// What the answer adds.
    own: Vec<Measurement>,
}

impl<'a> Invocation<'a> {
    /// The invocation that a request made.
    pub(super) fn of_request<D: Document>(
        operation: &'a Operation,
        event: &lambda_http::Request,
        result: &'a Result<D, Error>,
        calls: &'a Calls,
        latency: Duration,
    ) -> Self {
        let waited = event.query_string_parameters().first("wait").is_some();
        let status = match result {
            Ok(document) => document.status(),
            Err(error) => status_and_title(error.code).0,
        };
        Self { waited, is_fault: status >= 500, ..Self::of_event(operation, result, calls, latency) }
    }

    /// The invocation that another event made. It failed if its work did.
    pub(super) fn of_event<D: Document>(
        operation: &'a Operation,
        result: &'a Result<D, Error>,
        calls: &'a Calls,
        latency: Duration,
    ) -> Self {
        let (errors, own) = match result {
            Ok(document) => {
                let errors = document.effects().into_iter().filter_map(|effect| effect.changed.err());
                (errors.collect(), document.measurements())
            }
            Err(error) => (vec![error], Vec::new()),
        };
        Self { operation, calls, latency, waited: false, is_fault: result.is_err(), errors, own }
    }

    fn measurements(&self, is_cold: bool) -> Vec<Measurement> {
        let operation = ("Operation", self.operation.name.to_owned());
        let each = [Vec::new(), vec![operation.clone()]];
        let count = |metric, count| Measurement::count(metric, count, &each);
        let latency = if self.waited { Metric::LatencyWithWait } else { Metric::Latency };
        let mut measurements = vec![
            count(Metric::Requests, 1),
            Measurement::new(latency, self.latency.as_secs_f64() * 1000.0, &each),
            count(Metric::Faults, self.is_fault.into()),
            count(Metric::AwsCalls, self.calls.begun),
            count(Metric::AwsRetries, self.calls.retries()),
            count(Metric::ColdStarts, is_cold.into()),
        ];
        let mut by_code: BTreeMap<String, usize> = BTreeMap::new();
        for error in &self.errors {
            *by_code.entry(code_name(error.code).unwrap_or_default()).or_default() += 1;
        }
        measurements.extend(by_code.into_iter().map(|(code, count)| {
            Measurement::count(Metric::Errors, count, &[vec![operation.clone(), ("Code", code)]])
        }));
        measurements.extend(Measurement::missing(self.errors.iter().filter_map(|error| error.missing_permission())));
        measurements.extend(self.own.iter().cloned());
        measurements
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
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
            self.failed.iter().map(|error| Effect { instance_id: "i-1", changed: Err(error) }).collect()
        }

        fn measurements(&self) -> Vec<Measurement> {
            vec![Measurement::count(Metric::Sweeps, 1, &[Vec::new()])]
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

    fn measured(query: Value, result: Result<Answer, Error>, calls: &Calls, is_cold: bool) -> Vec<Measurement> {
        let event = event(json!({}), query, "");
        let latency = Duration::from_millis(12);
        Invocation::of_request(&OPERATION, &event, &result, calls, latency).measurements(is_cold)
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
        let measured = measured(Value::Null, answer(200), &calls, true);
        for (metric, value) in [
            (Metric::Requests, 1.0),
            (Metric::Latency, 12.0),
            (Metric::Faults, 0.0),
            (Metric::AwsCalls, 2.0),
            (Metric::AwsRetries, 3.0),
            (Metric::ColdStarts, 1.0),
        ] {
            assert_eq!(values(&measured, metric), both(value), "{metric:?}");
        }
        assert_eq!(values(&measured, Metric::Errors), []);
        assert_eq!(values(&measured, Metric::Sweeps), [(1.0, String::new())], "the answer's own");
    }

    #[test]
    fn a_wait_says_nothing_about_latency_and_a_warm_start_is_none() {
        let measured = measured(json!({"wait": ["stopped"]}), answer(202), &Calls::default(), false);
        assert_eq!(values(&measured, Metric::Latency), []);
        assert_eq!(values(&measured, Metric::LatencyWithWait), both(12.0));
        assert_eq!(values(&measured, Metric::ColdStarts), both(0.0));
    }

    #[test]
    fn an_error_counts_by_its_code_and_as_a_fault_from_500_on() {
        for (code, name, fault) in [(Code::NotManaged, "not_managed", 0.0), (Code::AwsTimeout, "aws_timeout", 1.0)] {
            let measured = measured(Value::Null, Err(Error::new(code, "no")), &Calls::default(), false);
            assert_eq!(values(&measured, Metric::Faults), both(fault));
            let dimensions = format!("Operation=stop-instance,Code={name}");
            assert_eq!(values(&measured, Metric::Errors), [(1.0, dimensions)]);
        }
        let measured = measured(Value::Null, answer(503), &Calls::default(), false);
        assert_eq!(values(&measured, Metric::Faults), both(1.0), "an answer that says so itself");
    }

    #[test]
    fn a_missing_permission_is_named_for_one_instance_of_many_too() {
        let denial = Denial { action: "ec2:StopInstances".to_owned(), resource: None, by: None };
        let denied = Error { denial: Some(Box::new(denial)), ..Error::new(Code::MissingPermission, "no") };
        let named = [(1.0, String::new()), (1.0, "Permission=ec2:StopInstances".to_owned())];
        let of_many = Ok(Answer { status: 200, failed: vec![denied.clone()] });
        for result in [Err(denied), of_many] {
            let measured = measured(Value::Null, result, &Calls::default(), false);
            assert_eq!(values(&measured, Metric::MissingPermissions), named);
            let code = "Operation=stop-instance,Code=missing_permission".to_owned();
            assert_eq!(values(&measured, Metric::Errors), [(1.0, code)]);
        }
    }

    #[test]
    fn an_event_without_a_request_fails_with_its_work() {
        let (calls, latency) = (Calls::default(), Duration::from_millis(12));
        let failed: Result<Answer, Error> = Err(Error::new(Code::InvalidRequest, "no"));
        for (result, fault) in [(answer(200), 0.0), (failed, 1.0)] {
            let measured = Invocation::of_event(&OPERATION, &result, &calls, latency).measurements(false);
            assert_eq!(values(&measured, Metric::Faults), both(fault));
        }
    }
}
