//! `docs/PROOFS.md` says by what each claim is proven: the words it may use, the tests it names, the pages it quotes.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;

use tests::stack::repository;

/// What may stand in the second column, strongest first. A `*` behind it says that `make smoke` observes the claim.
const LEVELS: [&str; 7] =
    ["seen on AWS", "AWS's data", "AWS's sentence", "our test", "emulator", "our stub", "not yet"];

/// Where a test of this name can be.
const PLACES: [&str; 10] = [
    "tests/integration/{}.rs",
    "tests/integration/{}/mod.rs",
    "shared/src/{}.rs",
    "shared/src/{}/mod.rs",
    "shared/src/{}/tests.rs",
    "tests/src/{}.rs",
    "tests/src/{}/mod.rs",
    "tests/src/{}/tests.rs",
    "tests/{}.py",
    "clients/python/tests/{}.py",
];

/// Asserts that each test exists which a text names, as in `waiting::a_start_that_…`; gives how many it names.
pub fn assert_named_tests_exist(text: &str) -> usize {
    let names: Vec<&str> = text.split('`').skip(1).step_by(2).filter(|word| word.contains("::")).collect();
    for name in &names {
        let (module, test) = name.rsplit_once("::").unwrap();
        let file = module.replace("::", "/");
        let texts =
            PLACES.iter().filter_map(|place| fs::read_to_string(repository().join(place.replace("{}", &file))).ok());
        let heads = [format!("fn {test}("), format!("def {test}(")];
        assert!(texts.into_iter().any(|text| heads.iter().any(|head| text.contains(head))), "{name} does not exist");
    }
    names.len()
}

fn rows(text: &str) -> Vec<[String; 3]> {
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| claim"));
    rows.map(|line| cells(line).try_into().unwrap_or_else(|cells| panic!("three cells: {cells:?}"))).collect()
}

fn level(proven_by: &str) -> &str {
    proven_by.trim_end_matches('*').trim()
}

#[test]
fn each_claim_has_a_level_and_what_the_level_asks_for() {
    let text = fs::read_to_string(repository().join("docs/PROOFS.md")).unwrap();
    assert!(assert_named_tests_exist(&text) >= 60);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let rows = rows(&text);
    for [claim, proven_by, place] in &rows {
        let level = level(proven_by);
        assert!(LEVELS.contains(&level), "{claim}: {level}");
        *counts.entry(level).or_default() += 1;
        let has_test = ["::", "make lint"].iter().any(|mark| place.contains(mark));
        let has_page = place.contains("https://docs.aws.amazon.com/") || place.contains("https://aws.amazon.com/");
        match level {
            "AWS's sentence" => assert!(has_page && place.contains('"'), "{claim}: no sentence with its page"),
            "not yet" => {}
            _ => assert!(has_test, "{claim}: no test"),
        }
    }
    let counts: Vec<String> =
        LEVELS.iter().map(|level| format!("{} {level}", counts.get(level).copied().unwrap_or(0))).collect();
    writeln!(std::io::stderr(), "proofs: {} claims: {}", rows.len(), counts.join(", ")).unwrap();
}

#[test]
#[should_panic(expected = "does not exist")]
fn a_test_that_does_not_exist_is_noticed() {
    assert_named_tests_exist("`waiting::nobody_wrote_this`");
}
