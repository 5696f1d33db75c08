use serde_json::json;

use super::allowance::Allowance;
use super::change::{ChangeKind, changes};
use super::decision::{Verdict, decide};
use super::facts::{Checks, Facts, Period};
use super::finding::holding;
use super::mark::{Mark, Rule};
use super::rules::{Rules, Wish};
use super::*;
use crate::model::state::State;
use crate::model::time::Moment;

const NOW: u64 = 1_800_000_000;

fn ago(minutes: u64) -> Moment {
    Moment::new(NOW - minutes * 60)
}

/// A worker that has run for three hours with this CPU utilization.
fn worker(cpu: f64) -> Facts {
    let periods = (1..=36_u8).rev().map(|number| Period { at: ago(u64::from(number) * 5), average: cpu });
    let facts = json!({
        "at": Moment::new(NOW), "region": "us-east-1", "instance_id": "i-0123456789abcdef0", "name": "cml-1", "state": "running",
        "state_reason": null, "launched_at": ago(180), "created_by": "arn:aws:iam::123456789012:user/alice", "tags": {},
        "checks": {"instance": "ok", "system": "ok", "ebs": null, "impaired_since": null, "events": {}}, "cpu": null,
    });
    Facts { cpu: Some(periods.collect()), ..serde_json::from_value(facts).unwrap() }
}

fn with(mut facts: Facts, key: &str, value: impl ToString) -> Facts {
    facts.tags.insert(key.to_owned(), value.to_string());
    facts
}

fn failing(since: Option<Moment>) -> Facts {
    let checks = Checks { system: Some("impaired".to_owned()), impaired_since: since, ..Checks::default() };
    Facts { checks: Some(checks), ..worker(50.0) }
}

fn rules(rule: Rule, wish: Wish) -> Rules {
    let of = |this| (rule == this).then_some(wish);
    Rules { on_idle: of(Rule::Idle), on_impaired: of(Rule::Impaired), on_orphan: of(Rule::Orphan), ..Rules::default() }
}

fn verdict(facts: &Facts, rules: &Rules) -> Verdict {
    decide(facts, rules).verdict
}

#[test]
fn without_a_rule_nothing_is_found() {
    for facts in [worker(0.0), failing(Some(ago(60))), with(worker(0.0), HEARTBEAT_KEY, "never")] {
        assert_eq!(verdict(&facts, &Rules::default()), Verdict::Leave);
    }
}

#[test]
fn failing_checks_are_counted_without_a_rule_and_each_rule_that_holds_with_it() {
    let no_rules = Rules::default();
    assert_eq!(holding(&failing(Some(ago(60))), &no_rules), [Rule::Impaired]);
    assert_eq!(holding(&worker(0.0), &no_rules), []);
    let all = Rules { on_idle: Some(Wish::Report), on_orphan: Some(Wish::Report), ..no_rules };
    let alone = Facts { cpu: worker(0.0).cpu, ..failing(Some(ago(60))) };
    assert_eq!(holding(&alone, &all), [Rule::Idle, Rule::Impaired, Rule::Orphan]);
    assert_eq!(holding(&with(worker(0.0), HEARTBEAT_KEY, ago(1)), &all), []);
}

#[test]
fn a_worker_is_idle_only_with_enough_data_and_after_its_grace() {
    let stop = rules(Rule::Idle, Wish::Stop);
    assert_eq!(verdict(&worker(4.9), &stop), Verdict::Mark);
    assert_eq!(verdict(&worker(5.0), &stop), Verdict::Leave);
    let mut cases = vec![
        Facts { cpu: None, ..worker(0.0) },
        Facts { cpu: Some(Vec::new()), ..worker(0.0) },
        Facts { state: State::Stopped, ..worker(0.0) },
        Facts { launched_at: None, ..worker(0.0) },
        Facts { launched_at: Some(ago(59)), ..worker(0.0) },
    ];
    // One period in ten may be missing, and the newest may be 20 minutes old; no more than that.
    let without = |numbers: &[usize]| {
        let mut facts = worker(0.0);
        let mut number = 0;
        facts.cpu.as_mut().unwrap().reverse();
        facts.cpu.as_mut().unwrap().retain(|_| {
            number += 1;
            !numbers.contains(&number)
        });
        facts.cpu.as_mut().unwrap().reverse();
        facts
    };
    assert_eq!(verdict(&without(&[3]), &stop), Verdict::Mark);
    assert_eq!(verdict(&without(&[1, 2, 3]), &stop), Verdict::Mark);
    cases.push(without(&[3, 5]));
    cases.push(without(&[1, 2, 3, 4]));
    // One busy period in the hour, its first or its last.
    for index in [24, 35] {
        let mut busy = worker(0.0);
        busy.cpu.as_mut().unwrap()[index].average = 90.0;
        cases.push(busy);
    }
    for facts in cases {
        assert_eq!(verdict(&facts, &stop), Verdict::Leave, "{facts:?}");
    }
}

