//! What other rules would have done with the workers of a log: the sweep's own decision, made again about the facts that it
//! logged.
//!
//! The log has the marks of the rules that were on. Other rules would have marked other workers at other times, so their marks
//! are kept here: a worker is marked, and acted on, as those rules say, and after that it counts as stopped or terminated until
//! its owner starts it again. The hours saved are those in which it really ran on.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;
use shared::model::state::State;
use shared::model::sweep::allowance::Allowance;
use shared::model::sweep::decision::{Decision, Verdict, decide};
use shared::model::sweep::facts::{Facts, Period};
use shared::model::sweep::mark::Mark;
use shared::model::sweep::rules::Rules;
use shared::model::sweep::{ACTED_KEY, MARK_KEY};
use shared::model::time::Moment;
use shared::ops::sweep_workers::report::Line;

/// An hour, in seconds.
const HOUR: u64 = 3_600;

/// One decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// When.
    pub at: Moment,
    /// What was decided.
    pub decision: Decision,
    /// Whether the worker was stopped or terminated: it was not held back by the limits.
    pub acted: bool,
}

/// What would have become of one worker.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fate {
    /// Its region.
    pub region: String,
    /// Its tag `Name`, as last seen.
    pub name: Option<String>,
    /// What would have been decided, each with its moment, where it differs from the decision before.
    pub decisions: Vec<Decided>,
    /// For how many seconds it would not have run, and did.
    pub saved: u64,
    mark: Option<String>,
    acted: Option<(Moment, Option<Moment>)>,
    /// When it would have been acted on, for the most of an hour.
    acts: Vec<Moment>,
    last: Option<Moment>,
    /// All periods that lines had of its CPU: each line has little more than the rules of the log need.
    cpu: BTreeMap<Moment, f64>,
}

/// The lines that a log has of sweeps: a file of the function's JSON lines, or what `aws logs filter-log-events` prints. Beside
/// them how many lines of sweeps cannot be read.
#[must_use]
pub fn lines(log: &str) -> (Vec<Line>, usize) {
    let whole: Vec<Value> = match serde_json::from_str(log) {
        Ok(value) => vec![value],
        Err(_) => log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect(),
    };
    let mut found = (Vec::new(), 0);
    whole.iter().for_each(|value| collect(value, &mut found));
    found
}

fn collect(value: &Value, found: &mut (Vec<Line>, usize)) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Object(members) => match members.get("sweep").and_then(Value::as_str) {
            Some(line) => match serde_json::from_str(line) {
                Ok(line) => found.0.push(line),
                Err(_) => found.1 += 1,
            },
            None => members.values().for_each(|value| collect(value, found)),
        },
        // CloudWatch Logs has a line as the text of its message.
        Value::String(text) if text.starts_with('{') => {
            if let Ok(inner) = serde_json::from_str(text) {
                collect(&inner, found);
            }
        }
        _ => {}
    }
}

/// Decides about each line once more, by these rules. If they are the rules of the whole log, the log's own marks are theirs, and
/// what they did is done.
#[must_use]
pub fn replay(lines: &[Line], rules: &Rules) -> BTreeMap<String, Fate> {
    let are_own = lines.iter().all(|line| line.rules == *rules);
    let mut sweeps: BTreeMap<(Moment, &str), Vec<Line>> = BTreeMap::new();
    for line in lines {
        let sweep = sweeps.entry((line.facts.at, line.facts.region.as_str())).or_default();
        // The line of an action stands there twice, the second time once it was done.
        match sweep.iter_mut().find(|known| known.facts == line.facts) {
            Some(known) => known.acted |= line.acted,
            None => sweep.push(line.clone()),
        }
    }
    let mut fates: BTreeMap<String, Fate> = BTreeMap::new();
    for lines in sweeps.values() {
        if are_own {
            for Line { facts, acted, .. } in lines {
                let fate = fates.entry(facts.instance_id.clone()).or_default();
                fate.look(facts);
                fate.take(facts.at, decide(facts, rules), *acted);
            }
        } else {
            sweep(lines, rules, &mut fates);
        }
    }
    fates
}

