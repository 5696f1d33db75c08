//! What the tests of start, stop and terminate share. Each of the three says in a table what it does in which state;
//! [`state_tests!`] makes five tests of it, one for each claim of [`Tested`].

use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::http::HttpResponse;
use aws_smithy_mocks::{Rule, mock};
use serde_json::json;

use crate::aws::clients::Clients;
use crate::error::{Code, Error};
use crate::model::mutation::Mutation;
use crate::model::state_change::StateChanges;
use crate::ops::lifecycle::{Order, Step};
use crate::testing::{self, described, ec2_error, worker};

/// Each of EC2's states, and what is done with an instance in it.
type States = [(&'static str, Step); 6];

pub(crate) type Answer = Result<Mutation<StateChanges>, Error>;

/// An instance, and whether the order for it is a dry run.
#[derive(Clone, Copy)]
pub(crate) struct Given {
    pub(crate) state: &'static str,
    managed: bool,
    dry_run: bool,
}

impl Given {
    /// An instance of ours in this state, and no dry run.
    fn ours(state: &'static str) -> Self {
        Self { state, managed: true, dry_run: false }
    }

    /// Clients of an EC2 that has the instance, answers the call by the first rule and its dry run by the second.
    pub(crate) fn clients(self, call: &Rule, dry_run: &Rule) -> Clients {
        let read = mock!(Client::describe_instances).then_http_response(move || described(self.state, self.managed));
        testing::clients(&[&read, call, dry_run])
    }

    pub(crate) fn order(self) -> Order {
        Order::one(worker(), self.dry_run, None)
    }
}

/// EC2's answer to a dry run that it permits.
pub(crate) fn permitted() -> HttpResponse {
    ec2_error(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
}

/// The document of an answer that is no error.
pub(crate) fn document(answer: Answer) -> serde_json::Value {
    serde_json::to_value(answer.unwrap()).unwrap()
}

/// An operation under test.
pub(crate) struct Tested<F> {
    /// Carries the order out. Gives the answer, and how many calls were sent that are no dry runs.
    pub(crate) ask: F,
    pub(crate) states: States,
    /// The state that EC2 answers to the call.
    pub(crate) to: &'static str,
}

/// The tests of an operation: `call` is what it sends, `ec2` the name that EC2 has for it and the state that it leads to.
macro_rules! state_tests {
    (
        operation: |$clients:ident, $order:ident| $operation:expr,
        call: $call:expr,
        ec2: $action:literal => $to:literal,
        states: $states:expr,
    ) => {
        use $crate::ops::lifecycle::testing as lifecycle;

        fn tested() -> lifecycle::Tested<impl AsyncFn(lifecycle::Given) -> (lifecycle::Answer, usize)> {
            let ask = async |given: lifecycle::Given| {
                let call = aws_smithy_mocks::mock!($call)
                    .match_requests(|r| r.instance_ids() == [$crate::testing::ID] && r.dry_run() != Some(true))
                    .then_http_response(move || $crate::testing::state_change($action, given.state, $to));
                let dry_run = aws_smithy_mocks::mock!($call)
                    .match_requests(|r| r.dry_run() == Some(true))
                    .then_http_response(lifecycle::permitted);
                let ($clients, $order) = (given.clients(&call, &dry_run), given.order());
                ($operation.await, call.num_calls())
            };
            lifecycle::Tested { ask, states: $states, to: $to }
        }

        #[tokio::test]
        async fn ec2s_state_change_is_the_answer() {
            tested().ec2s_state_change_is_the_answer().await;
        }

        #[tokio::test]
        async fn already_there_sends_nothing() {
            tested().already_there_sends_nothing().await;
        }

        #[tokio::test]
        async fn only_a_state_that_does_not_allow_it_is_a_409() {
            tested().only_a_state_that_does_not_allow_it_is_a_409().await;
        }

        #[tokio::test]
        async fn an_instance_that_is_not_ours_is_left_alone() {
            tested().an_instance_that_is_not_ours_is_left_alone().await;
        }

        #[tokio::test]
        async fn a_dry_run_asks_in_any_state_and_changes_nothing() {
            tested().a_dry_run_asks_in_any_state_and_changes_nothing().await;
        }
    };
}
pub(crate) use state_tests;

impl<F: AsyncFn(Given) -> (Answer, usize)> Tested<F> {
    /// The states in which this is to be done.
    fn states(&self, step: Step) -> impl Iterator<Item = &'static str> {
        self.states.into_iter().filter(move |(_, other)| *other == step).map(|(state, _)| state)
    }

    pub(crate) async fn ec2s_state_change_is_the_answer(&self) {
        for state in self.states(Step::Send) {
            let (answer, sent) = (self.ask)(Given::ours(state)).await;
            let expected = json!({
                "instance_id": testing::ID, "previous_state": state, "current_state": self.to, "changed": true,
                "state_reason": null, "note": null,
            });
            assert_eq!((document(answer), sent), (expected, 1));
        }
    }

    pub(crate) async fn already_there_sends_nothing(&self) {
        for state in self.states(Step::Nothing) {
            let (answer, sent) = (self.ask)(Given::ours(state)).await;
            let answer = document(answer);
            assert_eq!((&answer["changed"], &answer["current_state"], sent), (&false.into(), &state.into(), 0));
        }
    }

    pub(crate) async fn only_a_state_that_does_not_allow_it_is_a_409(&self) {
        for (state, step) in self.states {
            let (answer, sent) = (self.ask)(Given::ours(state)).await;
            let refused = answer.err().map(|error| (error.code, error.retryable, error.detail, sent));
            let words = |wish| format!("{} is {state} and cannot be {wish}", testing::ID);
            let expected = match step {
                Step::Refuse(wish) => Some((Code::IncorrectState, false, words(wish), 0)),
                Step::RefuseForNow(wish) => Some((Code::IncorrectState, true, words(wish), 0)),
                Step::Send | Step::Nothing => None,
            };
            assert_eq!(refused, expected, "{state}");
        }
    }

    pub(crate) async fn an_instance_that_is_not_ours_is_left_alone(&self) {
        for (state, _) in self.states {
            for dry_run in [false, true] {
                let (answer, sent) = (self.ask)(Given { managed: false, dry_run, ..Given::ours(state) }).await;
                assert_eq!((answer.unwrap_err().code, sent), (Code::NotManaged, 0), "{state}");
            }
        }
    }

    pub(crate) async fn a_dry_run_asks_in_any_state_and_changes_nothing(&self) {
        for (state, _) in self.states {
            let (answer, sent) = (self.ask)(Given { dry_run: true, ..Given::ours(state) }).await;
            assert_eq!((document(answer), sent), (json!({"dry_run": true, "permitted": true}), 0), "{state}");
        }
    }
}
