//! What is measured: every operation with its event, the calls that differ much by what they are asked, and the yardsticks.

use std::fs;

use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::aws::Reply;
use crate::aws::answers::answers;
use crate::{Result, repository};

/// The operation whose call the yardsticks make.
const DETAILS: &str = "get-instance-details";
/// The operation whose page is large.
const LIST: &str = "get-all-instances";
/// The operation that has a key.
const CREATE: &str = "create-instance";

/// Who answers the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// The function of the operation.
    Function,
    /// A package of `tests/yardsticks`, by its name.
    Yardstick(&'static str),
    /// A Python function on AWS's own runtime, with this module of `tests/bench/python`.
    Python(&'static str),
}

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Its name in the table.
    pub name: String,
    /// Who answers.
    pub program: Program,
    /// The operation whose event and whose calls it has.
    pub operation: String,
    /// The event.
    pub event: Bytes,
    /// How many instances a page of DescribeInstances has.
    pub instances: usize,
    /// Whether AWS indents its XML, as EC2 does.
    pub is_indented: bool,
}

impl Variant {
    /// The answers of AWS, made anew: the metrics among them are of the last minutes.
    #[must_use]
    pub fn answers(&self) -> Vec<Reply> {
        let answers = answers(&self.operation, self.instances).into_iter();
        if self.is_indented { answers.map(Reply::indented).collect() } else { answers.collect() }
    }

    /// How often it is called warm, if a small call is called so many times: large pages and Python take longer.
    #[must_use]
    pub fn warm_calls(&self, most: usize) -> usize {
        let slower = match (&self.program, self.instances) {
            (Program::Python(_), 1000..) => 40,
            (Program::Python(_), _) | (_, 1000..) => 10,
            (_, 100..) => 2,
            _ => 1,
        };
        (most / slower).max(3)
    }

    fn new(name: &str, program: Program, operation: &str, event: &Value, instances: usize) -> Self {
        let event = Bytes::from(event.to_string());
        Self { name: name.to_owned(), program, operation: operation.to_owned(), event, instances, is_indented: false }
    }
}

/// Every function, with the variants of its call; of these operations only, if some are named.
///
/// # Errors
/// An operation has no event, or there is none of a name.
pub fn functions(only: &[String]) -> Result<Vec<Variant>> {
    let mut operations = Vec::new();
    for folder in fs::read_dir(repository().join("functions"))? {
        operations.push(folder?.file_name().to_string_lossy().into_owned());
    }
    operations.sort();
    if let Some(unknown) = only.iter().find(|name| !operations.contains(name)) {
        return Err(format!("there is no operation {unknown}: {}", operations.join(", ")).into());
    }
    operations.retain(|name| only.is_empty() || only.contains(name));
    let variants = operations.iter().map(|operation| variants(operation)).collect::<Result<Vec<_>>>()?;
    Ok(variants.concat())
}

/// The yardsticks: those that are always there, and those that need Python.
///
/// # Errors
/// An event is missing.
pub fn yardsticks(with_python: bool) -> Result<Vec<Variant>> {
    let details = event(DETAILS)?;
    let yardstick = |name| Variant::new(name, Program::Yardstick(name), DETAILS, &details, 1);
    let mut all = vec![yardstick("hello"), yardstick("sdk-defaults")];
    if with_python {
        let list = limited(event(LIST)?, 1000);
        let python = |name, module, event, instances| {
            Variant::new(name, Program::Python(module), if instances > 1 { LIST } else { DETAILS }, event, instances)
        };
        all.push(python(BOTO3, "client_once", &details, 1));
        all.push(python("boto3, a client per call", "client_per_call", &details, 1));
        all.push(python(BOTO3_LIST, "client_once", &list, 1000));
    }
    Ok(all)
}

/// The row of boto3 with one client.
pub const BOTO3: &str = "boto3, one client";
/// The row of boto3 that reads a page of 1,000.
pub const BOTO3_LIST: &str = "boto3, one client, 1,000 instances";

fn variants(operation: &str) -> Result<Vec<Variant>> {
    let event = event(operation)?;
    let variant = |name: &str, event: &Value, instances| {
        Variant::new(&format!("{operation}{name}"), Program::Function, operation, event, instances)
    };
    Ok(match operation {
        LIST => vec![
            variant(", 1 instance", &event, 1),
            variant(", 100 instances", &limited(event.clone(), 100), 100),
            variant(", 1,000 instances", &limited(event.clone(), 1000), 1000),
            Variant {
                is_indented: true,
                ..variant(", 1,000 instances, indented", &limited(event.clone(), 1000), 1000)
            },
        ],
        CREATE => vec![variant("", &event, 1), variant(", Idempotency-Key", &keyed(event.clone()), 1)],
        _ => vec![variant("", &event, 1)],
    })
}

/// An operation's event, as `events/` has it.
fn event(operation: &str) -> Result<Value> {
    let path = format!("events/{operation}.json");
    let text = fs::read_to_string(repository().join(&path)).map_err(|error| format!("{path}: {error}"))?;
    Ok(serde_json::from_str(&text)?)
}

/// The event with another value of these members.
fn with(mut event: Value, members: [(&str, Value); 2]) -> Value {
    if let Some(event) = event.as_object_mut() {
        event.extend(members.map(|(name, value)| (name.to_owned(), value)));
    }
    event
}

fn limited(event: Value, limit: usize) -> Value {
    let limit = limit.to_string();
    let (query, list) = (json!({"limit": limit}), json!({"limit": [limit]}));
    with(event, [("queryStringParameters", query), ("multiValueQueryStringParameters", list)])
}

fn keyed(event: Value) -> Value {
    let key = "5b3f1c52-lab-42";
    let member = |list: &str, value: Value| {
        let mut headers = event.get(list).cloned().unwrap_or_default();
        if let Some(headers) = headers.as_object_mut() {
            headers.insert("Idempotency-Key".to_owned(), value);
        }
        headers
    };
    let (headers, list) = (member("headers", json!(key)), member("multiValueHeaders", json!([key])));
    with(event, [("headers", headers), ("multiValueHeaders", list)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(only: &[&str]) -> Vec<String> {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        functions(&only).unwrap().into_iter().map(|variant| variant.name).collect()
    }

    #[test]
    fn every_folder_of_functions_is_measured() {
        let folders = fs::read_dir(repository().join("functions")).unwrap().count();
        // Three more of the list, and one more of the launch.
        assert_eq!(named(&[]).len(), folders + 4);
        assert_eq!(
            named(&["health", "create-instance"]),
            ["create-instance", "create-instance, Idempotency-Key", "health"]
        );
    }

    #[test]
    fn an_unknown_operation_is_refused() {
        let error = functions(&["heath".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("heath") && error.contains("health"), "{error}");
    }

    #[test]
    fn a_variant_differs_in_its_event() {
        let all = functions(&["get-all-instances".to_owned(), "create-instance".to_owned()]).unwrap();
        let texts: Vec<_> = all.iter().map(|variant| String::from_utf8_lossy(&variant.event).into_owned()).collect();
        assert!(!texts[0].contains("Idempotency-Key") && texts[1].contains("\"Idempotency-Key\":[\"5b3f1c52"));
        assert!(!texts[2].contains("\"limit\"") && texts[4].contains("\"limit\":[\"1000\"]"));
    }
}
