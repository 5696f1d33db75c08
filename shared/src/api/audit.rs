//! What the log says of the instances that a request was about.

use crate::api::invocation::Invocation;
use crate::api::request::{self, IDEMPOTENCY_KEY};
use crate::error::{Code, Error};
use crate::model::document::Document;

/// Who asked for a mutation. It is the same for all instances of the request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Audit {
    /// The ARN of the signer; unknown outside API Gateway.
    pub(super) caller: Option<String>,
    /// Whether the request had an `Idempotency-Key`.
    pub(super) has_key: bool,
    /// Whether the caller asked for permission only.
    pub(super) is_dry_run: bool,
}

/// What a mutation did to one instance, or the failure of an operation that only reads.
#[derive(Debug)]
pub(super) struct LogLine<'a> {
    /// The instance, if the request or the answer names one.
    pub(super) instance_id: Option<String>,
    /// Whether the instance was changed; unknown if AWS may have carried out a change of which no answer tells.
    pub(super) changed: Option<bool>,
    /// If something was changed, AWS's ids of the requests that did it; otherwise the id of the one that AWS refused.
    pub(super) aws_request_id: Option<String>,
    /// What went wrong.
    pub(super) error: Option<&'a Error>,
}

impl Audit {
    pub(super) fn of(invocation: &Invocation<'_>, event: &lambda_http::Request) -> Self {
        let (caller, has_key) = (request::identity(event).arn, event.headers().contains_key(IDEMPOTENCY_KEY));
        Self { caller, has_key, is_dry_run: invocation.is_dry_run() }
    }
}

impl<'a> LogLine<'a> {
    fn of(instance_id: Option<&str>, result: Result<bool, &'a Error>) -> Self {
        let error = result.err();
        Self {
            instance_id: instance_id.map(str::to_owned),
            changed: result.ok(),
            aws_request_id: error.and_then(|error| error.aws.as_ref()?.request_id.clone()),
            error,
        }
    }
}

/// A line for each instance that a mutation was about, and one for each failure of another operation.
pub(super) fn lines<'a, D: Document>(invocation: &Invocation<'_>, result: &'a Result<D, Error>) -> Vec<LogLine<'a>> {
    let mut lines: Vec<LogLine<'a>> = match result {
        Ok(document) => {
            let effects = document.effects().into_iter();
            let effects = effects.map(|effect| LogLine::of(Some(effect.instance_id), effect.result));
            effects.chain(document.failure().map(|error| LogLine::of(None, Err(error)))).collect()
        }
        Err(error) => named(invocation, Err(error)),
    };
    // What no request asks for has its own lines.
    if !invocation.operation.is_mutation() || invocation.request.is_none() {
        lines.retain(|line| line.error.is_some());
        return lines;
    }
    if lines.is_empty() {
        lines = named(invocation, Ok(invocation.calls.have_changed(invocation.operation)));
    }
    let changed = changed_in_spite_of(invocation, result.as_ref().err(), lines.len());
    lines.iter_mut().filter(|line| line.error.is_some()).for_each(|line| line.changed = changed);
    let ids = invocation.calls.ids_of_changes(invocation.operation).join(",");
    if !ids.is_empty() {
        let changed = lines.iter_mut().filter(|line| line.changed == Some(true));
        changed.for_each(|line| line.aws_request_id = Some(ids.clone()));
    }
    lines
}

/// Whether an instance was changed although there is an error about it: the error does not undo what AWS carried out before it. Of
/// one instance the calls tell it. Of many they do not tell which was changed; the answer does, if there is one.
fn changed_in_spite_of(invocation: &Invocation<'_>, no_answer: Option<&Error>, lines: usize) -> Option<bool> {
    // EC2 named the instance of another request.
    let is_anothers = no_answer.is_some_and(|error| error.code == Code::IdempotencyMismatch);
    let (calls, operation) = (invocation.calls, invocation.operation);
    match calls.have_changed(operation) && !is_anothers {
        true if lines == 1 => Some(true),
        true if no_answer.is_some() => None,
        _ => (invocation.is_dry_run() || !calls.may_have_changed(operation)).then_some(false),
    }
}

