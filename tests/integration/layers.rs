//! `shared/src` is a house with floors: a folder uses only those below it, no two files use each other, and each floor has
//! words that do not belong there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use tests::stack::repository;

/// The floors from the ground up, each with the words that its files must not hold.
const FLOORS: [(&str, &[&str]); 7] = [
    ("input", &[".await", "lambda_", "aws_sdk"]),
    ("error", &[".await", "lambda_", "aws_sdk"]),
    ("model", &[".await", "lambda_", "Client"]),
    ("config", &[".await", "lambda_", "aws_sdk"]),
    ("aws", &["lambda_"]),
    ("ops", &["lambda_"]),
    ("api", &["aws_sdk"]),
];

/// `lib.rs` offers these under a shorter path.
const OFFERED: [(&str, &str); 2] = [("serve", "api::serve"), ("Clients", "aws::clients")];

/// How many files may stand on each other's shoulders.
const HIGHEST: usize = 9;

/// The code of each module of `shared/src` by its path, such as `ops::health`: without comments, and without what only tests
/// compile. `lib.rs` stands above all floors.
fn modules() -> BTreeMap<String, String> {
    let mut modules = BTreeMap::new();
    for folder in FLOORS.map(|(folder, _)| folder) {
        let root = repository().join("shared/src").join(folder);
        read(&root, &root.with_extension("rs"), folder, &mut modules);
    }
    modules
}

/// Reads the module of this path, from `file` or from `mod.rs` in `folder`, and all modules below it.
fn read(folder: &Path, file: &Path, path: &str, modules: &mut BTreeMap<String, String>) {
    let text = fs::read_to_string(file).or_else(|_| fs::read_to_string(folder.join("mod.rs"))).unwrap();
    let lines: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap()).collect();
    let tests = lines.windows(2).position(|pair| pair[0] == "#[cfg(test)]" && pair[1].ends_with("mod tests {"));
    let mut code = lines[..tests.unwrap_or(lines.len())].join("\n");
    for module in text.lines().filter_map(|line| line.trim_start_matches("#[cfg(test)]").split("mod ").nth(1)) {
        let Some(name) = module.strip_suffix(';') else { continue };
        if ["mod", "pub(crate) mod"].iter().any(|seen| text.contains(&format!("#[cfg(test)]\n{seen} {name};"))) {
            code = code.replace(&format!("mod {name};"), "");
        } else {
            read(&folder.join(name), &folder.join(format!("{name}.rs")), &format!("{path}::{name}"), modules);
        }
    }
    modules.insert(path.to_owned(), code);
}

/// The modules that a module names: in `use`, however many lines it takes, and by a path in its code. An index that only
/// lists the modules of its folder names none of them.
fn named(module: &str, code: &str, modules: &BTreeSet<&String>) -> BTreeSet<String> {
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let grandparent = parent.rsplit_once("::").map_or("", |(parent, _)| parent);
    let flat: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let flat = flat.replace("super::super::", &format!("crate::{grandparent}::"));
    let flat = flat.replace("super::", &format!("crate::{parent}::"));
    let own = flat.split("use ").skip(1).filter(|used| !used.starts_with("crate::"));
    let own = own.filter_map(|used| used.split(';').next()).map(|used| format!("{module}::{used}"));
    let paths = flat.split("crate::").skip(1).map(str::to_owned).chain(own);
    paths
        .flat_map(|path| spread(&path))
        .filter_map(|path| known(&path, modules))
        .filter(|path| path != module)
        .collect()
}

/// The paths of `a::{b, c::{d, e}}`, each whole; of other code the path that it begins with.
fn spread(code: &str) -> Vec<String> {
    let is_of_a_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let length = code.find(|c| !is_of_a_path(c)).unwrap_or(code.len());
    let (start, rest) = code.split_at(length);
    let Some(list) = rest.strip_prefix('{').filter(|_| start.is_empty() || start.ends_with("::")) else {
        return vec![start.to_owned()];
    };
    let (mut depth, mut ends) = (0_usize, vec![String::new()]);
    for c in list.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => ends.push(String::new()),
            _ => ends.last_mut().unwrap().push(c),
        }
        depth = depth + usize::from(c == '{') - usize::from(c == '}');
    }
    ends.iter().flat_map(|end| spread(end.trim())).map(|end| format!("{start}{end}")).collect()
}

/// The module that a path leads into.
fn known(path: &str, modules: &BTreeSet<&String>) -> Option<String> {
    let (first, _) = path.split_once("::").unwrap_or((path, ""));
    if let Some((_, offered)) = OFFERED.iter().find(|(name, _)| *name == first) {
        return Some((*offered).to_owned());
    }
    let words: Vec<&str> = path.split("::").collect();
    (1..=words.len()).rev().map(|length| words[..length].join("::")).find(|prefix| modules.contains(prefix))
}

fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let modules = modules();
    let names = modules.keys().collect();
    modules.iter().map(|(module, code)| (module.clone(), named(module, code, &names))).collect()
}

fn floor(module: &str) -> usize {
    let folder = module.split("::").next().unwrap();
    FLOORS.iter().position(|(floor, _)| *floor == folder).unwrap()
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
    let mut above = Vec::new();
    while !left.is_empty() {
        let names: BTreeSet<String> = left.keys().cloned().collect();
        left.retain(|_, used| used.iter().any(|other| names.contains(other)));
        assert!(left.len() < names.len(), "use each other: {left:?}");
        above.push(left.keys().cloned().collect::<Vec<_>>());
    }
    let height = above.len();
    assert!(height <= HIGHEST, "{height} floors; above the lower ones stand {:#?}", above.split_off(height / 2));
}

#[test]
fn a_layer_contains_no_word_forbidden_to_it() {
    for (module, code) in modules() {
        for word in FLOORS[floor(&module)].1 {
            assert!(!code.contains(word), "{module} holds {word}");
        }
    }
}

#[test]
fn a_module_is_seen_however_it_is_named() {
    let modules = ["api::request", "aws::clients", "model::launch", "model::launch::names", "ops::health"];
    let modules = modules.map(str::to_owned);
    let named = |code| named("model::launch::names", code, &modules.iter().collect());
    for code in [
        "use crate::aws::clients::Clients;",
        "pub(super) use crate::aws::{\n    clients::{Clients, RegionClients},\n};",
        "fn f(clients: &crate::aws::clients::Clients) {}",
        "fn f() {\n    use crate::{Clients, serve};\n}",
    ] {
        assert!(named(code).contains("aws::clients"), "{code}: {:?}", named(code));
    }
    assert_eq!(named("use super::Launch;"), BTreeSet::from(["model::launch".to_owned()]));
    assert!(uses()["model::launch"].contains("model::launch::names"));
    assert!(uses()["aws::metrics"].contains("model::utilization"));
}
