//! The rules of the sweep, and the bus on which it publishes each change of a worker. Only `sweep-workers` has these variables.

use std::fmt::Display;
use std::str::FromStr;

use crate::config::variables::note;
use crate::model::sweep::rules::{Rules, Wish};

/// What happens to idle workers: `report` or `stop`.
pub const CML_ON_IDLE: &str = "CML_ON_IDLE";
/// What happens to impaired workers: `report` or `stop`.
pub const CML_ON_IMPAIRED: &str = "CML_ON_IMPAIRED";
/// What happens to workers whose owner gives no sign of life: `report`, `stop` or `terminate`.
pub const CML_ON_ORPHAN: &str = "CML_ON_ORPHAN";
/// Below which CPU utilization a worker is idle, in percent.
pub const CML_IDLE_CPU_PERCENT: &str = "CML_IDLE_CPU_PERCENT";
/// For how long a worker must be idle, in minutes.
pub const CML_IDLE_MINUTES: &str = "CML_IDLE_MINUTES";
/// For how long after its start a worker is neither idle nor an orphan, in minutes.
pub const CML_GRACE_MINUTES: &str = "CML_GRACE_MINUTES";
/// Up to which age a heartbeat is a sign of life, in minutes.
pub const CML_HEARTBEAT_MINUTES: &str = "CML_HEARTBEAT_MINUTES";
/// How much time must pass between the mark and the action, in minutes.
pub const CML_MARK_MINUTES: &str = "CML_MARK_MINUTES";
/// How many workers of a region a sweep stops and terminates at most.
pub const CML_MOST_ACTIONS_PER_SWEEP: &str = "CML_MOST_ACTIONS_PER_SWEEP";
/// How many workers of a region are stopped and terminated in any hour at most.
pub const CML_MOST_ACTIONS_PER_HOUR: &str = "CML_MOST_ACTIONS_PER_HOUR";
/// The bus on which the sweep publishes what changed.
pub const CML_EVENT_BUS: &str = "CML_EVENT_BUS";

/// What the sweep does, and where it tells so.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// The rules.
    pub rules: Rules,
    /// The name of the event bus.
    pub event_bus: String,
}

impl Default for Sweep {
    fn default() -> Self {
        Self { rules: Rules::default(), event_bus: "default".to_owned() }
    }
}

impl Sweep {
    /// Reads the variables that `variable` knows.
    ///
    /// # Errors
    /// What is wrong with each of them.
    pub fn parse(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut bad = Vec::new();
        Self::read(variable, &mut bad).ok_or_else(|| bad.join("; "))
    }

    /// Reads the variables that `variable` knows, and adds to `bad` what is wrong with them.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>, bad: &mut Vec<String>) -> Option<Self> {
        let default = Rules::default();
        let mut number = |name: &str, default: u64, least: u64, most: u64| {
            note(name, variable(name).map_or(Ok(default), |text| whole(&text, least, most)), bad)
        };
        let idle_minutes = number(CML_IDLE_MINUTES, default.idle_minutes, 30, 1440);
        let grace_minutes = number(CML_GRACE_MINUTES, default.grace_minutes, 5, 10_080);
        let heartbeat_minutes = number(CML_HEARTBEAT_MINUTES, default.heartbeat_minutes, 1, 10_080);
        let mark_minutes = number(CML_MARK_MINUTES, default.mark_minutes, 1, 10_080);
        let per_sweep = number(CML_MOST_ACTIONS_PER_SWEEP, default.most_actions_per_sweep as u64, 0, 1000);
        let per_hour = number(CML_MOST_ACTIONS_PER_HOUR, default.most_actions_per_hour as u64, 0, 1000);
        let percent = variable(CML_IDLE_CPU_PERCENT).map_or(Ok(default.idle_cpu_percent), |text| percent(&text));
        let idle_cpu_percent = note(CML_IDLE_CPU_PERCENT, percent, bad);
        let mut wish = |name: &str, words: &[Wish]| note(name, wish(variable(name), words), bad);
        let on_idle = wish(CML_ON_IDLE, &[Wish::Report, Wish::Stop]);
        let on_impaired = wish(CML_ON_IMPAIRED, &[Wish::Report, Wish::Stop]);
        let on_orphan = wish(CML_ON_ORPHAN, &[Wish::Report, Wish::Stop, Wish::Terminate]);
        Some(Self {
            rules: Rules {
                on_idle: on_idle?,
                on_impaired: on_impaired?,
                on_orphan: on_orphan?,
                idle_cpu_percent: idle_cpu_percent?,
                idle_minutes: idle_minutes?,
                grace_minutes: grace_minutes?,
                heartbeat_minutes: heartbeat_minutes?,
                mark_minutes: mark_minutes?,
                most_actions_per_sweep: usize::try_from(per_sweep?).ok()?,
                most_actions_per_hour: usize::try_from(per_hour?).ok()?,
            },
            event_bus: variable(CML_EVENT_BUS).unwrap_or(Self::default().event_bus),
        })
    }
}

