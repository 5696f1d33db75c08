//! `shared/src` is a house with floors: a folder uses only those below it, and no two files use each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use tests::stack::repository;

/// From the ground up. `lib.rs` stands above all of them, and what only tests use beside them.
const FLOORS: [&str; 7] = ["input", "error", "model", "config", "aws", "ops", "api"];

/// How many files may stand on each other's shoulders.
const HIGHEST: usize = 9;

/// The modules that each module of `shared/src` names in its `use` lines, those of its tests left out. An index that only
/// lists the modules of its folder uses none of them.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let sources = sources(&repository().join("shared/src"), "");
    let modules: BTreeSet<&String> = sources.keys().collect();
    let known = |path: &str| {
        let words: Vec<&str> = path.split("::").collect();
        (1..=words.len()).rev().map(|length| words[..length].join("::")).find(|prefix| modules.contains(prefix))
    };
    let of = |(module, text): (&String, &String)| {
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let lines = code.replace("\n    ", " ");
        let lines = lines.lines().map(str::trim).filter_map(|line| line.strip_suffix(';'));
        let used = lines.filter_map(|line| {
            line.strip_prefix("pub use ").or(line.strip_prefix("pub(crate) use ")).or(line.strip_prefix("use "))
        });
        let paths = used.flat_map(|used| paths(used, module)).filter_map(|path| known(&path));
        (module.clone(), paths.filter(|path| path != module).collect())
    };
    sources.iter().map(of).collect()
}

/// The texts of all modules below a folder, by their paths: `ops::health`.
fn sources(folder: &Path, path: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}::{name}") };
        match name.strip_suffix(".rs") {
            None if entry.path().is_dir() => found.extend(sources(&entry.path(), &below(&name))),
            None | Some("lib" | "testing" | "proptests" | "tests" | "simulated") => {}
            Some("mod") => drop(found.insert(path.to_owned(), fs::read_to_string(entry.path()).unwrap())),
            Some(name) => drop(found.insert(below(name), fs::read_to_string(entry.path()).unwrap())),
        }
    }
    found
}

/// The paths of this crate in `crate::a::{b, c::D}`, each whole.
fn paths(used: &str, module: &str) -> Vec<String> {
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let whole = if let Some(rest) = used.strip_prefix("crate::") {
        rest.to_owned()
    } else if let Some(rest) = used.strip_prefix("super::") {
        format!("{parent}::{rest}")
    } else {
        format!("{module}::{used}")
    };
    match whole.split_once('{') {
        None => vec![whole],
        Some((start, list)) => {
            list.trim_end_matches('}').split(',').map(|end| format!("{start}{}", end.trim())).collect()
        }
    }
}

fn floor(module: &str) -> usize {
    let folder = module.split("::").next().unwrap();
    FLOORS.iter().position(|floor| *floor == folder).unwrap_or_else(|| panic!("{module} is on no floor"))
}

#[test]
fn a_folder_uses_only_those_below_it() {
    let uses = uses();
    assert!(uses.len() > 60, "{}", uses.len());
    for (module, used) in &uses {
        for other in used {
            assert!(floor(other) <= floor(module), "{module} uses {other}, which is above it");
        }
    }
}

#[test]
fn no_two_files_use_each_other_and_few_stand_on_each_other() {
    let mut left = uses();
    let mut height = 0;
    while !left.is_empty() {
        let names: BTreeSet<String> = left.keys().cloned().collect();
        let before = left.len();
        left.retain(|_, used| used.iter().any(|other| names.contains(other)));
        assert!(left.len() < before, "use each other: {left:?}");
        height += 1;
    }
    assert!(height <= HIGHEST, "{height} floors");
}

#[test]
fn what_a_use_line_names_is_seen() {
    let uses = uses();
    assert!(uses["ops::start_instance"].contains("ops::lifecycle"), "{:?}", uses["ops::start_instance"]);
    assert!(uses["ops::create_instance::attempts"].contains("ops::create_instance::request"));
    assert!(uses["aws::watch"].contains("aws::clients") && !uses["aws::watch"].contains("testing"));
}