#[test]
fn a_worker_that_was_never_used_is_idle() {
    let facts = Facts { launched_at: Some(ago(61)), ..worker(0.1) };
    assert_eq!(verdict(&facts, &rules(Rule::Idle, Wish::Stop)), Verdict::Mark);
}

#[test]
fn a_check_must_fail_for_two_minutes_and_ec2_must_say_since_when() {
    let stop = rules(Rule::Impaired, Wish::Stop);
    assert_eq!(verdict(&failing(Some(ago(2))), &stop), Verdict::Mark);
    assert_eq!(verdict(&failing(Some(Moment::new(NOW - 119))), &stop), Verdict::Leave);
    assert_eq!(verdict(&failing(None), &stop), Verdict::Report);
    assert_eq!(verdict(&Facts { checks: None, ..worker(50.0) }, &stop), Verdict::Leave);
    assert_eq!(verdict(&Facts { state: State::Stopped, ..failing(Some(ago(9))) }, &stop), Verdict::Leave);
    let in_use = with(failing(Some(ago(9))), HEARTBEAT_KEY, ago(1));
    assert_eq!(verdict(&in_use, &stop), Verdict::Report);
}

#[test]
fn a_heartbeat_younger_than_its_limit_vetoes() {
    for (rule, wish) in [(Rule::Idle, Wish::Stop), (Rule::Orphan, Wish::Terminate)] {
        let rules = rules(rule, wish);
        assert_eq!(verdict(&with(worker(0.0), HEARTBEAT_KEY, ago(29)), &rules), Verdict::Leave);
        assert_eq!(verdict(&with(worker(0.0), HEARTBEAT_KEY, ago(30)), &rules), Verdict::Mark);
    }
}

#[test]
fn a_heartbeat_that_cannot_be_read_protects_and_is_reported() {
    for unreadable in ["soon".to_owned(), Moment::new(NOW + 301).to_string()] {
        for (facts, rule) in
            [(worker(0.0), Rule::Idle), (failing(Some(ago(9))), Rule::Impaired), (worker(0.0), Rule::Orphan)]
        {
            let decision = decide(&with(facts, HEARTBEAT_KEY, &unreadable), &rules(rule, Wish::Stop));
            assert_eq!((decision.verdict, decision.rule), (Verdict::Report, Some(rule)));
            assert!(decision.reason.contains("which is no time up to now"), "{}", decision.reason);
        }
    }
}

#[test]
fn a_mark_stays_while_its_rule_cannot_be_judged() {
    let idle = with(Facts { cpu: None, ..worker(0.0) }, MARK_KEY, format!("stop idle {}", ago(9)));
    assert_eq!(verdict(&idle, &rules(Rule::Idle, Wish::Stop)), Verdict::Leave);
    assert_eq!(verdict(&idle, &Rules::default()), Verdict::Unmark);
    let impaired = with(Facts { checks: None, ..worker(0.0) }, MARK_KEY, format!("stop impaired {}", ago(9)));
    assert_eq!(verdict(&impaired, &rules(Rule::Impaired, Wish::Stop)), Verdict::Leave);
}

#[test]
fn a_mark_that_no_sweep_looked_after_for_a_day_is_written_anew() {
    let started = Facts { launched_at: Some(ago(5000)), ..worker(0.0) };
    let marked = |minutes| with(started.clone(), MARK_KEY, format!("stop idle {}", ago(minutes)));
    assert_eq!(verdict(&marked(1440), &rules(Rule::Idle, Wish::Stop)), Verdict::Stop);
    assert_eq!(verdict(&marked(1441), &rules(Rule::Idle, Wish::Stop)), Verdict::Mark);
}

#[test]
fn a_check_without_enough_data_is_neither_passed_nor_failed() {
    let mut facts = with(worker(0.0), SEEN_KEY, "running impaired");
    facts.checks.as_mut().unwrap().system = Some("insufficient-data".to_owned());
    assert_eq!(told(&facts, false), (vec![], None));
    // Without the time since when, a failing check is as it was.
    let failing = with(failing(None), SEEN_KEY, "running impaired");
    assert_eq!(told(&failing, false), (vec![], None));
}

