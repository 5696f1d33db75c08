//! What a sweep says about itself: a line for each worker in the log, and a summary.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::problem::code_name;
use crate::error::{Code, Error};
use crate::model::document::outcome;
use crate::model::region::Region;
use crate::model::state::State;
use crate::model::sweep::SWEEP;
use crate::model::sweep::decision::Decision;
use crate::model::sweep::facts::Facts;
use crate::model::sweep::finding::holding;
use crate::model::sweep::mark::Rule;
use crate::model::sweep::rules::Rules;
use crate::ops::health::self_test::verdicts::Permission;

/// The summary of a sweep.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SweepReport {
    /// One for each allowed region.
    pub regions: Vec<RegionReport>,
    /// Whether the invocation was a sweep, and neither a self-test nor the passing on of an event.
    #[serde(skip)]
    pub is_sweep: bool,
    /// The error of the last region, if no region could be read.
    #[serde(skip)]
    pub failure: Option<Error>,
    /// What the self-test found, if the event asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<Permission>>,
}

/// The summary of a region.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RegionReport {
    /// The region.
    pub region: String,
    /// Whether its workers could be read. If not, all numbers are 0.
    pub is_read: bool,
    /// How many workers it has that are not terminated.
    pub workers: usize,
    /// How many workers it has in each state.
    pub states: BTreeMap<String, usize>,
    /// How many workers are idle; unknown while `OnIdle` is off.
    pub idle: Option<usize>,
    /// How many workers have checks that fail.
    pub impaired: usize,
    /// How many workers have no recent heartbeat; unknown while `OnOrphan` is off.
    pub orphaned: Option<usize>,
    /// How many workers each verdict was for.
    pub verdicts: BTreeMap<String, usize>,
    /// How many workers were stopped or terminated.
    pub acted: usize,
    /// How many workers a rule wanted to be stopped or terminated beyond the most that is allowed.
    pub held_back: usize,
    /// How many events were published.
    pub events: usize,
    /// What failed, each with the instance if it was about one.
    pub failures: Vec<Failure>,
    /// What was decided about each worker, for the log.
    #[serde(skip)]
    pub lines: Vec<Line>,
}

/// What failed in a sweep, and what the sweep went on without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The instance, if it was about one.
    pub instance_id: Option<String>,
    /// The error's code.
    pub code: Code,
    /// AWS's code.
    pub aws_code: Option<String>,
    /// The permission that is missing.
    pub missing_permission: Option<String>,
    /// The error in words.
    pub detail: String,
}

/// What the sweep logs of each worker, so that other rules can be tried on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// What AWS showed.
    pub facts: Facts,
    /// The rules of the deployment.
    pub rules: Rules,
    /// What the sweep decided.
    pub decision: Decision,
    /// Whether the sweep stopped or terminated the worker.
    #[serde(default)]
    pub acted: bool,
}

impl RegionReport {
    /// The report of a region whose workers are read now.
    pub(crate) fn new(region: &Region, rules: &Rules) -> Self {
        let (idle, orphaned) = (rules.on_idle.map(|_| 0), rules.on_orphan.map(|_| 0));
        Self { region: region.to_string(), is_read: true, idle, orphaned, ..Self::default() }
    }

    /// The report of a region that could not be read.
    #[must_use]
    pub(crate) fn failed(region: &Region, error: &Error) -> Self {
        Self { region: region.to_string(), failures: vec![Failure::new(None, error)], ..Self::default() }
    }

    /// Counts a worker and what was decided about it.
    pub(crate) fn count(&mut self, facts: &Facts, rules: &Rules, decision: &Decision) {
        *self.verdicts.entry(decision.verdict.to_string()).or_default() += 1;
        *self.states.entry(facts.state.as_str().to_owned()).or_default() += 1;
        self.workers += usize::from(facts.state != State::Terminated);
        for rule in holding(facts, rules) {
            match rule {
                Rule::Idle => self.idle = self.idle.map(|count| count + 1),
                Rule::Impaired => self.impaired += 1,
                Rule::Orphan => self.orphaned = self.orphaned.map(|count| count + 1),
            }
        }
    }
}

impl Failure {
    /// What failed.
    #[must_use]
    pub(crate) fn new(instance_id: Option<&str>, error: &Error) -> Self {
        Self {
            instance_id: instance_id.map(str::to_owned),
            code: error.code,
            aws_code: error.aws_code().map(str::to_owned),
            missing_permission: error.missing_permission().map(str::to_owned),
            detail: error.detail.clone(),
        }
    }

    /// The failure in a sentence for the log.
    pub(crate) fn warning(&self, region: &str) -> String {
        let about = self.instance_id.as_deref().map(|id| format!("{id} in ")).unwrap_or_default();
        let code = self.missing_permission.as_ref().or(self.aws_code.as_ref());
        let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
        format!("The sweep failed on {about}{region}{code}: {}", self.detail)
    }
}

impl Line {
    /// Whether the worker's checks fail.
    pub(crate) fn is_impaired(&self) -> bool {
        holding(&self.facts, &self.rules).contains(&Rule::Impaired)
    }

    /// Writes the line to the log.
    pub(crate) fn log(&self) {
        tracing::info!(sweep = serde_json::to_string(self).unwrap_or_default(), "{}", self.decision.reason);
    }

    /// Writes the line to the log once the sweep has tried to stop or terminate the worker, with the fields of each function's
    /// line about a mutation: AWS's id of the request, or what prevented it.
    pub(crate) fn log_action(&self, ended: Result<Option<&str>, &Error>) {
        let error = ended.err();
        let changed = match ended {
            Ok(_) => Some(true),
            Err(error) => (!error.may_have_happened()).then_some(false),
        };
        let line = Self { acted: error.is_none(), ..self.clone() };
        tracing::info!(
            audit = true,
            operation = SWEEP,
            caller = SWEEP,
            region = self.facts.region,
            instance_id = self.facts.instance_id,
            dry_run = false,
            outcome = outcome(error.is_some(), changed),
            changed,
            code = error.and_then(|error| code_name(error.code).ok()),
            aws_code = error.and_then(Error::aws_code),
            aws_request_id = ended.ok().flatten(),
            missing_permission = error.and_then(Error::missing_permission),
            sweep = serde_json::to_string(&line).unwrap_or_default(),
            "{}",
            self.decision.reason
        );
    }
}
