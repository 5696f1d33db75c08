//! What the policies of `iam/` allow and deny, case by case, and that nothing in them is idle.
//!
//! The calls are those that the functions really send ([`recorded`]), as they are and changed into what an attacker or a
//! mistake would send. The verdicts are an evaluator's ([`tests::iam`]), not AWS's: no emulator knows these conditions.

mod adopter_cases;
mod caller_cases;
pub mod deployed;
mod files;
mod launch_cases;
mod lifecycle_cases;
mod limit_cases;
mod mutation;
mod other_cases;
mod recorded;
mod redundant;
mod sweep_cases;
mod tag_cases;
mod worker_cases;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::Instant;

use serde_json::Value;
use shared::ops::health::self_test::remedy::statements;
use shared::ops::{OPERATIONS, SCHEDULED};
use tests::iam::{Check, Policies};

use files::{FILES, policy};
use recorded::Calls;

/// Which policies judge a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// The execution role with `PolicyMode=base`.
    Base,
    /// The execution role with `PolicyMode=guardrail`.
    Guardrail,
    /// The execution role with `PolicyMode=hardened`.
    Hardened,
    /// The execution role with `PolicyMode=base` and lists of what callers may name.
    LimitedBase,
    /// The same with `PolicyMode=hardened`.
    LimitedHardened,
    /// The role of the sweep.
    Sweep,
    /// The role of a worker.
    Worker,
    /// An operator who adopts workers.
    Adopter,
    /// A caller of the API who may read.
    Reader,
    /// A caller of the API who may also start, stop and tag.
    Operator,
    /// A caller of the API who may everything.
    Launcher,
    /// A caller of the API without a policy.
    Nobody,
}

impl Mode {
    /// The modes of the execution role, in the order of the tables' verdicts.
    pub const OF_THE_ROLE: [Self; 3] = [Self::Base, Self::Guardrail, Self::Hardened];

    /// The files that apply together. API Gateway takes the caller's policy and the API's as one for callers of the API's
    /// own account: either may allow, either may deny.
    pub fn files(self) -> &'static [&'static str] {
        match self {
            Self::Base => &["CMLWorkerManagementPolicy"],
            Self::Guardrail => &["CMLWorkerManagementPolicy", "CMLWorkerManagementPolicy.guardrail"],
            Self::Hardened => &["CMLWorkerManagementPolicy.hardened"],
            Self::LimitedBase => &["CMLWorkerManagementPolicy", "CMLWorkerLimitsPolicy"],
            Self::LimitedHardened => &["CMLWorkerManagementPolicy.hardened", "CMLWorkerLimitsPolicy"],
            Self::Sweep => &["CMLWorkerSweepPolicy"],
            Self::Worker => &["worker-role"],
            Self::Adopter => &["adopter"],
            Self::Reader => &["caller-reader", "api-resource-policy"],
            Self::Operator => &["caller-operator", "api-resource-policy"],
            Self::Launcher => &["caller-launcher", "api-resource-policy"],
            Self::Nobody => &["api-resource-policy"],
        }
    }

    /// The policies, one of them perhaps another than the file's.
    fn policies(self, instead: Option<(&str, &Value)>) -> Policies {
        let document = |file: &&str| match instead {
            Some((name, policy)) if name == *file => policy.clone(),
            _ => policy(file),
        };
        Policies::new(&self.files().iter().map(document).collect::<Vec<_>>()).unwrap()
    }
}

/// A call, a mode, and what it should come to.
#[derive(Clone, Debug)]
pub struct Case {
    /// The call in words.
    pub says: String,
    /// Who makes it.
    pub mode: Mode,
    /// All that AWS checks of it.
    pub checks: Vec<Check>,
    /// Whether it should be allowed.
    pub allowed: bool,
}

/// The verdict in a table: allowed.
pub const A: bool = true;
/// The verdict in a table: denied.
pub const D: bool = false;

