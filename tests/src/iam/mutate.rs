//! Policies with one element less, or one element wider.

use serde_json::{Map, Value, json};

/// A policy that says something else than the one it is made from.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// What was done to it, and to which statement.
    pub name: String,
    /// The changed policy.
    pub policy: Value,
}

/// Every single drop (statement, action, resource, condition operator, key, value) and every single widening (action to its
/// whole service, resource and principal to all, operator to its weaker or its neighbouring form).
pub fn mutants(policy: &Value) -> Vec<Mutant> {
    let statements = policy.get("Statement").and_then(Value::as_array).cloned().unwrap_or_default();
    let of_statement = |(index, statement): (usize, &Value)| {
        let label = statement.get("Sid").and_then(Value::as_str).map_or(format!("statement {index}"), str::to_owned);
        changes(statement).into_iter().map(move |(what, changed)| (index, format!("{label}: {what}"), changed))
    };
    let changed = statements.iter().enumerate().flat_map(of_statement);
    changed
        .map(|(index, name, changed)| Mutant { name, policy: replace(policy, &statements, index, changed) })
        .collect()
}

/// The policy with another statement in this place, or none.
fn replace(policy: &Value, statements: &[Value], index: usize, by: Option<Value>) -> Value {
    let before = statements.iter().take(index).cloned();
    let after = statements.iter().skip(index + 1).cloned();
    let mut policy = policy.clone();
    if let Some(statement) = policy.get_mut("Statement") {
        *statement = before.chain(by).chain(after).collect();
    }
    policy
}

type Changes<T> = Vec<(String, T)>;

/// Every change of a statement; `None` is its drop.
fn changes(statement: &Value) -> Changes<Option<Value>> {
    let member = |name: &str, changes: Changes<Value>| {
        let put = |(what, value)| (what, Some(with(statement, name, value)));
        changes.into_iter().map(put).collect::<Vec<_>>()
    };
    let of = |name: &str| statement.get(name).cloned().unwrap_or(Value::Null);
    [
        vec![("drop".to_owned(), None)],
        member("Principal", principals(&of("Principal"))),
        member("Action", elements("action", &of("Action"), whole_service)),
        member("Resource", elements("resource", &of("Resource"), |_| "*".to_owned())),
        member("Condition", conditions(&of("Condition"))),
    ]
    .concat()
}

fn with(object: &Value, name: &str, value: Value) -> Value {
    let mut object = object.clone();
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
    object
}