#[test]
fn another_stacks_memory_without_a_state_is_no_change() {
    assert_eq!(told(&with(worker(0.0), SEEN_KEY, "- ok"), false), (vec![], Some("running ok".to_owned())));
}

#[test]
fn an_orphan_needs_a_rule_a_grace_and_a_heartbeat_that_can_be_read() {
    let end = rules(Rule::Orphan, Wish::Terminate);
    assert_eq!(verdict(&worker(90.0), &end), Verdict::Mark);
    assert_eq!(verdict(&Facts { state: State::Stopped, ..worker(0.0) }, &end), Verdict::Mark);
    assert_eq!(verdict(&Facts { launched_at: Some(ago(59)), ..worker(0.0) }, &end), Verdict::Leave);
    for state in [State::Pending, State::Stopping, State::ShuttingDown, State::Terminated] {
        assert_eq!(verdict(&Facts { state: state.clone(), ..worker(0.0) }, &end), Verdict::Leave, "{state}");
    }
    let stopped = Facts { state: State::Stopped, ..worker(0.0) };
    assert_eq!(verdict(&stopped, &rules(Rule::Orphan, Wish::Stop)), Verdict::Leave);
    for unreadable in ["soon".to_owned(), Moment::new(NOW + 301).to_string()] {
        assert_eq!(verdict(&with(worker(0.0), HEARTBEAT_KEY, unreadable), &end), Verdict::Report);
    }
    assert_eq!(verdict(&with(worker(0.0), HEARTBEAT_KEY, Moment::new(NOW + 300)), &end), Verdict::Leave);
}

#[test]
fn the_action_follows_a_mark_of_the_same_rule_that_is_old_enough() {
    let end = rules(Rule::Orphan, Wish::Terminate);
    for (mark, expected) in [
        (format!("terminate orphan {}", ago(4)), Verdict::Terminate),
        (format!("terminate orphan {}", ago(3)), Verdict::Leave),
        (format!("terminate orphan {}", Moment::new(NOW + 60)), Verdict::Mark),
        (format!("stop orphan {}", ago(9)), Verdict::Mark),
        (format!("terminate idle {}", ago(9)), Verdict::Mark),
        // Before the worker's last start.
        (format!("terminate orphan {}", ago(181)), Verdict::Mark),
        (format!("terminate orphan {} x", ago(9)), Verdict::Mark),
        ("x".to_owned(), Verdict::Mark),
    ] {
        assert_eq!(verdict(&with(worker(0.0), MARK_KEY, &mark), &end), expected, "{mark}");
    }
    let stop = rules(Rule::Idle, Wish::Stop);
    let decision = decide(&with(worker(0.0), MARK_KEY, format!("stop idle {}", ago(5))), &stop);
    assert_eq!(decision.verdict, Verdict::Stop);
    let reason = format!(
        "the CPU was at 0.0 % or less in each of 12 periods of 5 minutes since {}, below 5 %; marked since {}",
        ago(60),
        ago(5)
    );
    assert_eq!(decision.reason, reason);
}

#[test]
fn a_kept_worker_is_reported_and_its_mark_goes() {
    let end = rules(Rule::Orphan, Wish::Terminate);
    let kept = with(worker(0.0), KEEP_KEY, "false");
    assert_eq!(verdict(&kept, &end), Verdict::Report);
    assert_eq!(verdict(&with(kept, MARK_KEY, format!("terminate orphan {}", ago(9))), &end), Verdict::Unmark);
}

#[test]
fn the_stronger_wish_wins() {
    let both = Rules { on_idle: Some(Wish::Stop), ..rules(Rule::Orphan, Wish::Terminate) };
    assert_eq!(decide(&worker(0.0), &both).mark.unwrap(), format!("terminate orphan {}", Moment::new(NOW)));
    let reported = Rules { on_idle: Some(Wish::Stop), ..rules(Rule::Orphan, Wish::Report) };
    assert_eq!(decide(&worker(0.0), &reported).mark.unwrap(), format!("stop idle {}", Moment::new(NOW)));
}