/// A row of a table of the execution role: the call in words, its checks, and the verdicts with base, guardrail, hardened.
pub type Row = (&'static str, Vec<Check>, [bool; 3]);

fn role_cases(rows: Vec<Row>) -> Vec<Case> {
    let of_row = |(says, checks, verdicts): Row| {
        let case = move |(mode, allowed)| Case { says: says.to_owned(), mode, checks: checks.clone(), allowed };
        Mode::OF_THE_ROLE.into_iter().zip(verdicts).map(case)
    };
    rows.into_iter().flat_map(of_row).collect()
}

/// Every call that an operation was seen to make is allowed to the execution role, whatever the mode.
fn own_cases(calls: &Calls) -> Vec<Case> {
    let of_request = |(operation, request)| {
        let says = format!("{operation} sends {}", tests::iam::Request::clone(request).action);
        let checks = calls.checks(request);
        Mode::OF_THE_ROLE.map(|mode| Case { says: says.clone(), mode, checks: checks.clone(), allowed: A })
    };
    calls.all().flat_map(of_request).collect()
}

fn cases(calls: &Calls) -> Vec<Case> {
    let rows =
        [launch_cases::rows(calls), lifecycle_cases::rows(calls), tag_cases::rows(calls), other_cases::rows(calls)];
    let others = [
        limit_cases::cases(calls),
        sweep_cases::cases(calls),
        worker_cases::cases(calls),
        adopter_cases::cases(calls),
        caller_cases::cases(),
    ]
    .concat();
    [own_cases(calls), role_cases(rows.concat()), others].concat()
}

/// Judges the cases of one mode. Calls have most of their checks in common, so each is judged once.
fn verdicts(policies: &Policies, cases: &[&Case]) -> Vec<bool> {
    let mut known = BTreeMap::new();
    let mut allow = |check| *known.entry(check).or_insert_with(|| policies.allow(check).unwrap());
    cases.iter().map(|case| case.checks.iter().all(&mut allow)).collect()
}

fn of_mode(cases: &[Case], mode: Mode) -> Vec<&Case> {
    cases.iter().filter(|case| case.mode == mode).collect()
}

fn modes(cases: &[Case]) -> BTreeSet<Mode> {
    cases.iter().map(|case| case.mode).collect()
}

#[tokio::test]
async fn every_call_gets_its_claimed_verdict_and_every_policy_element_matters() {
    let cases = cases(Calls::recorded().await);
    let checks: usize = cases.iter().map(|case| case.checks.len()).sum();
    assert!(cases.len() >= 150, "{} cases", cases.len());
    assert!(cases.iter().all(|case| !case.checks.is_empty()), "a call without checks would always be allowed");
    let wrong: Vec<String> = modes(&cases).into_iter().flat_map(|mode| wrong_in(mode, &cases)).collect();
    assert!(wrong.is_empty(), "{} wrong verdicts:\n{}", wrong.len(), wrong.join("\n"));
    let started = Instant::now();
    let found = mutation::run(&cases);
    let (seconds, unnoticed) = (started.elapsed().as_secs_f32(), found.unnoticed.len());
    // Past the capture of a test's output: whoever runs the tests wants to see the counts.
    let (mutants, listed) = (found.mutants, redundant::LIST.len());
    let noticed = mutants - unnoticed;
    writeln!(
        std::io::stderr(),
        "policies: {} cases of {checks} checks; {mutants} mutants in {seconds:.1} s: {noticed} noticed, {unnoticed} not, {listed} listed with the reason",
        cases.len(),
    )
    .unwrap();
    found.assert_exactly_listed();
}

fn wrong_in(mode: Mode, cases: &[Case]) -> Vec<String> {
    let (policies, cases) = (mode.policies(None), of_mode(cases, mode));
    let judged = cases.iter().zip(verdicts(&policies, &cases));
    let wrong = judged.filter(|(case, allowed)| case.allowed != *allowed);
    wrong.map(|(case, allowed)| explain(case, &policies, allowed)).collect()
}

fn explain(case: &Case, policies: &Policies, allowed: bool) -> String {
    let denied = case.checks.iter().filter(|check| !policies.allow(check).unwrap());
    let denied: Vec<_> = denied.map(|check| format!("    denied: {check}")).collect();
    format!("{:?}: {}: is {}\n{}", case.mode, case.says, if allowed { "allowed" } else { "denied" }, denied.join("\n"))
}

/// The table of operations, and with it `iam/README.md` and the health check, says what the functions really need.
#[tokio::test]
async fn each_operation_needs_exactly_the_actions_of_its_table() {
    let calls = Calls::recorded().await;
    for operation in OPERATIONS {
        let checks = calls.of(operation.name).flat_map(|request| calls.checks(request));
        let needed: BTreeSet<String> = checks.map(|check| check.action).collect();
        let table = operation.actions.iter().map(|action| (*action).to_owned()).collect();
        assert_eq!(needed, table, "{}", operation.name);
    }
}

/// The sweep's role has a policy of its own: with every rule on, exactly the actions of its row.
#[test]
fn the_sweep_is_granted_exactly_the_actions_of_its_row() {
    let [sweep] = SCHEDULED;
    let row = sweep.actions.iter().map(|action| (*action).to_owned()).collect();
    assert_eq!(files::actions(&policy("CMLWorkerSweepPolicy")), row);
}

/// The functions that callers call are tried with every call that a case is about, and the sweep with all of those too.
#[tokio::test]
async fn the_sweep_may_nothing_that_hardened_does_not_allow_but_telling_changes() {
    let calls = Calls::recorded().await;
    let of_cases = cases(calls).into_iter().flat_map(|case| case.checks);
    let checks: BTreeSet<Check> = of_cases.chain(sweep_cases::every_change(calls)).collect();
    let [sweep, hardened] = [Mode::Sweep, Mode::Hardened].map(|mode| mode.policies(None));
    let beyond = |check: &&Check| sweep.allow(check).unwrap() && !hardened.allow(check).unwrap();
    let (told, other): (Vec<_>, Vec<_>) =
        checks.iter().filter(beyond).partition(|check| check.action == "events:PutEvents");
    assert!(other.is_empty(), "{} of {} checks: {other:#?}", other.len(), checks.len());
    assert!(!told.is_empty() && checks.iter().filter(|check| sweep.allow(check).unwrap()).count() > 20);
}

/// What the self-test says to add for an action that is denied, pasted into the policy without it, gives the hardened policy
/// back; and pasted beside that one, it changes no verdict.
#[tokio::test]
async fn a_remedy_gives_back_what_is_missing_and_nothing_else() {
    const HARDENED: &str = "CMLWorkerManagementPolicy.hardened";
    let cases = cases(Calls::recorded().await);
    let cases = of_mode(&cases, Mode::Hardened);
    let (config, hardened) = (files::configuration(), policy(HARDENED));
    let expected = verdicts(&Policies::new(std::slice::from_ref(&hardened)).unwrap(), &cases);
    let mut noticed = 0;
    for action in files::actions(&hardened) {
        let remedy = statements(&action, &config);
        let beside = Policies::new(&[files::with(&hardened, &remedy)]).unwrap();
        assert_eq!(verdicts(&beside, &cases), expected, "{action} beside the hardened policy");
        let without = files::without(&hardened, &action);
        let mended = Policies::new(&[files::with(&without, &remedy)]).unwrap();
        assert_eq!(verdicts(&mended, &cases), expected, "{action} instead of what was taken away");
        noticed += usize::from(verdicts(&Policies::new(&[without]).unwrap(), &cases) != expected);
    }
    // Without the remedy something is missing: for each action a case says so.
    assert_eq!(noticed, files::actions(&hardened).len());
}

/// A managed policy holds at most 6,144 characters, white space not counted.
#[test]
fn each_policy_fits_into_a_managed_policy() {
    for file in FILES {
        let size = policy(file).to_string().chars().filter(|c| !c.is_whitespace()).count();
        assert!(size <= 6_144, "{file} has {size} characters");
    }
}