/// Reads what a rule does. Without a word, or with `off`, the rule is off.
fn wish(text: Option<String>, allowed: &[Wish]) -> Result<Option<Wish>, String> {
    let Some(text) = text.filter(|text| text != "off") else { return Ok(None) };
    let words: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    let found = allowed.iter().find(|wish| wish.to_string() == text).copied();
    found.map(Some).ok_or_else(|| format!("is {text:?} but must be one of off, {}", words.join(", ")))
}

fn whole(text: &str, least: u64, most: u64) -> Result<u64, String> {
    within(text, least, most).ok_or_else(|| format!("is {text:?} but must be a whole number from {least} to {most}"))
}

fn percent(text: &str) -> Result<f64, String> {
    within(text, 0.1, 100.0).ok_or_else(|| format!("is {text:?} but must be a number from 0.1 to 100"))
}

fn within<T: FromStr + PartialOrd + Display>(text: &str, least: T, most: T) -> Option<T> {
    text.parse().ok().filter(|number| *number >= least && *number <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Rules, Vec<String>> {
        let mut bad = Vec::new();
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned());
        Sweep::read(variable, &mut bad).map(|sweep| sweep.rules).ok_or(bad)
    }

    #[test]
    fn without_variables_no_rule_is_on() {
        assert_eq!(read(&[]), Ok(Rules::default()));
        let off = read(&[(CML_ON_IDLE, "off"), (CML_ON_ORPHAN, "off"), (CML_ON_IMPAIRED, "off")]).unwrap();
        assert!(!off.stops() && !off.terminates());
    }

    #[test]
    fn each_rule_has_its_own_words() {
        let rules = read(&[(CML_ON_IDLE, "stop"), (CML_ON_IMPAIRED, "report"), (CML_ON_ORPHAN, "terminate")]).unwrap();
        let expected = (Some(Wish::Stop), Some(Wish::Report), Some(Wish::Terminate));
        assert_eq!((rules.on_idle, rules.on_impaired, rules.on_orphan), expected);
        for name in [CML_ON_IDLE, CML_ON_IMPAIRED] {
            let bad = read(&[(name, "terminate")]).unwrap_err();
            assert_eq!(bad, [format!("{name} is \"terminate\" but must be one of off, report, stop")]);
        }
    }

    #[test]
    fn every_bad_number_is_named() {
        let bad = read(&[
            (CML_IDLE_MINUTES, "29"),
            (CML_MARK_MINUTES, "0"),
            (CML_IDLE_CPU_PERCENT, "NaN"),
            (CML_GRACE_MINUTES, "-5"),
        ]);
        let names: Vec<String> =
            bad.unwrap_err().iter().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect();
        assert_eq!(names, [CML_IDLE_MINUTES, CML_GRACE_MINUTES, CML_MARK_MINUTES, CML_IDLE_CPU_PERCENT]);
    }
}