#[test]
fn the_allowance_of_a_sweep_and_of_an_hour_ends() {
    let rules = Rules { most_actions_per_sweep: 2, most_actions_per_hour: 3, ..Rules::default() };
    let lately = |count: usize| (0..count).map(|number| format!("i-{number}")).collect();
    let mut of_sweep = Allowance::new(&rules, lately(0));
    of_sweep.count("i-7");
    assert!(of_sweep.is_left());
    of_sweep.count_refused();
    assert!(!of_sweep.is_left());
    let mut of_hour = Allowance::new(&rules, lately(2));
    // A worker counts once in an hour.
    of_hour.count("i-0");
    assert!(of_hour.is_left());
    let mut full = Allowance::new(&rules, lately(2));
    full.count("i-7");
    assert!(!full.is_left());
    assert!(!Allowance::new(&rules, lately(3)).is_left());
}

#[test]
fn a_mark_is_read_as_it_is_written() {
    for text in [
        "stop idle 2026-11-27T10:00:00Z",
        "terminate orphan 2026-11-27T10:00:00Z",
        "stop impaired 2026-11-27T10:00:00Z",
    ] {
        assert_eq!(Mark::parse(text).unwrap().to_string(), text);
    }
    for text in [
        "",
        "stop",
        "report idle 2026-11-27T10:00:00Z",
        "stop idle",
        "stop idle now",
        "stop idle 2026-11-27T10:00:00Z ",
    ] {
        assert_eq!(Mark::parse(text), None, "{text}");
    }
}

/// What is told of a worker, and remembered.
fn told(facts: &Facts, is_told_by_ec2: bool) -> (Vec<ChangeKind>, Option<String>) {
    let (changes, seen) = changes(facts, is_told_by_ec2);
    (changes.iter().map(|change| change.change).collect(), seen)
}

#[test]
fn each_change_is_told_once() {
    let facts = worker(0.0);
    assert_eq!(told(&facts, false), (vec![ChangeKind::State], Some("running ok".to_owned())));
    assert_eq!(told(&with(facts.clone(), SEEN_KEY, "running ok"), false), (vec![], None));
    // EC2 tells the states of the stack's own region itself.
    assert_eq!(told(&facts, true), (vec![], Some("- ok".to_owned())));
    let impaired = with(failing(Some(ago(2))), SEEN_KEY, "running ok");
    assert_eq!(told(&impaired, false), (vec![ChangeKind::Impaired], Some("running impaired".to_owned())));
    let again = with(worker(0.0), SEEN_KEY, "running impaired");
    assert_eq!(told(&again, false), (vec![ChangeKind::Recovered], Some("running ok".to_owned())));
    // Checks that could not be read are as they were.
    let unread = with(Facts { checks: None, ..worker(0.0) }, SEEN_KEY, "running impaired instance-stop");
    assert_eq!(told(&unread, false), (vec![], None));
    let mut planned = with(worker(0.0), SEEN_KEY, "running ok instance-stop");
    let events = [("instance-stop", None), ("instance-retirement", Some("2026-12-01T00:00:00Z"))];
    planned.checks.as_mut().unwrap().events =
        events.map(|(code, begin)| (code.to_owned(), begin.map(str::to_owned))).into_iter().collect();
    let (changes, seen) = changes(&planned, false);
    assert_eq!(seen.as_deref(), Some("running ok instance-retirement instance-stop"));
    assert_eq!(
        (changes[0].to.as_deref(), changes[0].cause.as_deref()),
        (Some("instance-retirement"), Some("not before 2026-12-01T00:00:00Z"))
    );
}

#[test]
fn a_terminated_worker_that_nobody_remembers_is_no_news() {
    let gone = Facts { state: State::Terminated, ..worker(0.0) };
    assert_eq!(told(&gone, false), (vec![], None));
    let known = with(gone, SEEN_KEY, "running ok");
    assert_eq!(told(&known, false), (vec![ChangeKind::State], Some("terminated ok".to_owned())));
}

#[test]
fn an_event_says_who_asked_where_that_is_known() {
    let by = |facts: Facts| changes(&facts, false).0.remove(0).by;
    let acted = |minutes| format!("stop idle {}", ago(minutes));
    let stopped = Facts { state: State::Stopped, ..worker(0.0) };
    assert_eq!(by(with(stopped.clone(), ACTED_KEY, acted(10))).as_deref(), Some("sweep-workers"));
    assert_eq!(by(with(stopped.clone(), ACTED_KEY, acted(11))), None);
    assert_eq!(by(stopped), None);
    let pending = Facts { state: State::Pending, ..worker(0.0) };
    assert_eq!(by(pending.clone()).as_deref(), Some("arn:aws:iam::123456789012:user/alice"));
    // Somebody starts it again.
    assert_eq!(by(with(pending, SEEN_KEY, "stopped ok")), None);
}
