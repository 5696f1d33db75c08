//! Changes each element of each policy, and looks whether a case notices.

use std::collections::BTreeSet;

use tests::iam::{Mutant, mutants};

use super::files::{FILES, policy};
use super::{Case, modes, of_mode, redundant, verdicts};

/// What came of all mutants.
pub struct Found {
    /// How many there are.
    pub mutants: usize,
    /// Those that no case noticed: file and mutant.
    pub unnoticed: Vec<(&'static str, String)>,
}

impl Found {
    /// Asserts that what no case noticed is what the list gives a reason for, no more and no less.
    pub fn assert_exactly_listed(&self) {
        let found: BTreeSet<_> = self.unnoticed.iter().map(|(file, name)| (*file, name.as_str())).collect();
        let listed: BTreeSet<_> = redundant::LIST.iter().map(|(file, name, _)| (*file, *name)).collect();
        assert_eq!(listed.len(), redundant::LIST.len(), "the list has an entry twice");
        let surprising: Vec<_> = found.difference(&listed).collect();
        assert!(
            surprising.is_empty(),
            "no case of the tables in tests/integration/policies/*_cases.rs notices, and redundant.rs beside them gives no \
             reason: {surprising:#?}"
        );
        let stale: Vec<_> = listed.difference(&found).collect();
        assert!(stale.is_empty(), "on the list, but a case notices or there is no such mutant: {stale:#?}");
    }
}

/// Judges the cases again with each mutant of each policy.
pub fn run(cases: &[Case]) -> Found {
    let mut found = Found { mutants: 0, unnoticed: Vec::new() };
    for file in FILES {
        for mutant in mutants(&policy(file)) {
            found.mutants += 1;
            if !is_noticed(file, &mutant, cases) {
                found.unnoticed.push((file, mutant.name));
            }
        }
    }
    found
}

/// Whether a case of a mode that the file applies in gets another verdict.
fn is_noticed(file: &str, mutant: &Mutant, cases: &[Case]) -> bool {
    modes(cases).into_iter().filter(|mode| mode.files().contains(&file)).any(|mode| {
        let (policies, cases) = (mode.policies(Some((file, &mutant.policy))), of_mode(cases, mode));
        let judged = verdicts(&policies, &cases);
        cases.iter().zip(judged).any(|(case, allowed)| case.allowed != allowed)
    })
}