/// One sweep of one region, by other rules than the log's.
fn sweep(lines: &[Line], rules: &Rules, fates: &mut BTreeMap<String, Fate>) {
    let mut due: Vec<(Option<Moment>, &Facts, Decision)> = Vec::new();
    for Line { facts, .. } in lines {
        let fate = fates.entry(facts.instance_id.clone()).or_default();
        if fate.look(facts) {
            continue;
        }
        let then = fate.facts(facts);
        let decision = decide(&then, rules);
        if decision.acts() {
            due.push((then.tag(MARK_KEY).and_then(Mark::parse).map(|mark| mark.at), facts, decision));
        } else {
            fate.take(facts.at, decision, false);
        }
    }
    due.sort_by_key(|(marked, ..)| *marked);
    let Some((_, Facts { region, at, .. }, _)) = due.first() else { return };
    let of_region = fates.iter().filter(|(_, fate)| fate.region == *region);
    let lately = of_region.filter(|(_, fate)| fate.acts.iter().any(|act| at.since(*act) < HOUR));
    let mut allowance = Allowance::new(rules, lately.map(|(id, _)| id.clone()).collect());
    for (_, facts, decision) in due {
        // Two sweeps at once see a worker twice.
        let Some(fate) = fates.get_mut(&facts.instance_id).filter(|fate| fate.acted.is_none()) else { continue };
        let acts = allowance.is_left();
        if acts {
            allowance.count(&facts.instance_id);
            fate.acts.push(facts.at);
            fate.acted = Some((facts.at, facts.launched_at.filter(|_| decision.verdict == Verdict::Stop)));
            fate.mark = None;
        }
        fate.take(facts.at, decision, acts);
    }
}

impl Fate {
    /// Takes note of what the log shows; says whether the worker would not run any more.
    fn look(&mut self, facts: &Facts) -> bool {
        self.region.clone_from(&facts.region);
        self.name.clone_from(&facts.name);
        let since = self.last.replace(facts.at);
        self.cpu.extend(facts.cpu.iter().flatten().map(|period| (period.at, period.average)));
        let Some((_, stopped)) = self.acted else { return false };
        // Its owner started it again; a terminated one stays away.
        if stopped.is_some() && facts.launched_at != stopped {
            self.acted = None;
            return false;
        }
        if matches!(facts.state, State::Running | State::Pending) {
            self.saved += since.map_or(0, |since| facts.at.since(since));
        }
        true
    }

    /// The facts with the marks of these rules.
    fn facts(&self, facts: &Facts) -> Facts {
        let mut facts = facts.clone();
        facts.tags.remove(ACTED_KEY);
        if facts.cpu.is_some() {
            facts.cpu = Some(self.cpu.iter().map(|(at, average)| Period { at: *at, average: *average }).collect());
        }
        match &self.mark {
            Some(mark) => drop(facts.tags.insert(MARK_KEY.to_owned(), mark.clone())),
            None => drop(facts.tags.remove(MARK_KEY)),
        }
        facts
    }

    fn take(&mut self, at: Moment, decision: Decision, acted: bool) {
        match decision.verdict {
            Verdict::Mark => self.mark.clone_from(&decision.mark),
            Verdict::Unmark => self.mark = None,
            _ => {}
        }
        let same = |last: &Decided| {
            (last.decision.verdict, last.decision.rule, last.acted) == (decision.verdict, decision.rule, acted)
        };
        if !self.decisions.last().is_some_and(same) {
            self.decisions.push(Decided { at, decision, acted });
        }
    }
}

