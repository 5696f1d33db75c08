//! What the log says of the instances that a request was about.

use lambda_http::RequestExt;

use crate::api::invocation::Invocation;
use crate::api::request::{self, IDEMPOTENCY_KEY};
use crate::error::Error;
use crate::model::document::{Document, Effect};

/// Who asked for a mutation, and how. It is the same for all instances of the request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Audit {
    /// The ARN of the signer; unknown outside API Gateway.
    pub(super) caller: Option<String>,
    /// Whether the caller asked for permission only.
    pub(super) is_dry_run: bool,
    /// Whether the request had an `Idempotency-Key`.
    pub(super) has_key: bool,
}

/// What a mutation did to one instance, or the failure of an operation that only reads.
#[derive(Debug, Default)]
pub(super) struct LogLine<'a> {
    /// The instance, if the request or the answer names one.
    pub(super) instance_id: Option<String>,
    /// Whether the instance was changed; unknown if AWS may have carried out a call that failed.
    pub(super) changed: Option<bool>,
    /// If something was changed, AWS's ids of the requests that did it; otherwise the id of the one that AWS refused.
    pub(super) aws_request_id: Option<String>,
    /// What went wrong.
    pub(super) error: Option<&'a Error>,
}

impl Audit {
    pub(super) fn of(event: &lambda_http::Request) -> Self {
        Self {
            caller: request::identity(event).arn,
            is_dry_run: event.query_string_parameters().first("dry_run") == Some("true"),
            has_key: event.headers().contains_key(IDEMPOTENCY_KEY),
        }
    }
}

impl<'a> LogLine<'a> {
    fn of(instance_id: Option<&str>, result: Result<bool, &'a Error>) -> Self {
        let effect = Effect { instance_id: instance_id.unwrap_or_default(), result };
        let error = result.err();
        Self {
            instance_id: instance_id.map(str::to_owned),
            changed: effect.is_changed(),
            aws_request_id: error.and_then(|error| error.aws.as_ref()?.request_id.clone()),
            error,
        }
    }
}

/// A line for each instance that a mutation was about, and one for each failure of another operation.
pub(super) fn lines<'a, D: Document>(invocation: &Invocation<'_>, result: &'a Result<D, Error>) -> Vec<LogLine<'a>> {
    let mut lines: Vec<LogLine<'a>> = match result {
        Ok(document) => {
            document.effects().into_iter().map(|effect| LogLine::of(Some(effect.instance_id), effect.result)).collect()
        }
        Err(error) => named(invocation.request, Err(error)),
    };
    // What no request asks for has its own lines.
    if !invocation.operation.is_mutation() || invocation.request.is_none() {
        lines.retain(|line| line.error.is_some());
        return lines;
    }
    let has_changed = invocation.calls.have_changed(invocation.operation);
    if lines.is_empty() {
        lines = named(invocation.request, Ok(has_changed));
    }
    // An error does not undo what AWS carried out before it. With many instances the answer that says which they are is lost.
    if let [line] = &mut lines[..]
        && has_changed
    {
        line.changed = Some(true);
    }
    let ids = invocation.calls.ids_of_changes(invocation.operation).join(",");
    if !ids.is_empty() {
        let changed = lines.iter_mut().filter(|line| line.changed == Some(true));
        changed.for_each(|line| line.aws_request_id = Some(ids.clone()));
    }
    lines
}

