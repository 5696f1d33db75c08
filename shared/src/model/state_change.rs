//! What start, stop and terminate answer: how an instance's state changed, or what became of each of many.

use aws_sdk_ec2::types;
use serde::{Serialize, Serializer};

use crate::error::problem::Problem;
use crate::error::{Code, Error};
use crate::model::document::Document;
use crate::model::instance::Instance;
use crate::model::instance_id::InstanceId;
use crate::model::mutation::Permitted;
use crate::model::state::State;

/// What start, stop and terminate answer.
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
    /// False if it already was where it should go.
    pub changed: bool,
    /// EC2's reason for the state, if it gives one.
    pub state_reason: Option<String>,
    /// What was done otherwise than asked for, and why.
    pub note: Option<&'static str>,
}

impl StateChange {
    /// The instance is already there.
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

    /// Reads what EC2 answered to StartInstances, StopInstances or TerminateInstances for this one instance.
    ///
    /// The state before is the one that `instance` was read in, not EC2's: of many instances in several zones EC2
    /// terminates some although it refuses the call because of a protected one, and says of those that nothing changed
    /// when they are sent again.
    ///
    /// # Errors
    /// [`Code::AwsError`] if the answer does not speak of the instance.
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

    /// The same change, and what came of it.
    #[must_use]
    pub fn followed_by(self, instance: &Instance) -> Self {
        Self { current_state: instance.state.clone(), state_reason: instance.state_reason.clone(), ..self }
    }
}

/// What start, stop and terminate answer: for one instance, or for each of many.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum StateChanges {
    /// The path named the instance.
    One(StateChange),
    /// The body named them.
    Many(Results),
}

/// `{"results":[…]}`, in the order that was asked for.
#[derive(Debug, Clone)]
pub struct Results(pub Vec<InstanceResult>);

/// What became of one of many instances.
#[derive(Debug, Clone)]
pub struct InstanceResult {
    /// The instance.
    pub instance_id: InstanceId,
    /// What was done, or why it was not.
    pub outcome: Result<Outcome, Error>,
}

/// What was done to an instance.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It changes its state, or already was there.
    Changed(StateChange),
    /// A dry run would have been permitted.
    Permitted(Permitted),
}

impl Results {
    /// Whether each is a dry run that would have been permitted.
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

    fn failures(&self) -> Vec<(&InstanceId, &Error)> {
        let Self::Many(results) = self else { return Vec::new() };
        let failed = results.0.iter().filter_map(|result| Some((&result.instance_id, result.outcome.as_ref().err()?)));
        failed.collect()
    }
}

/// Many results as they are written.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Results))]
pub struct Entries<'a> {
    results: Vec<Entry<'a>>,
}

/// One of them. A change names its instance itself.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Result))]
#[serde(untagged)]
enum Entry<'a> {
    Changed(&'a StateChange),
    Permitted {
        instance_id: &'a InstanceId,
        #[serde(flatten)]
        permitted: Permitted,
    },
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
