//! What is written from the operations' rows: the tables of README and `iam/README.md`, the routes of `make watch` in
//! `Cargo.toml`, and `openapi.yaml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use shared::model::operation::Operation;
use shared::ops::{OPERATIONS, SCHEDULED};

use crate::openapi;
use crate::stack::{Result, repository};

/// Each generated file with the text that it must have.
///
/// # Errors
/// A file that cannot be read, or does not have the lines between which its part stands.
pub fn files() -> Result<Vec<(PathBuf, String)>> {
    let parts = [
        ("README.md", "| operation | call |", table(endpoints)),
        ("iam/README.md", "| operation | actions |", table(permissions)),
        ("Cargo.toml", "[workspace.metadata.lambda.watch.router]", router()),
    ];
    let mut files = vec![(openapi::file(), openapi::yaml()?)];
    for (name, head, part) in parts {
        let file = repository().join(name);
        let text = with_part(&std::fs::read_to_string(&file)?, head, &part).ok_or(format!("{name} has no {head}"))?;
        files.push((file, text));
    }
    Ok(files)
}

/// The text with another part in place of the lines that follow the one that begins with `head`, up to an empty line. Of a
/// table the line below its head stays.
fn with_part(text: &str, head: &str, part: &str) -> Option<String> {
    let start = text.find(&format!("\n{head}"))? + 1;
    let lines = if head.starts_with('|') { 2 } else { 1 };
    let length: usize = text[start..].split_inclusive('\n').take(lines).map(str::len).sum();
    let end = text[start..].find("\n\n")? + start + 1;
    Some(format!("{}{part}{}", &text[..start + length], &text[end..]))
}

fn table(rows: fn(&Operation) -> Vec<String>) -> String {
    OPERATIONS.iter().chain(&SCHEDULED).flat_map(rows).map(|row| format!("{row}\n")).collect()
}

fn endpoints(operation: &Operation) -> Vec<String> {
    let cell = |text: &str| if text.is_empty() { " ".to_owned() } else { format!(" {text} ") };
    let routes = operation.routes.iter().map(|route| {
        let (method, path) = (route.method, route.path);
        format!("| `{}` | `{method} {path}` |{}|{}|", operation.name, cell(route.takes), cell(route.answers))
    });
    routes.collect()
}

fn permissions(operation: &Operation) -> Vec<String> {
    let actions: Vec<String> = operation.actions.iter().map(|action| format!("`{action}`")).collect();
    vec![format!("| `{}` | {} | {} |", operation.name, actions.join(", "), operation.purpose)]
}

/// The functions of each path, as `cargo lambda watch` reads them.
fn router() -> String {
    let mut paths: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for operation in OPERATIONS {
        for route in operation.routes {
            let function = format!("{{ method = \"{}\", function = \"{}\" }}", route.method, operation.name);
            paths.entry(route.path).or_default().push(function);
        }
    }
    let line = |(path, functions): (&str, Vec<String>)| match &functions[..] {
        [one] => format!("\"{path}\" = [{one}]\n"),
        several => {
            let lines: String = several.iter().map(|function| format!("    {function},\n")).collect();
            format!("\"{path}\" = [\n{lines}]\n")
        }
    };
    paths.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_are_current() {
        for (file, text) in files().unwrap() {
            let committed = std::fs::read_to_string(&file).unwrap();
            assert!(committed == text, "{} is not what the rows say: run `make generate`", file.display());
        }
    }

    #[test]
    fn only_the_part_below_its_head_is_replaced() {
        let text = "a\n\n| x | y |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\nb\n";
        assert_eq!(with_part(text, "| x |", "| 5 | 6 |\n").unwrap(), "a\n\n| x | y |\n|---|---|\n| 5 | 6 |\n\nb\n");
        assert_eq!(with_part(text, "| z |", ""), None);
    }
}
