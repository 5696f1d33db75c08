//! What the sweep does with a worker: one pure function of facts and rules.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::state::State;
use crate::model::sweep::MARK_KEY;
use crate::model::sweep::facts::Facts;
use crate::model::sweep::finding::{Finding, strongest};
use crate::model::sweep::mark::{Mark, Rule};
use crate::model::sweep::rules::{Rules, Wish};

/// A day, in seconds.
const A_DAY: u64 = 86_400;

/// What the sweep does with a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing.
    Leave,
    /// Say what is wrong.
    Report,
    /// Announce by a tag what a later sweep will do.
    Mark,
    /// Take the announcement back.
    Unmark,
    /// Stop the worker.
    Stop,
    /// Terminate the worker.
    Terminate,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leave => "leave",
            Self::Report => "report",
            Self::Mark => "mark",
            Self::Unmark => "unmark",
            Self::Stop => "stop",
            Self::Terminate => "terminate",
        })
    }
}

/// What the sweep does with a worker, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What the sweep does.
    pub verdict: Verdict,
    /// The rule that asks for it, if one does.
    pub rule: Option<Rule>,
    /// The reason in words and numbers.
    pub reason: String,
    /// The value of the mark that is written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mark: Option<String>,
}

impl Decision {
    fn new(verdict: Verdict, rule: Option<Rule>, reason: impl Into<String>) -> Self {
        Self { verdict, rule, reason: reason.into(), mark: None }
    }

    /// Whether the sweep stops or terminates the worker.
    #[must_use]
    pub fn acts(&self) -> bool {
        matches!(self.verdict, Verdict::Stop | Verdict::Terminate)
    }
}

/// Decides about a worker. The time is that of the facts.
///
/// The action follows a mark: a first sweep marks, and a later one acts if the mark is old enough and everything still holds.
/// The mark goes as soon as its reason goes.
#[must_use]
pub fn decide(facts: &Facts, rules: &Rules) -> Decision {
    if facts.state.is_gone() {
        return Decision::new(Verdict::Leave, None, "it is terminated");
    }
    let marked = facts.tag(MARK_KEY);
    let finding = strongest(facts, rules);
    match finding {
        Some(finding) if finding.wish > Wish::Report && !facts.is_kept() => announced(facts, rules, &finding),
        _ if is_unknown(facts, rules) => Decision::new(Verdict::Leave, None, "what the mark is for cannot be read now"),
        _ if marked.is_some() => Decision::new(Verdict::Unmark, None, "nothing asks for it any more"),
        Some(finding) if finding.wish > Wish::Report => {
            let reason = format!("{}; a tag keeps the worker", finding.reason);
            Decision::new(Verdict::Report, Some(finding.rule), reason)
        }
        Some(finding) => Decision::new(Verdict::Report, Some(finding.rule), finding.reason),
        None => Decision::new(Verdict::Leave, None, "nothing asks for it"),
    }
}

/// Whether the mark's own rule is on and could not be judged, because AWS did not answer.
fn is_unknown(facts: &Facts, rules: &Rules) -> bool {
    let is_blind = match facts.tag(MARK_KEY).and_then(Mark::parse).map(|mark| mark.rule) {
        Some(Rule::Idle) => rules.on_idle.is_some() && facts.cpu.is_none(),
        Some(Rule::Impaired) => rules.on_impaired.is_some() && facts.checks.is_none(),
        Some(Rule::Orphan) | None => false,
    };
    is_blind && facts.state == State::Running && !facts.is_kept()
}

/// Decides about a worker that a rule wants to be stopped or terminated.
fn announced(facts: &Facts, rules: &Rules, finding: &Finding) -> Decision {
    let (rule, wish) = (finding.rule, finding.wish);
    match facts.tag(MARK_KEY).and_then(Mark::parse).filter(|mark| is_of(mark, facts, finding)) {
        Some(mark) if facts.at.since(mark.at) >= rules.mark_minutes * 60 => {
            let verdict = if wish == Wish::Terminate { Verdict::Terminate } else { Verdict::Stop };
            Decision::new(verdict, Some(rule), format!("{}; marked since {}", finding.reason, mark.at))
        }
        Some(mark) => {
            let reason =
                format!("{}; marked since {}, for less than {} minutes", finding.reason, mark.at, rules.mark_minutes);
            Decision::new(Verdict::Leave, Some(rule), reason)
        }
        None => {
            let mark = Mark { wish, rule, at: facts.at };
            let reason = format!("{}; a sweep after {} minutes will {wish} it", finding.reason, rules.mark_minutes);
            Decision { mark: Some(mark.to_string()), ..Decision::new(Verdict::Mark, Some(rule), reason) }
        }
    }
}

/// Whether the mark announces what the finding asks for, and was written since the worker's last start, and not more than a day
/// ago: a mark that no sweep has looked after announces nothing. A mark from the future was not written by a sweep.
fn is_of(mark: &Mark, facts: &Facts, finding: &Finding) -> bool {
    let is_since_start = facts.launched_at.is_none_or(|launched| launched <= mark.at);
    let is_current = mark.at <= facts.at && facts.at.since(mark.at) <= A_DAY;
    (mark.wish, mark.rule) == (finding.wish, finding.rule) && is_since_start && is_current
}
