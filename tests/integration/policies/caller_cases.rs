//! Callers of the API: which route each policy opens, and from where.

use std::collections::BTreeSet;

use shared::model::operation::Callers;
use shared::ops::OPERATIONS;
use tests::iam::Check;
use tests::stack::{ACCOUNT_ID, REGION};

use super::files::REST_API_ID;
use super::{A, Case, D, Mode};

const INSIDE: &str = "203.0.113.9";
const ALSO_INSIDE: &str = "198.51.100.7";
const OUTSIDE: &str = "192.0.2.1";

/// What an operation is to reader, operator and launcher.
const ROUTES: [(&str, [bool; 3]); 13] = [
    ("create-instance", [D, D, A]),
    ("start-instance", [D, A, A]),
    ("stop-instance", [D, A, A]),
    ("terminate-instance", [D, D, A]),
    ("get-instance-details", [A, A, A]),
    ("get-all-instances", [A, A, A]),
    ("get-instance-status", [A, A, A]),
    ("get-ami-ids-by-name", [A, A, A]),
    ("health", [A, A, A]),
    ("update-instance-tags", [D, A, A]),
    ("delete-instance-tags", [D, A, A]),
    ("get-instance-tags", [A, A, A]),
    ("get-instance-resources-utilization", [A, A, A]),
];

/// Routes for many workers, and routes that no operation has.
const MORE_ROUTES: [(&str, [bool; 3]); 6] = [
    ("POST/regions/us-east-1/instances/start", [D, A, A]),
    ("POST/regions/us-east-1/instances/stop", [D, A, A]),
    ("POST/regions/us-east-1/instances/terminate", [D, D, A]),
    ("POST/regions/us-east-1/instances/i-0b/terminate", [D, D, A]),
    ("DELETE/regions/us-east-1/instances", [D, D, A]),
    ("PATCH/regions/us-east-1/instances/i-0b", [D, D, A]),
];

const CALLERS: [Mode; 3] = [Mode::Reader, Mode::Operator, Mode::Launcher];
const CALLERS_OF_ROWS: [Callers; 3] = [Callers::Reader, Callers::Operator, Callers::Launcher];

/// The cases of all callers.
pub fn cases() -> Vec<Case> {
    [routes(), sources(), beyond()].concat()
}

fn route(operation: &str) -> String {
    let operation = OPERATIONS.iter().find(|known| known.name == operation).unwrap();
    let path = operation.path().replace("{region}", REGION).replace("{instance_id}", "i-0123456789abcdef0");
    format!("{}{path}", operation.method())
}

fn invoke(resource: &str, address: &str) -> Check {
    let arn = format!("arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{resource}");
    let check = Check::new("execute-api:Invoke", arn).with("aws:SourceIp", address);
    check.by("arn:aws:iam::123456789012:user/caller")
}

fn invoke_route(route: &str, address: &str) -> Check {
    invoke(&format!("{REST_API_ID}/v1/{route}"), address)
}

fn case(mode: Mode, says: impl Into<String>, check: Check, allowed: bool) -> Case {
    Case { says: says.into(), mode, checks: vec![check], allowed }
}

fn routes() -> Vec<Case> {
    // Each row says for itself who may call the operation: this table is the judge of that.
    let verdicts = |callers| CALLERS_OF_ROWS.map(|mode| if mode >= callers { A } else { D });
    let rows: BTreeSet<_> = OPERATIONS.iter().map(|operation| (operation.name, verdicts(operation.callers))).collect();
    let judged = BTreeSet::from(ROUTES);
    let (missing, extra): (Vec<_>, Vec<_>) = (rows.difference(&judged).collect(), judged.difference(&rows).collect());
    assert!(
        missing.is_empty() && extra.is_empty(),
        "ROUTES in tests/integration/policies/caller_cases.rs lacks {missing:?}, and has {extra:?}, which no row says"
    );
    let operations = ROUTES.map(|(operation, verdicts)| (route(operation), verdicts));
    let more = MORE_ROUTES.map(|(route, verdicts)| (route.to_owned(), verdicts));
    let of_route = |(route, verdicts): (String, [bool; 3])| {
        let case = move |(mode, allowed)| case(mode, format!("call {route}"), invoke_route(&route, INSIDE), allowed);
        CALLERS.into_iter().zip(verdicts).map(case)
    };
    operations.into_iter().chain(more).flat_map(of_route).collect()
}

fn sources() -> Vec<Case> {
    let list = route("get-all-instances");
    let from = |mode, address: &str, allowed| {
        case(mode, format!("list instances from {address}"), invoke_route(&list, address), allowed)
    };
    let strangers = |address| Check {
        principal: "arn:aws:iam::999999999999:user/stranger".to_owned(),
        ..invoke_route(&list, address)
    };
    vec![
        from(Mode::Reader, ALSO_INSIDE, A),
        from(Mode::Reader, OUTSIDE, D),
        from(Mode::Operator, OUTSIDE, D),
        from(Mode::Launcher, ALSO_INSIDE, A),
        from(Mode::Launcher, OUTSIDE, D),
        from(Mode::Launcher, "198.51.100.8", D),
        from(Mode::Launcher, "203.0.114.9", D),
        from(Mode::Launcher, "2001:db8::1", D),
        // The address alone opens nothing: without a policy of their own nobody calls, wherever they are.
        from(Mode::Nobody, INSIDE, D),
        from(Mode::Nobody, OUTSIDE, D),
        case(Mode::Nobody, "a stranger lists instances from inside", strangers(INSIDE), D),
        case(Mode::Nobody, "a stranger lists instances from outside", strangers(OUTSIDE), D),
    ]
}

/// What no policy is for: another API, another stage, another action.
fn beyond() -> Vec<Case> {
    let list = route("get-all-instances");
    let clear = |operation| Check {
        action: "execute-api:InvalidateCache".to_owned(),
        ..invoke_route(&route(operation), INSIDE)
    };
    let of_caller = |mode| {
        let other_api = invoke(&format!("otherapi00/v1/{list}"), INSIDE);
        let other_stage = invoke(&format!("{REST_API_ID}/v2/{list}"), INSIDE);
        [
            case(mode, "call another API", other_api, D),
            case(mode, "call another stage", other_stage, D),
            case(mode, "clear the cache of a read", clear("get-all-instances"), D),
            case(mode, "clear the cache of a start", clear("start-instance"), D),
            case(mode, "clear the cache of tags", clear("update-instance-tags"), D),
        ]
    };
    CALLERS.into_iter().flat_map(of_caller).collect()
}
