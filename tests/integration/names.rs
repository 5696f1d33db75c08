//! An operation has one name wherever it has a part, and each part has the same operations.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use shared::model::operation::Operation;
use shared::ops::{OPERATIONS, SCHEDULED};
use tests::stack::repository;

/// The operations with routes, and those that a schedule calls.
fn all() -> impl Iterator<Item = Operation> {
    OPERATIONS.into_iter().chain(SCHEDULED)
}

fn operations() -> BTreeSet<String> {
    all().map(|operation| operation.name.to_owned()).collect()
}

/// The names in a folder, without `suffix`; those without it are left out.
fn folder(path: &str, suffix: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(repository().join(path)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(suffix).map(str::to_owned)).collect()
}

fn text(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap()
}

/// Every route, with the operation's name: one an operation, and one more for those that take many instances.
fn routes() -> BTreeSet<(&'static str, &'static str, &'static str)> {
    let of =
        |operation: Operation| operation.routes.iter().map(move |route| (operation.name, route.method, route.path));
    all().flat_map(of).collect()
}

/// `StartInstance` → `start-instance`.
fn kebab(pascal: &str) -> String {
    let words = pascal.chars().map(|c| if c.is_uppercase() { format!("-{}", c.to_lowercase()) } else { c.to_string() });
    words.collect::<String>().trim_start_matches('-').to_owned()
}

/// `start-instance` → `StartInstance`.
fn pascal(kebab: &str) -> String {
    let words = kebab.split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
    words.collect()
}

#[test]
fn functions_have_the_operations() {
    assert_eq!(folder("functions", ""), operations());
}

#[test]
fn the_shared_crate_has_the_operations() {
    let own = ["mod.rs", "lifecycle"];
    let files = folder("shared/src/ops", "").into_iter().filter(|name| !own.contains(&name.as_str()));
    let names = files.map(|name| name.trim_end_matches(".rs").replace('_', "-"));
    assert_eq!(names.collect::<BTreeSet<_>>(), operations());
}

#[test]
fn events_have_the_operations_and_the_schedule() {
    let mut expected = operations();
    expected.insert("health-schedule".to_owned());
    assert_eq!(folder("events", ".json"), expected);
}

#[test]
fn the_template_has_the_operations_with_their_routes() {
    let template = text("template.yaml");
    let mut found = BTreeSet::new();
    let resources = template.split("Type: AWS::Serverless::Function").collect::<Vec<_>>();
    for pair in resources.windows(2) {
        let logical_id = pair[0].trim_end().lines().last().unwrap().trim().trim_end_matches(':');
        let name = kebab(logical_id);
        assert!(pair[1].contains(&format!("CodeUri: target/lambda/{name}\n")), "{name}");
        let function = pair[1].split("Type: AWS::").next().unwrap();
        for (_, method, path) in routes().into_iter().filter(|(operation, ..)| *operation == name) {
            let route = format!("Method: {method}, Path: \"{path}\"}}");
            assert!(function.contains(&route), "{name}: {route}");
        }
        found.insert(name);
    }
    assert_eq!(found, operations());
}

#[test]
fn each_function_of_the_template_may_write_its_log() {
    let template = text("template.yaml");
    let functions = template.lines().filter_map(|line| line.trim().strip_prefix("CodeUri: target/lambda/"));
    let logs: Vec<String> = functions.map(|name| format!("{}Logs", pascal(name))).collect();
    assert_eq!(logs.len(), all().count());
    for name in logs {
        assert!(template.contains(&format!("\n  {name}:\n    Type: AWS::Logs::LogGroup")), "{name}");
        assert!(template.contains(&format!("!GetAtt {name}.Arn")), "{name} in WriteFunctionLogs of its role");
    }
}

#[test]
fn the_permission_table_has_the_operations_with_their_actions() {
    let readme = text("iam/README.md");
    let rows =
        readme.lines().filter_map(|line| line.strip_prefix("| `")).map(|row| row.split(" | ").collect::<Vec<_>>());
    let table: BTreeSet<(String, BTreeSet<String>)> = rows
        .map(|cells| {
            let actions = cells[1].split(", ").map(|action| action.trim_matches('`').to_owned()).collect();
            (cells[0].trim_end_matches('`').to_owned(), actions)
        })
        .collect();
    let actions = |operation: &Operation| operation.actions.iter().map(|a| (*a).to_owned()).collect();
    assert_eq!(
        table,
        all().map(|operation| (operation.name.to_owned(), actions(&operation))).collect(),
        "iam/README.md is not what the rows say: run `make generate`"
    );
}

#[test]
fn each_main_documents_its_operation_in_at_most_40_lines() {
    for operation in all() {
        let main = text(&format!("functions/{}/src/main.rs", operation.name));
        let begin = match operation.routes {
            [] => "//! EventBridge's schedule".to_owned(),
            _ => format!("//! `{} {}", operation.method(), operation.path()),
        };
        assert!(main.starts_with(&begin), "{}", operation.name);
        for route in operation.routes.iter().skip(1) {
            assert!(main.contains(&format!("\n//! `{} {}`", route.method, route.path)), "{}", operation.name);
        }
        let actions = operation.actions.iter().map(|action| format!("`{action}`")).collect::<Vec<_>>().join(", ");
        assert!(main.contains(&format!("//! IAM: {actions}.")), "{}", operation.name);
        assert!(main.contains(&format!("`events/{}.json`", operation.name)), "{}", operation.name);
        assert!(main.lines().count() <= 40, "{}", operation.name);
    }
}

#[test]
fn each_event_calls_its_operations_route() {
    let event = |operation: &Operation| -> serde_json::Value {
        serde_json::from_str(&text(&format!("events/{}.json", operation.name))).unwrap()
    };
    for operation in SCHEDULED {
        assert_eq!(event(&operation)["source"], "aws.events", "{}", operation.name);
    }
    for operation in OPERATIONS {
        let event = event(&operation);
        let route = (event["httpMethod"].as_str(), event["resource"].as_str());
        assert_eq!(route, (Some(operation.method()), Some(operation.path())), "{}", operation.name);
    }
}

#[test]
fn the_readme_lists_every_route() {
    let readme = text("README.md");
    for (name, method, path) in routes() {
        let row = format!("| `{name}` | `{method} {path}`");
        assert!(readme.contains(&row), "README.md lacks {row}: run `make generate`");
    }
}

#[test]
fn cargo_lambda_has_every_route() {
    let metadata =
        Command::new(env!("CARGO")).args(["metadata", "--no-deps", "--format-version", "1"]).output().unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let mut found = BTreeSet::new();
    for (path, functions) in metadata["metadata"]["lambda"]["watch"]["router"].as_object().unwrap() {
        for function in functions.as_array().unwrap() {
            let text = |field: &str| function[field].as_str().unwrap().to_owned();
            found.insert((text("function"), text("method"), path.clone()));
        }
    }
    let owned = |(name, method, path): (&str, &str, &str)| (name.to_owned(), method.to_owned(), path.to_owned());
    assert_eq!(
        found,
        routes().into_iter().map(owned).collect(),
        "Cargo.toml is not what the rows say: run `make generate`"
    );
}
