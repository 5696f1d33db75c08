//! Sends one EC2 call for many instances. EC2 refuses such a call as a whole because of one bad instance; TerminateInstances
//! may still terminate the instances of zones in which none is protected.
//!
//! An error about some instances fails the call for the others too. Instances that the error names are set aside, and the
//! call is sent again for the others. If the error names none, the call is sent for each half. So n instances take at most
//! 2n-1 calls. If EC2 refuses 1 of 100, that takes 2 calls, or 15 if EC2 does not name it; if it refuses 7, that takes at
//! most 8, or 71.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_ec2::types::InstanceStateChange;
use tokio::time::{Instant, timeout_at};

use crate::aws::deadline;
use crate::error::{Code, Error};
use crate::model::instance_id::InstanceId;

/// The longest time for all calls. After it no call is sent or waited for, and the answer has what is known by then.
const LONGEST: Duration = Duration::from_secs(20);

/// EC2's answer about each instance: its state change, or the error. The change is missing if EC2 accepted the call without
/// naming it.
pub(crate) type Answers = BTreeMap<InstanceId, Result<Option<InstanceStateChange>, Error>>;

/// A call of EC2 that takes many instances.
pub(crate) trait Call: Sync {
    /// Sends the call. A dry run only asks for permission, and its answer has no state changes.
    fn send(
        &self,
        instance_ids: &[InstanceId],
        dry_run: bool,
    ) -> impl Future<Output = Result<Vec<InstanceStateChange>, Error>> + Send;
}

/// The moment by which the calls of a request that begins now must be done.
pub(crate) fn end() -> Instant {
    deadline::at_most(LONGEST)
}

/// Sends the call for all instances, in as few parts as EC2's errors allow.
pub(crate) async fn send<C: Call>(call: &C, instance_ids: Vec<InstanceId>, dry_run: bool, end: Instant) -> Answers {
    let mut answers = Answers::new();
    let mut parts = vec![instance_ids];
    while let Some(part) = parts.pop() {
        if part.is_empty() {
            continue;
        }
        match send_in_time(call, &part, dry_run, end).await {
            Ok(changes) => answers.extend(part.into_iter().map(|id| (id.clone(), Ok(find(&changes, &id))))),
            Err(error) => {
                let (refused, again) = split(&error, part);
                answers.extend(refused.into_iter().map(|id| (id, Err(error.clone()))));
                parts.extend(again);
            }
        }
    }
    answers
}

async fn send_in_time<C: Call>(
    call: &C,
    part: &[InstanceId],
    dry_run: bool,
    end: Instant,
) -> Result<Vec<InstanceStateChange>, Error> {
    if Instant::now() >= end {
        let detail = "There was no time left to send the call to EC2: send the request again";
        return Err(Error::new(Code::AwsTimeout, detail));
    }
    let late = |_| Error::new(Code::AwsTimeout, "EC2 gave no answer in time; it may still carry the call out");
    timeout_at(end, call.send(part, dry_run)).await.map_err(late).flatten()
}

fn find(changes: &[InstanceStateChange], id: &InstanceId) -> Option<InstanceStateChange> {
    changes.iter().find(|change| change.instance_id() == Some(id.as_str())).cloned()
}

/// Splits a refused part into the instances that the error is about, and the parts to send again.
fn split(error: &Error, part: Vec<InstanceId>) -> (Vec<InstanceId>, [Vec<InstanceId>; 2]) {
    if part.len() == 1 || !is_about_instances(error) {
        return (part, [Vec::new(), Vec::new()]);
    }
    let (named, mut others): (Vec<_>, Vec<_>) = part.into_iter().partition(|id| names(&error.detail, id));
    if !named.is_empty() {
        return (named, [others, Vec::new()]);
    }
    let second_half = others.split_off(others.len() / 2);
    (named, [others, second_half])
}

/// Whether the call could succeed for fewer instances. It cannot if the role, the credentials, AWS or the network is at
/// fault. If it is unknown what EC2 did, the call must not be sent again either.
fn is_about_instances(error: &Error) -> bool {
    match error.code {
        Code::MissingPermission
        | Code::AccountNotActive
        | Code::Throttled
        | Code::AwsCredentialsInvalid
        | Code::AwsTimeout => false,
        // True for a refusal that the table of codes does not know, and false for a failure of EC2 itself.
        Code::AwsError => !error.retryable,
        // This includes a missing subscription to a product, which can concern one instance and not the others.
        _ => true,
    }
}

