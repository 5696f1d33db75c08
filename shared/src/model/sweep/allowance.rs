//! How many workers of a region may still be stopped and terminated.

use std::collections::HashSet;

use crate::model::sweep::rules::Rules;

/// What the rules still allow in one sweep of a region.
#[derive(Debug)]
pub struct Allowance {
    of_this_sweep: usize,
    most_of_an_hour: usize,
    /// The workers that were acted on in the last hour.
    lately: HashSet<String>,
}

impl Allowance {
    /// The allowance of a sweep, after these workers were acted on in the hour before it.
    #[must_use]
    pub fn new(rules: &Rules, lately: HashSet<String>) -> Self {
        Self { of_this_sweep: rules.most_actions_per_sweep, most_of_an_hour: rules.most_actions_per_hour, lately }
    }

    /// Whether one more worker may be acted on.
    #[must_use]
    pub fn is_left(&self) -> bool {
        self.of_this_sweep > 0 && self.lately.len() < self.most_of_an_hour
    }

    /// Counts a try that EC2 surely refused: it counts for this sweep, and not for the hour.
    pub(crate) fn count_refused(&mut self) {
        self.of_this_sweep = self.of_this_sweep.saturating_sub(1);
    }

    /// Counts an action, also one that failed: it may have been carried out.
    pub fn count(&mut self, instance_id: &str) {
        self.of_this_sweep = self.of_this_sweep.saturating_sub(1);
        self.lately.insert(instance_id.to_owned());
    }
}
