//! The answers of start, stop and terminate: how an instance's state changed, or the result for each of many instances.

use aws_sdk_ec2::types;
use serde::{Serialize, Serializer};

use crate::error::problem::Problem;
use crate::error::{Code, Error};
use crate::model::document::{Document, Effect};
use crate::model::instance::Instance;
use crate::model::instance_id::InstanceId;
use crate::model::mutation::Permitted;
use crate::model::state::State;

/// How start, stop or terminate changed the state of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StateChange {
    /// The instance.
    pub instance_id: InstanceId,
    /// The state before the call.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub previous_state: State,
    /// The state after the call.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub current_state: State,
    /// False if the instance already was in the wanted state, or on its way there.
    pub changed: bool,
    /// EC2's reason for the state, if it gives one.
    pub state_reason: Option<String>,
    /// How the result differs from the request, and why.
    pub note: Option<&'static str>,
}

impl StateChange {
    /// The result for an instance that needs no change.
    #[must_use]
    pub fn none(instance_id: &InstanceId, instance: &Instance) -> Self {
        Self {
            instance_id: instance_id.clone(),
            previous_state: instance.state.clone(),
            current_state: instance.state.clone(),
            changed: false,
            state_reason: instance.state_reason.clone(),
            note: None,
        }
    }

    /// Reads EC2's answer to StartInstances, StopInstances or TerminateInstances for this one instance.
    ///
    /// The previous state is the one in which `instance` was read, not the one in EC2's answer. If a call names many
    /// instances in several zones, EC2 can terminate some of them although it refuses the call because of a protected one.
    /// If these are sent again, EC2 says that nothing changed.
    ///
    /// # Errors
    /// [`Code::AwsError`] if the answer does not name the instance.
    pub fn from_ec2(
        instance_id: &InstanceId,
        instance: &Instance,
        change: Option<&types::InstanceStateChange>,
    ) -> Result<Self, Error> {
        let unnamed = || Error::new(Code::AwsError, "EC2 accepted the call but did not name the instance").retryable();
        let current_state = State::from_ec2(change.ok_or_else(unnamed)?.current_state());
        Ok(Self {
            changed: instance.state != current_state,
            current_state,
            state_reason: None,
            ..Self::none(instance_id, instance)
        })
    }

    /// The same change, with the state in which `instance` was read later.
    #[must_use]
    pub fn followed_by(self, instance: &Instance) -> Self {
        Self { current_state: instance.state.clone(), state_reason: instance.state_reason.clone(), ..self }
    }
}

/// The answer of start, stop and terminate, for one instance or for each of many.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum StateChanges {
    /// The result for the instance that the path named.
    One(StateChange),
    /// The results for the instances that the body named.
    Many(Results),
}

/// `{"results":[…]}`, in the order of the request.
#[derive(Debug, Clone)]
pub struct Results(pub Vec<InstanceResult>);

/// The result for one of many instances.
#[derive(Debug, Clone)]
pub struct InstanceResult {
    /// The instance.
    pub instance_id: InstanceId,
    /// What was done, or the error that prevented it.
    pub outcome: Result<Outcome, Error>,
}

/// What was done to an instance.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The instance changes its state, or needs no change.
    Changed(StateChange),
    /// The call was a dry run that would have been permitted.
    Permitted(Permitted),
}

impl InstanceResult {
    fn effect(&self) -> Effect<'_> {
        let result = self.outcome.as_ref().map(|outcome| match outcome {
            Outcome::Changed(change) => change.changed,
            Outcome::Permitted(_) => false,
        });
        Effect { instance_id: self.instance_id.as_str(), result }
    }
}

impl Results {
    /// Whether each result is a dry run that would have been permitted.
    pub(crate) fn are_all_permitted(&self) -> bool {
        self.0.iter().all(|result| matches!(result.outcome, Ok(Outcome::Permitted(_))))
    }
}

impl Document for StateChanges {
    fn json(&self, request_id: &str) -> serde_json::Result<String> {
        match self {
            Self::One(change) => serde_json::to_string(change),
            Self::Many(results) => serde_json::to_string(&results.entries(request_id)),
        }
    }

    fn effects(&self) -> Vec<Effect<'_>> {
        match self {
            Self::One(change) => vec![Effect { instance_id: change.instance_id.as_str(), result: Ok(change.changed) }],
            Self::Many(results) => results.0.iter().map(InstanceResult::effect).collect(),
        }
    }
}

/// The results for many instances, in the order of the request.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Results))]
pub struct Entries<'a> {
    results: Vec<Entry<'a>>,
}

/// The result for one instance: how its state changed, whether a dry run was permitted, or the error.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Result))]
#[serde(untagged)]
enum Entry<'a> {
    Changed(&'a StateChange),
    #[cfg_attr(feature = "openapi", schema(title = "PermittedResult"))]
    Permitted {
        instance_id: &'a InstanceId,
        #[serde(flatten)]
        permitted: Permitted,
    },
    #[cfg_attr(feature = "openapi", schema(title = "FailedResult"))]
    Failed {
        instance_id: &'a InstanceId,
        error: Problem<'a>,
    },
}

impl Results {
    fn entries<'a>(&'a self, request_id: &'a str) -> Entries<'a> {
        let entry = |InstanceResult { instance_id, outcome }: &'a InstanceResult| match outcome {
            Ok(Outcome::Changed(change)) => Entry::Changed(change),
            Ok(Outcome::Permitted(permitted)) => Entry::Permitted { instance_id, permitted: *permitted },
            Err(error) => Entry::Failed { instance_id, error: Problem::new(request_id, error) },
        };
        Entries { results: self.0.iter().map(entry).collect() }
    }
}

/// Outside of a request the errors have no request id.
impl Serialize for Results {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries("").serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{read, worker};

    #[test]
    fn the_result_of_a_change_has_ec2s_reason() {
        let change = StateChange::none(&worker().instance_id, &read(&types::Instance::builder().build()));
        let reason = types::StateReason::builder().message("Client.UserInitiatedShutdown").build();
        let state = types::InstanceState::builder().name("stopped".into()).build();
        let seen = read(&types::Instance::builder().state(state).state_reason(reason).build());
        let change = change.followed_by(&seen);
        assert_eq!((change.current_state, change.previous_state.as_str()), (State::Stopped, "unknown"));
        assert_eq!(change.state_reason.as_deref(), Some("Client.UserInitiatedShutdown"));
    }
}