fn without(object: &Map<String, Value>, name: &str) -> Map<String, Value> {
    object.iter().filter(|(known, _)| *known != name).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn principals(principal: &Value) -> Changes<Value> {
    if principal.is_null() || principal == "*" {
        return Vec::new();
    }
    vec![("principal → *".to_owned(), json!("*"))]
}

fn whole_service(action: &str) -> String {
    action.split_once(':').map_or_else(|| "*".to_owned(), |(service, _)| format!("{service}:*"))
}

/// Each element of a list less, unless it is the only one, and each wider, unless it is so already.
fn elements(noun: &str, list: &Value, widen: impl Fn(&str) -> String) -> Changes<Value> {
    let elements = texts(list);
    let mut changes = dropped_values(noun, &elements);
    for (index, element) in elements.iter().enumerate() {
        let wide = widen(element);
        if wide != *element {
            let mut widened = elements.clone();
            widened.splice(index..=index, [wide.clone()]);
            changes.push((format!("{noun} {element} → {wide}"), json!(widened)));
        }
    }
    changes
}

fn dropped_values(noun: &str, values: &[String]) -> Changes<Value> {
    if values.len() < 2 {
        return Vec::new();
    }
    let rest = |dropped: &String| values.iter().filter(|value| *value != dropped).cloned().collect::<Vec<_>>();
    values.iter().map(|value| (format!("drop {noun} {value}"), json!(rest(value)))).collect()
}

/// A policy takes one text for a list of one.
fn texts(list: &Value) -> Vec<String> {
    let list = if let Value::Array(list) = list { list.as_slice() } else { std::slice::from_ref(list) };
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn conditions(condition: &Value) -> Changes<Value> {
    let Some(operators) = condition.as_object() else { return Vec::new() };
    let mut changes = Vec::new();
    for (operator, keys) in operators {
        let Some(keys) = keys.as_object() else { continue };
        // The drop of an operator with one key is the drop of that key.
        if keys.len() > 1 {
            changes.push((format!("drop all of {operator}"), json!(without(operators, operator))));
        }
        for other in neighbours(operator) {
            let renamed = with(&json!(without(operators, operator)), &other, json!(keys));
            changes.push((format!("{operator} → {other}"), renamed));
        }
        changes.extend(key_changes(operators, operator, keys));
    }
    changes
}

fn key_changes(operators: &Map<String, Value>, operator: &str, keys: &Map<String, Value>) -> Changes<Value> {
    let put = |keys: Map<String, Value>| {
        if keys.is_empty() {
            json!(without(operators, operator))
        } else {
            with(&json!(operators), operator, json!(keys))
        }
    };
    let mut changes = Vec::new();
    for (key, values) in keys {
        changes.push((format!("drop {operator} {key}"), put(without(keys, key))));
        for (what, values) in dropped_values(&format!("{operator} {key}"), &texts(values)) {
            let mut keys = keys.clone();
            keys.insert(key.clone(), values);
            changes.push((what, put(keys)));
        }
    }
    changes
}

/// Operators that differ in one respect. A negated operator already holds for a key that is absent, so its `IfExists` form
/// says nothing else.
fn neighbours(operator: &str) -> Vec<String> {
    let is_set = operator.starts_with("For");
    let mut others = Vec::new();
    if let Some(rest) = operator.strip_prefix("ForAllValues:") {
        others.push(format!("ForAnyValue:{rest}"));
    }
    if let Some(rest) = operator.strip_prefix("ForAnyValue:") {
        others.push(format!("ForAllValues:{rest}"));
    }
    if operator.contains("IgnoreCase") {
        others.push(operator.replace("IgnoreCase", ""));
    }
    if let Some(strict) = operator.strip_suffix("IfExists") {
        others.push(strict.to_owned());
    } else if !is_set && !operator.contains("Not") && operator != "Null" {
        others.push(format!("{operator}IfExists"));
    }
    if operator == "NumericLessThan" {
        others.push("NumericLessThanEquals".to_owned());
    }
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_dropped_and_widened_once() {
        let condition = json!({"StringEquals": {"a": ["1", "2"], "b": "3"}, "Null": {"c": "true"}});
        let action = json!(["ec2:A", "ec2:B"]);
        let statement =
            json!({"Sid": "S", "Effect": "Allow", "Action": action, "Resource": "r", "Condition": condition});
        let mut names: Vec<_> = mutants(&json!({"Statement": [statement]})).into_iter().map(|m| m.name).collect();
        names.sort_unstable();
        let expected = [
            "S: StringEquals → StringEqualsIfExists",
            "S: action ec2:A → ec2:*",
            "S: action ec2:B → ec2:*",
            "S: drop",
            "S: drop Null c",
            "S: drop StringEquals a",
            "S: drop StringEquals a 1",
            "S: drop StringEquals a 2",
            "S: drop StringEquals b",
            "S: drop action ec2:A",
            "S: drop action ec2:B",
            "S: drop all of StringEquals",
            "S: resource r → *",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_change_of_one_statement_leaves_the_others() {
        let policy = json!({"Statement": [{"Sid": "A", "Action": "ec2:A"}, {"Sid": "B", "Action": "ec2:B"}]});
        let dropped = mutants(&policy).into_iter().find(|mutant| mutant.name == "A: drop");
        let left = json!({"Statement": [{"Sid": "B", "Action": "ec2:B"}]});
        assert_eq!(dropped.map(|mutant| mutant.policy), Some(left));
    }
}
