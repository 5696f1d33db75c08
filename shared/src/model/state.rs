//! The states of an instance.

use std::fmt;

use aws_sdk_ec2::types::{self, InstanceStateName};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The state that EC2 reports for an instance. Documents show EC2's own word for the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// `pending`: the instance is being launched or started.
    Pending,
    /// `running`.
    Running,
    /// `shutting-down`: the instance is being terminated.
    ShuttingDown,
    /// `stopped`.
    Stopped,
    /// `stopping`.
    Stopping,
    /// `terminated`: EC2 shows the instance for another hour.
    Terminated,
    /// A word that EC2's documentation does not have, or `unknown` if EC2 gives no state.
    Unknown(String),
}

impl State {
    /// The states of an instance that counts as a worker. A terminated one does not count, but EC2 shows it for another
    /// hour.
    pub const NOT_TERMINATED: [Self; 5] =
        [Self::Pending, Self::Running, Self::ShuttingDown, Self::Stopping, Self::Stopped];

    /// Reads EC2's state.
    #[must_use]
    pub fn from_ec2(state: Option<&types::InstanceState>) -> Self {
        match state.and_then(|state| state.name()) {
            Some(InstanceStateName::Pending) => Self::Pending,
            Some(InstanceStateName::Running) => Self::Running,
            Some(InstanceStateName::ShuttingDown) => Self::ShuttingDown,
            Some(InstanceStateName::Stopped) => Self::Stopped,
            Some(InstanceStateName::Stopping) => Self::Stopping,
            Some(InstanceStateName::Terminated) => Self::Terminated,
            Some(other) => Self::Unknown(other.as_str().to_owned()),
            None => Self::Unknown("unknown".to_owned()),
        }
    }

    /// Reads EC2's word for the state.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        Self::from_ec2(Some(&types::InstanceState::builder().name(word.into()).build()))
    }

    /// EC2's word for the state.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Stopped => "stopped",
            Self::Stopping => "stopping",
            Self::Terminated => "terminated",
            Self::Unknown(word) => word,
        }
    }

    /// The words of [`Self::NOT_TERMINATED`], for EC2's filter.
    pub(crate) fn not_terminated() -> Vec<String> {
        Self::NOT_TERMINATED.iter().map(ToString::to_string).collect()
    }

    /// Whether the instance is terminated, or on its way there. No instance comes back from either state.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|word| Self::from_word(&word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_keeps_ec2s_word_even_if_it_is_unknown_to_us() {
        for word in InstanceStateName::values().iter().copied().chain(["hibernating"]) {
            let state = types::InstanceState::builder().name(word.into()).build();
            let state = State::from_ec2(Some(&state));
            assert_eq!(serde_json::to_value(&state).unwrap(), word);
            assert_eq!(matches!(state, State::Unknown(_)), word == "hibernating", "{word}");
        }
        assert_eq!(State::from_ec2(None).as_str(), "unknown");
    }

    #[test]
    fn all_states_but_one_are_not_terminated() {
        let mut words = State::not_terminated();
        words.push("terminated".to_owned());
        words.sort();
        assert_eq!(words, InstanceStateName::values());
    }
}