/// A line for each instance that the request names, in its path or its body; one without an instance if it names none.
fn named<'a>(request: Option<&lambda_http::Request>, result: Result<bool, &'a Error>) -> Vec<LogLine<'a>> {
    let ids = request.map(request::instance_ids).unwrap_or_default();
    if ids.is_empty() {
        return vec![LogLine::of(None, result)];
    }
    ids.iter().map(|id| LogLine::of(Some(id), result)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::calls::Calls;
    use crate::error::Code;
    use crate::model::mutation::{Mutation, Permitted};
    use crate::model::operation::Operation;
    use crate::model::state::State;
    use crate::model::state_change::{InstanceResult, Outcome, Results, StateChange, StateChanges};
    use crate::model::status::InstanceStatus;
    use crate::ops::{get_instance_status, stop_instance, update_instance_tags};
    use crate::testing::{ID, event, read, worker};

    const OTHER: &str = "i-0fedcba9876543210";

    fn of_one() -> lambda_http::Request {
        event(json!({"region": "us-east-1", "instance_id": ID}), Value::Null, "")
    }

    /// What the log says: instance, changed, AWS's id, code.
    fn told<D: Document>(
        operation: &Operation,
        event: &lambda_http::Request,
        result: &Result<D, Error>,
        calls: &Calls,
    ) -> Vec<(Option<String>, Option<bool>, Option<String>, Option<Code>)> {
        let context = lambda_http::Context::default();
        let latency = std::time::Duration::ZERO;
        let invocation = Invocation { operation, request: Some(event), context: &context, calls, latency };
        let lines = lines(&invocation, result);
        let told = lines.into_iter();
        told.map(|line| (line.instance_id, line.changed, line.aws_request_id, line.error.map(|error| error.code)))
            .collect()
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn change(changed: bool) -> StateChange {
        let none = StateChange::none(&worker().instance_id, &read(&aws_sdk_ec2::types::Instance::builder().build()));
        StateChange { changed, current_state: State::Stopping, ..none }
    }

    type Stopped = Result<Mutation<StateChanges>, Error>;

    #[test]
    fn a_stop_has_one_line_with_awss_id_whether_it_changed_something_or_not() {
        let calls = Calls::of(&[("DescribeInstances", true, "aws-1"), ("StopInstances", true, "aws-2")]);
        let done: Stopped = Ok(Mutation::Done(StateChanges::One(change(true))));
        assert_eq!(
            told(&stop_instance::OPERATION, &of_one(), &done, &calls),
            [(some(ID), Some(true), some("aws-2"), None)]
        );
        let already: Stopped = Ok(Mutation::Done(StateChanges::One(change(false))));
        let calls = Calls::of(&[("DescribeInstances", true, "aws-1")]);
        assert_eq!(told(&stop_instance::OPERATION, &of_one(), &already, &calls), [(some(ID), Some(false), None, None)]);
    }

    #[test]
    fn a_dry_run_changes_nothing_though_ec2_was_asked() {
        let calls = Calls::of(&[("DescribeInstances", true, "aws-1"), ("StopInstances", false, "aws-2")]);
        let permitted: Stopped = Ok(Mutation::DryRun(Permitted::YES));
        assert_eq!(
            told(&stop_instance::OPERATION, &of_one(), &permitted, &calls),
            [(some(ID), Some(false), None, None)]
        );
    }

    #[test]
    fn a_change_of_tags_is_known_by_the_call() {
        let tags = || {
            Ok::<_, Error>(Mutation::Done(crate::model::instance_tags::InstanceTags {
                instance_id: worker().instance_id,
                managed: true,
                tags: Default::default(),
            }))
        };
        let calls = Calls::of(&[("DescribeInstances", true, "aws-1"), ("CreateTags", true, "aws-2")]);
        let line = (some(ID), Some(true), some("aws-2"), None);
        assert_eq!(told(&update_instance_tags::OPERATION, &of_one(), &tags(), &calls), [line]);
    }

    #[test]
    fn each_of_many_instances_has_its_line() {
        let id = |id: &str| id.to_owned().try_into().unwrap();
        let results = vec![
            InstanceResult { instance_id: id(ID), outcome: Ok(Outcome::Changed(change(true))) },
            InstanceResult { instance_id: id(OTHER), outcome: Err(Error::new(Code::NotManaged, "no")) },
        ];
        let many: Stopped = Ok(Mutation::Done(StateChanges::Many(Results(results))));
        let calls = Calls::of(&[("StopInstances", true, "aws-2")]);
        assert_eq!(
            told(&stop_instance::OPERATION, &of_one(), &many, &calls),
            [(some(ID), Some(true), some("aws-2"), None), (some(OTHER), Some(false), None, Some(Code::NotManaged)),]
        );
    }

    #[test]
    fn what_came_of_a_call_without_an_answer_is_unknown() {
        let late: Stopped = Err(Error::new(Code::AwsTimeout, "late"));
        let of_many = event(
            json!({"region": "us-east-1"}),
            Value::Null,
            &json!({"instance_ids": [ID, OTHER, "x\ny"]}).to_string(),
        );
        for (event, ids) in [(of_one(), vec![ID]), (of_many, vec![ID, OTHER])] {
            let unknown = |id: &&str| (some(id), None, None, Some(Code::AwsTimeout));
            let expected: Vec<_> = ids.iter().map(unknown).collect();
            assert_eq!(told(&stop_instance::OPERATION, &event, &late, &Calls::default()), expected);
        }
        assert_eq!(crate::model::document::outcome(true, None), "unknown");
    }

    #[test]
    fn what_ec2_carried_out_before_an_error_counts() {
        let taken_back: Stopped = Err(Error::new(Code::IncorrectState, "EC2 took it back"));
        let calls = Calls::of(&[("StopInstances", true, "aws-2")]);
        let line = (some(ID), Some(true), some("aws-2"), Some(Code::IncorrectState));
        assert_eq!(told(&stop_instance::OPERATION, &of_one(), &taken_back, &calls), [line]);
    }

    #[test]
    fn a_read_has_a_line_only_if_it_fails() {
        let refused = Error::new(Code::InstanceNotFound, "gone");
        let failed: Result<InstanceStatus, Error> = Err(refused);
        let line = (some(ID), Some(false), None, Some(Code::InstanceNotFound));
        assert_eq!(told(&get_instance_status::OPERATION, &of_one(), &failed, &Calls::default()), [line]);
        let instance = read(&aws_sdk_ec2::types::Instance::builder().build());
        let shown: Result<InstanceStatus, Error> = Ok(InstanceStatus::from_ec2(worker().instance_id, &instance, None));
        assert_eq!(told(&get_instance_status::OPERATION, &of_one(), &shown, &Calls::default()), []);
    }

    #[test]
    fn a_line_tells_who_asked_and_how() {
        let mut of_alice: Value = serde_json::from_str(include_str!("../../../events/stop-instance.json")).unwrap();
        of_alice["requestContext"]["identity"]["userArn"] = json!("arn:aws:iam::123456789012:user/alice");
        of_alice["multiValueQueryStringParameters"] = json!({"dry_run": ["true"]});
        of_alice["multiValueHeaders"]["Idempotency-Key"] = json!(["k"]);
        let of_alice = lambda_http::request::from_str(&of_alice.to_string()).unwrap();
        let caller = some("arn:aws:iam::123456789012:user/alice");
        assert_eq!(Audit::of(&of_alice), Audit { caller, is_dry_run: true, has_key: true });
        assert_eq!(Audit::of(&of_one()), Audit { caller: None, is_dry_run: false, has_key: false });
    }
}