/// The decisions as a table, and the hours saved.
#[must_use]
pub fn table(fates: &BTreeMap<String, Fate>) -> String {
    let mut text = String::new();
    let mut acts: BTreeMap<String, usize> = BTreeMap::new();
    for (id, fate) in fates {
        for Decided { at, decision, acted } in
            fate.decisions.iter().filter(|one| one.decision.verdict != Verdict::Leave)
        {
            let name = fate.name.as_deref().unwrap_or("-");
            let held_back = if decision.acts() && !acted { " (held back by the limits)" } else { "" };
            *acts.entry(decision.verdict.to_string()).or_default() += usize::from(*acted);
            let _ = writeln!(
                text,
                "{at}  {id:19}  {:14}  {name:20}  {:9}  {}{held_back}",
                fate.region,
                decision.verdict.to_string(),
                decision.reason
            );
        }
    }
    let hours = std::time::Duration::from_secs(fates.values().map(|fate| fate.saved).sum()).as_secs_f64() / 3600.0;
    let count = |verdict: Verdict| acts.get(&verdict.to_string()).copied().unwrap_or_default();
    let (stopped, terminated) = (count(Verdict::Stop), count(Verdict::Terminate));
    let _ = writeln!(
        text,
        "workers: {}, stopped: {stopped}, terminated: {terminated}, hours saved: {hours:.1}",
        fates.len()
    );
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::model::sweep::rules::Wish;

    use super::*;

    /// What a sweep logs each five minutes of a worker that does nothing, from its start on.
    fn log(minutes: std::ops::Range<u64>, rules: &Rules) -> Vec<Line> {
        let facts = |minute: u64| {
            let at = Moment::new(1_800_000_000 + minute * 60);
            // As the sweep reads it for 60 minutes.
            let periods = ((minute / 5).saturating_sub(17)..minute / 5)
                .map(|n| json!({"at": Moment::new(1_800_000_000 + n * 300), "average": 1.0}));
            let facts = json!({
                "at": at, "region": "us-east-1", "instance_id": "i-0123456789abcdef0", "name": "cml-1", "state": "running",
                "state_reason": null, "launched_at": Moment::new(1_800_000_000), "created_by": null, "tags": {}, "checks": null,
                "cpu": periods.collect::<Vec<_>>(),
            });
            serde_json::from_value::<Facts>(facts).unwrap()
        };
        let line = |facts: Facts| Line { decision: decide(&facts, rules), facts, rules: rules.clone(), acted: false };
        minutes.step_by(5).map(|minute| line(facts(minute))).collect()
    }

    #[test]
    fn other_rules_stop_the_worker_and_save_the_hours_it_ran_on() {
        let lines = log(0..600, &Rules { on_idle: Some(Wish::Report), ..Rules::default() });
        let fates = replay(&lines, &Rules { on_idle: Some(Wish::Stop), ..Rules::default() });
        let fate = &fates["i-0123456789abcdef0"];
        let verdicts: Vec<Verdict> = fate.decisions.iter().map(|one| one.decision.verdict).collect();
        assert_eq!(verdicts, [Verdict::Leave, Verdict::Mark, Verdict::Stop]);
        // Idle from minute 60 on: marked then, stopped five minutes later, and seen running until minute 595.
        assert_eq!(fate.saved, (595 - 65) * 60);
        assert!(
            table(&fates).ends_with("workers: 1, stopped: 1, terminated: 0, hours saved: 8.8\n"),
            "{}",
            table(&fates)
        );
        // More than the rules of the log have read at once.
        let longer = replay(&lines, &Rules { on_idle: Some(Wish::Stop), idle_minutes: 120, ..Rules::default() });
        assert_eq!(longer["i-0123456789abcdef0"].saved, (595 - 125) * 60);
        let held = replay(&lines, &Rules { on_idle: Some(Wish::Stop), most_actions_per_sweep: 0, ..Rules::default() });
        assert!(
            table(&held).contains("(held back by the limits)") && table(&held).contains("stopped: 0"),
            "{}",
            table(&held)
        );
    }

    #[test]
    fn the_rules_of_the_log_decide_as_they_did() {
        let rules = Rules { on_idle: Some(Wish::Report), ..Rules::default() };
        let lines = log(0..120, &rules);
        let fates = replay(&lines, &rules);
        let again: Vec<Verdict> =
            fates.values().flat_map(|fate| fate.decisions.iter().map(|one| one.decision.verdict)).collect();
        let mut live: Vec<Verdict> = lines.iter().map(|line| line.decision.verdict).collect();
        live.dedup();
        assert_eq!(again, live);
    }

    #[test]
    fn a_line_of_another_version_is_counted() {
        let logged = json!({"fields": {"sweep": "{}"}});
        assert_eq!(lines(&logged.to_string()), (vec![], 1));
    }

    #[test]
    fn a_line_is_found_in_the_functions_log_and_in_what_the_cli_prints() {
        let line = log(0..5, &Rules::default()).remove(0);
        let logged =
            json!({"level": "INFO", "fields": {"message": "x", "sweep": serde_json::to_string(&line).unwrap()}});
        let printed = json!({"events": [{"message": logged.to_string()}, {"message": "START RequestId: 1"}]});
        for log in [format!("{logged}\nEND\n{logged}\n"), json!([printed, printed]).to_string()] {
            assert_eq!(lines(&log), (vec![line.clone(), line.clone()], 0), "{log}");
        }
    }
}