/// A line for each instance that the request names, in its path or its body, or that it launched; one without an instance if there
/// is none.
fn named<'a>(invocation: &Invocation<'_>, result: Result<bool, &'a Error>) -> Vec<LogLine<'a>> {
    let named = invocation.request.map(|request| request::instance_ids(request, invocation.body())).unwrap_or_default();
    let ids = if named.is_empty() { invocation.calls.launched() } else { named };
    if ids.is_empty() {
        return vec![LogLine::of(None, result)];
    }
    ids.iter().map(|id| LogLine::of(Some(id), result)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::api::request::MAX_BODY_BYTES;
    use crate::aws::calls::Calls;
    use crate::model::instance_ids::MAX_INSTANCES;
    use crate::model::mutation::{Mutation, Permitted};
    use crate::model::operation::Operation;
    use crate::model::state::State;
    use crate::model::state_change::{InstanceResult, Outcome, Results, StateChange, StateChanges};
    use crate::model::status::InstanceStatus;
    use crate::ops::{create_instance, get_instance_status, stop_instance, update_instance_tags};
    use crate::testing::{ID, event, read, worker};

    const OTHER: &str = "i-0fedcba9876543210";
    const THIRD: &str = "i-00000000000000001";

    fn of_one() -> lambda_http::Request {
        event(json!({"region": "us-east-1", "instance_id": ID}), Value::Null, "")
    }

    /// What the log says: instance, changed, AWS's id, code.
    type Told = (Option<String>, Option<bool>, Option<String>, Option<Code>);

    fn told<D: Document>(
        operation: &Operation,
        event: &lambda_http::Request,
        result: &Result<D, Error>,
        calls: &Calls,
    ) -> Vec<Told> {
        let context = lambda_http::Context::default();
        let invocation = Invocation::of(operation, Some(event), &context, calls, Duration::ZERO);
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
            InstanceResult { instance_id: id(THIRD), outcome: Ok(Outcome::Changed(change(false))) },
        ];
        let many: Stopped = Ok(Mutation::Done(StateChanges::Many(Results(results))));
        let calls = Calls::of(&[("StopInstances", true, "aws-2"), ("StopInstances", true, "aws-3")]);
        assert_eq!(
            told(&stop_instance::OPERATION, &of_one(), &many, &calls),
            [
                (some(ID), Some(true), some("aws-2,aws-3"), None),
                (some(OTHER), Some(false), None, Some(Code::NotManaged)),
                (some(THIRD), Some(false), None, None),
            ]
        );
    }

    #[test]
    fn what_came_of_a_call_without_an_answer_is_unknown() {
        let late: Stopped = Err(Error::new(Code::AwsTimeout, "late"));
        let ids = json!({"instance_ids": [ID, OTHER, OTHER, "x\ny"]}).to_string();
        let of_many = || event(json!({"region": "us-east-1"}), Value::Null, &ids);
        let begun = Calls::default().and_begun("StopInstances");
        // No change was begun: nothing is in doubt, however late a read was.
        for (calls, changed) in [(begun, None), (Calls::default().and_begun("DescribeInstances"), Some(false))] {
            for (event, ids) in [(of_one(), vec![ID]), (of_many(), vec![ID, OTHER])] {
                let line = |id: &&str| (some(id), changed, None, Some(Code::AwsTimeout));
                let expected: Vec<_> = ids.iter().map(line).collect();
                assert_eq!(told(&stop_instance::OPERATION, &event, &late, &calls), expected);
            }
        }
        assert_eq!(crate::model::document::outcome(true, None), "unknown");
    }

    #[test]
    fn of_many_instances_nobody_knows_which_were_changed_before_the_time_was_up() {
        let late: Stopped = Err(Error::new(Code::AwsTimeout, "late"));
        let ids = json!({"instance_ids": [ID, OTHER]}).to_string();
        let of_many = |query| event(json!({"region": "us-east-1"}), query, &ids);
        let calls = Calls::of(&[("StopInstances", true, "aws-2")]);
        let line = |id, changed| (some(id), changed, None, Some(Code::AwsTimeout));
        let unknown = [line(ID, None), line(OTHER, None)];
        assert_eq!(told(&stop_instance::OPERATION, &of_many(Value::Null), &late, &calls), unknown);
        let dry_run = of_many(json!({"dry_run": ["true"]}));
        let begun = Calls::default().and_begun("StopInstances");
        let unchanged = [line(ID, Some(false)), line(OTHER, Some(false))];
        assert_eq!(told(&stop_instance::OPERATION, &dry_run, &late, &begun), unchanged);
    }

    #[test]
    fn what_ec2_carried_out_before_an_error_counts() {
        let taken_back: Stopped = Err(Error::new(Code::IncorrectState, "EC2 took it back"));
        let calls = Calls::of(&[("StopInstances", true, "aws-2")]);
        let line = (some(ID), Some(true), some("aws-2"), Some(Code::IncorrectState));
        assert_eq!(told(&stop_instance::OPERATION, &of_one(), &taken_back, &calls), [line]);
    }

    #[test]
    fn a_launch_that_fails_later_names_its_instance_and_anothers_instance_is_no_change() {
        let event = event(json!({"region": "us-east-1"}), Value::Null, "{}");
        let calls = Calls::of(&[("RunInstances", true, "aws-2")]);
        for (code, changed) in [(Code::IncorrectState, true), (Code::IdempotencyMismatch, false)] {
            let failed: Result<Mutation<StateChanges>, Error> = Err(Error::new(code, "no"));
            let id = changed.then(|| "aws-2".to_owned());
            let line = (some(ID), Some(changed), id, Some(code));
            assert_eq!(told(&create_instance::OPERATION, &event, &failed, &calls), [line]);
        }
    }

    #[test]
    fn a_request_has_no_more_lines_than_it_may_name_instances() {
        let late: Stopped = Err(Error::new(Code::InvalidRequest, "no"));
        let of = |ids: Vec<String>| json!({"instance_ids": ids, "x": "y"}).to_string();
        let many = of((0..300).map(|id| format!("i-{id:08x}")).collect());
        let told_of = |path: Value, body: &str| {
            told(&stop_instance::OPERATION, &event(path, Value::Null, body), &late, &Calls::default())
        };
        assert_eq!(told_of(json!({"region": "us-east-1"}), &many).len(), MAX_INSTANCES);
        // The path's instance is the only one that the request is about.
        let of_path = told_of(json!({"region": "us-east-1", "instance_id": ID}), &of(vec![OTHER.to_owned()]));
        assert_eq!(of_path, [(some(ID), Some(false), None, Some(Code::InvalidRequest))]);
        let too_large = of(vec![OTHER.to_owned(), "x".repeat(MAX_BODY_BYTES)]);
        assert_eq!(told_of(json!({"region": "us-east-1"}), &too_large)[0].0, None);
    }

    #[test]
    fn a_read_has_a_line_only_if_it_fails() {
        let refused = Error::new(Code::InstanceNotFound, "gone");
        let failed: Result<InstanceStatus, Error> = Err(refused);
        let line = (some(ID), None, None, Some(Code::InstanceNotFound));
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
        let alice = Audit { caller, has_key: true, is_dry_run: true };
        let nobody = Audit { caller: None, has_key: false, is_dry_run: false };
        let (context, calls) = (lambda_http::Context::default(), Calls::default());
        for (request, audit) in [(&of_alice, alice), (&of_one(), nobody)] {
            let operation = &stop_instance::OPERATION;
            let invocation = Invocation::of(operation, Some(request), &context, &calls, Duration::ZERO);
            assert_eq!(Audit::of(&invocation, request), audit);
        }
    }
}
