//! The rules of a deployment: which findings the sweep acts on, and when.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a rule asks for once it holds. A later one is stronger than an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wish {
    /// Say so in the log.
    Report,
    /// Mark the worker, and stop it in a later sweep.
    Stop,
    /// Mark the worker, and terminate it in a later sweep.
    Terminate,
}

/// The rules and their limits. A rule that is `None` is off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// What happens to a worker whose CPU does nothing.
    pub on_idle: Option<Wish>,
    /// What happens to a worker whose status checks fail.
    pub on_impaired: Option<Wish>,
    /// What happens to a worker whose owner gives no sign of life.
    pub on_orphan: Option<Wish>,
    /// Below this average, in percent of all CPUs, a period of five minutes counts as idle.
    pub idle_cpu_percent: f64,
    /// For how many minutes the CPU must have been idle.
    pub idle_minutes: u64,
    /// For how many minutes after its start a worker is neither idle nor an orphan.
    pub grace_minutes: u64,
    /// Up to this age, in minutes, a heartbeat is a sign of life.
    pub heartbeat_minutes: u64,
    /// How many minutes must pass between the mark and the action.
    pub mark_minutes: u64,
    /// How many workers of a region one sweep stops and terminates at most.
    pub most_actions_per_sweep: usize,
    /// How many workers of a region are stopped and terminated in any hour at most.
    pub most_actions_per_hour: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            on_idle: None,
            on_impaired: None,
            on_orphan: None,
            idle_cpu_percent: 5.0,
            idle_minutes: 60,
            grace_minutes: 60,
            heartbeat_minutes: 30,
            // Less than the schedule's five minutes, so that the next sweep can act.
            mark_minutes: 4,
            most_actions_per_sweep: 5,
            most_actions_per_hour: 10,
        }
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Report => "report",
            Self::Stop => "stop",
            Self::Terminate => "terminate",
        })
    }
}

impl Rules {
    fn ask_for(&self, wish: Wish) -> bool {
        [self.on_idle, self.on_impaired, self.on_orphan].contains(&Some(wish))
    }

    /// Whether any rule stops workers.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.ask_for(Wish::Stop)
    }

    /// Whether any rule terminates workers.
    #[must_use]
    pub fn terminates(&self) -> bool {
        self.ask_for(Wish::Terminate)
    }
}
