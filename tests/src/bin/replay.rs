//! `make replay`: what other rules would have done with the workers in a log of the sweep.

#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a program for a terminal")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::process::ExitCode;

use shared::config::sweep::Sweep;
use shared::model::sweep::rules::Rules;
use tests::replay::{lines, replay, table};

fn main() -> ExitCode {
    match table_of_arguments() {
        Ok(table) => {
            print!("{table}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The rules of `OnIdle=stop IdleMinutes=120`: parameters of the template, checked as the function checks them.
fn rules(text: &str) -> Result<Rules, String> {
    let mut variables = BTreeMap::new();
    for word in text.split_whitespace() {
        let (name, value) = word.split_once('=').ok_or(format!("RULES has {word:?}, which is not Parameter=value"))?;
        variables.insert(variable(name), value.to_owned());
    }
    let asked = std::cell::RefCell::new(Vec::new());
    let known = |name: &str| {
        asked.borrow_mut().push(name.to_owned());
        variables.get(name).cloned()
    };
    let rules = Sweep::parse(known).map_err(|error| format!("RULES: {error}"))?.rules;
    match variables.keys().find(|name| !asked.borrow().contains(name)) {
        Some(unknown) => {
            Err(format!("RULES: {unknown} is the variable of no rule; docs/SWEEP.md lists the parameters"))
        }
        None => Ok(rules),
    }
}

/// `IdleMinutes` → `CML_IDLE_MINUTES`.
fn variable(parameter: &str) -> String {
    let letters =
        parameter.chars().map(|c| if c.is_uppercase() { format!("_{c}") } else { c.to_uppercase().to_string() });
    format!("CML{}", letters.collect::<String>())
}

fn table_of_arguments() -> Result<String, String> {
    let [log, text] = ["LOG", "RULES"].map(|name| env::var(name).unwrap_or_default());
    if log.is_empty() || text.is_empty() {
        return Err("make replay needs LOG=<file of log lines> and RULES=\"OnIdle=stop IdleMinutes=120\"".to_owned());
    }
    let rules = rules(&text)?;
    let content = fs::read_to_string(&log).map_err(|error| format!("LOG cannot be read: {log}: {error}"))?;
    let (lines, unreadable) = lines(&content);
    let mut notes = String::new();
    if unreadable > 0 {
        notes += &format!("{unreadable} lines of sweeps could not be read: they are of another version.\n");
    }
    if lines.is_empty() {
        let hint = "the aws logs command in docs/SWEEP.md writes one: is the function's name right, and was there a sweep then?";
        return Err(format!("{notes}{log} has no line of a sweep that can be read; {hint}"));
    }
    let blind = lines.iter().filter(|line| line.facts.state.as_str() == "running" && line.facts.cpu.is_none()).count();
    if rules.on_idle.is_some() && blind > 0 {
        notes += &format!("{blind} lines have no CPU, because OnIdle was off or CloudWatch did not answer.\n");
    }
    Ok(format!("{}{notes}", table(&replay(&lines, &rules))))
}
