//! Waiting until a worker reaches the state that a call leads to, if the caller asks for it with `?wait=running`.

use deserr::{Deserr, ValuePointerRef};

use crate::input::{Invalid, Refusal, boolean};
use crate::model::state::State;

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The state `running`.
    Running,
    /// The state `running`, with status checks that pass. This needs the permission `ec2:DescribeInstanceStatus`.
    Healthy,
    /// The state `stopped`.
    Stopped,
    /// The state `terminated`.
    Terminated,
}

/// What a caller can wait for after a launch or a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
#[deserr(error = Invalid, rename_all = lowercase)]
pub enum UntilUp {
    /// See [`Until::Running`].
    Running,
    /// See [`Until::Healthy`].
    Healthy,
}

/// What a caller can wait for after a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
#[deserr(error = Invalid, rename_all = lowercase)]
pub enum UntilStopped {
    /// See [`Until::Stopped`].
    Stopped,
}

/// What a caller can wait for after a termination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
#[deserr(error = Invalid, rename_all = lowercase)]
pub enum UntilTerminated {
    /// See [`Until::Terminated`].
    Terminated,
}

impl From<UntilUp> for Until {
    fn from(until: UntilUp) -> Self {
        match until {
            UntilUp::Running => Self::Running,
            UntilUp::Healthy => Self::Healthy,
        }
    }
}

impl From<UntilStopped> for Until {
    fn from(UntilStopped::Stopped: UntilStopped) -> Self {
        Self::Stopped
    }
}

impl From<UntilTerminated> for Until {
    fn from(UntilTerminated::Terminated: UntilTerminated) -> Self {
        Self::Terminated
    }
}

/// The query of a mutation whose end a caller can wait for: `?dry_run=true` or `?wait=running`, but not both.
#[derive(Debug, Clone, Copy, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields, where_predicate = W: Deserr<Invalid>, validate = one_of_both -> Invalid)]
pub struct WaitQuery<W> {
    /// Ask EC2 for permission and change nothing.
    #[deserr(default, try_from(String) = boolean -> Refusal)]
    pub dry_run: bool,
    /// The condition to wait for before the answer: one of the words that the operation accepts.
    #[deserr(default)]
    pub wait: Option<W>,
}

fn one_of_both<W>(query: WaitQuery<W>, _: ValuePointerRef) -> Result<WaitQuery<W>, Invalid> {
    match query {
        WaitQuery { dry_run: true, wait: Some(_) } => {
            let detail = "must not be given together with dry_run: after a dry run there is no change to wait for";
            Err(Invalid::field("wait", detail))
        }
        query => Ok(query),
    }
}

/// What an instance's state means to a caller who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// The instance is in the state that the caller waits for.
    Reached,
    /// The instance gets there by itself.
    Onward,
    /// The instance does not get there by itself.
    Lost,
}

impl Until {
    /// What an instance's state means to a caller who waits for this.
    pub(crate) fn course(self, state: &State) -> Course {
        match (self, state) {
            (Self::Running | Self::Healthy, State::Running)
            | (Self::Stopped, State::Stopped)
            | (Self::Terminated, State::Terminated) => Course::Reached,
            (Self::Terminated, _) => Course::Onward,
            (_, State::ShuttingDown | State::Terminated)
            | (Self::Running | Self::Healthy, State::Stopping | State::Stopped) => Course::Lost,
            _ => Course::Onward,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_takes_its_own_words_and_no_dry_run_beside_them() {
        fn read<W: Deserr<Invalid>>(query: serde_json::Value) -> Result<WaitQuery<W>, String> {
            deserr::deserialize(query).map_err(|invalid: Invalid| invalid.to_string())
        }
        assert_eq!(
            read::<UntilUp>(serde_json::json!({"wait": "healthy"})).unwrap().wait.map(Until::from),
            Some(Until::Healthy)
        );
        assert_eq!(read::<UntilStopped>(serde_json::json!({})).unwrap().wait, None);
        let refused = read::<UntilStopped>(serde_json::json!({"wait": "running"})).unwrap_err();
        assert_eq!(refused, "wait: must be stopped");
        let refused = read::<UntilTerminated>(serde_json::json!({"wait": "terminated", "dry_run": "true"}));
        assert!(refused.unwrap_err().starts_with("wait: must not be given together with dry_run"));
    }
}