/// Whether the text has the id as a whole word. An id of 8 digits can be the beginning of an id of 17 digits.
pub(crate) fn names(text: &str, id: &InstanceId) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == id.as_str())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use super::*;

    /// An EC2 that refuses every call with one of the bad ids in it.
    struct Ec2 {
        bad: BTreeSet<InstanceId>,
        /// Makes EC2's error from the bad ids of the call.
        refusal: fn(&[&InstanceId]) -> Error,
        /// The number of ids in each call.
        calls: Mutex<Vec<usize>>,
    }

    impl Call for Ec2 {
        async fn send(&self, ids: &[InstanceId], _: bool) -> Result<Vec<InstanceStateChange>, Error> {
            self.calls.lock().unwrap().push(ids.len());
            let bad: Vec<&InstanceId> = ids.iter().filter(|id| self.bad.contains(id)).collect();
            if !bad.is_empty() {
                return Err((self.refusal)(&bad));
            }
            Ok(ids.iter().map(|id| InstanceStateChange::builder().instance_id(id.as_str()).build()).collect())
        }
    }

    fn ids() -> Vec<InstanceId> {
        (0..100).map(|n| InstanceId::try_from(format!("i-{n:017x}")).unwrap()).collect()
    }

    /// Sends a call for 100 ids with bad ones at these places. Returns the ids that failed, and the number of calls.
    async fn send_100(bad: &[usize], refusal: fn(&[&InstanceId]) -> Error) -> (BTreeSet<InstanceId>, usize) {
        let bad: BTreeSet<InstanceId> = bad.iter().map(|n| ids()[*n].clone()).collect();
        let ec2 = Ec2 { bad, refusal, calls: Mutex::default() };
        let answers = send(&ec2, ids(), false, end()).await;
        assert_eq!(answers.len(), 100, "each id has an answer");
        assert!(answers.values().flatten().all(Option::is_some));
        let failed = answers.into_iter().filter(|(_, answer)| answer.is_err()).map(|(id, _)| id).collect();
        (failed, ec2.calls.into_inner().unwrap().len())
    }

    fn names_all(bad: &[&InstanceId]) -> Error {
        let ids: Vec<&str> = bad.iter().map(|id| id.as_str()).collect();
        Error::new(Code::InstanceNotFound, format!("The instance IDs '{}' do not exist", ids.join(", ")))
    }

    fn names_one(bad: &[&InstanceId]) -> Error {
        Error::new(Code::OperationNotPermitted, format!("The instance '{}' may not be terminated.", bad[0]))
    }

    fn names_none(_: &[&InstanceId]) -> Error {
        Error::new(Code::IncorrectState, "Some instance is not in a state from which it can be started.")
    }

    fn at(places: &[usize]) -> BTreeSet<InstanceId> {
        places.iter().map(|n| ids()[*n].clone()).collect()
    }

    #[tokio::test]
    async fn without_a_bad_id_it_is_one_call() {
        assert_eq!(send_100(&[], names_none).await, (at(&[]), 1));
    }

    #[tokio::test]
    async fn one_bad_id_of_100_fails_alone_wherever_it_stands() {
        let mut most = 0;
        for bad in 0..100 {
            let (failed, calls) = send_100(&[bad], names_none).await;
            assert_eq!(failed, at(&[bad]));
            most = most.max(calls);
            assert_eq!(send_100(&[bad], names_one).await, (at(&[bad]), 2));
        }
        assert_eq!(most, 15);
    }

    #[tokio::test]
    async fn seven_bad_ids_of_100_fail_alone() {
        for bad in [[0, 1, 2, 3, 4, 5, 6], [1, 16, 30, 44, 58, 72, 99], [7, 21, 35, 49, 63, 77, 91]] {
            let (failed, calls) = send_100(&bad, names_none).await;
            assert_eq!(failed, at(&bad));
            assert!(calls <= 71, "{calls}");
            assert_eq!(send_100(&bad, names_one).await, (at(&bad), 8));
            assert_eq!(send_100(&bad, names_all).await, (at(&bad), 2));
        }
    }

    #[tokio::test]
    async fn no_number_of_bad_ids_takes_more_than_2n_minus_1_calls() {
        let all: Vec<usize> = (0..100).collect();
        assert_eq!(send_100(&all, names_none).await, (at(&all), 199));
        assert_eq!(send_100(&all, names_one).await, (at(&all), 100));
        assert_eq!(send_100(&all, names_all).await, (at(&all), 1));
    }

    #[tokio::test]
    async fn an_error_of_caller_or_aws_fails_all_ids_without_another_call() {
        let all: Vec<usize> = (0..100).collect();
        let errors: [fn(&[&InstanceId]) -> Error; 6] = [
            // EC2 names one instance even if the role may touch none.
            |bad| Error::new(Code::MissingPermission, format!("not authorized on arn:aws:ec2:::instance/{}", bad[0])),
            |_| Error::new(Code::AccountNotActive, "This account is currently blocked."),
            |_| Error::new(Code::Throttled, "Request limit exceeded."),
            |_| Error::new(Code::AwsCredentialsInvalid, "expired"),
            |_| Error::new(Code::AwsTimeout, "late"),
            |_| Error::new(Code::AwsError, "An internal error has occurred").retryable(),
        ];
        for error in errors {
            assert_eq!(send_100(&[3], error).await, (at(&all), 1));
        }
        let unknown: fn(&[&InstanceId]) -> Error =
            |_| Error::new(Code::AwsError, "a refusal that EC2 invents tomorrow");
        assert_eq!(send_100(&[3], unknown).await.0, at(&[3]));
    }

    #[tokio::test]
    async fn when_the_time_is_up_nothing_more_is_sent() {
        let ec2 = Ec2 { bad: BTreeSet::new(), refusal: names_none, calls: Mutex::default() };
        let answers = send(&ec2, ids(), false, Instant::now()).await;
        assert!(answers.values().all(|answer| answer.as_ref().is_err_and(|error| error.code == Code::AwsTimeout)));
        assert_eq!((answers.len(), ec2.calls.into_inner().unwrap().len()), (100, 0));
    }

    #[test]
    fn a_short_id_is_not_named_by_a_long_one() {
        let id = InstanceId::try_from("i-12345678".to_owned()).unwrap();
        assert!(names("The instance 'i-12345678' may not be stopped", &id));
        assert!(names("not configured at launch for hibernation: i-12345678", &id));
        assert!(!names("The instance 'i-12345678000000000' may not be stopped", &id));
    }
}
