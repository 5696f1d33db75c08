//! Policy files with their parameters filled in.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::stack::Result;

/// The values of a policy file's parameters, by name.
pub type Parameters = BTreeMap<&'static str, Vec<String>>;

/// Fills `${Name}` in: in text by the parameter's one value, and a list's element that is nothing else by all its values.
///
/// A name with one colon is IAM's own, filled by AWS in each request, as in `${ec2:InstanceID}`: it stays.
///
/// # Errors
/// A parameter has no value, or several where one is needed.
pub fn render(template: &Value, parameters: &Parameters) -> Result<Value> {
    Ok(match template {
        Value::String(text) => Value::String(fill(text, parameters)?),
        Value::Array(elements) => {
            let rendered =
                elements.iter().map(|element| elements_of(element, parameters)).collect::<Result<Vec<_>>>()?;
            Value::Array(rendered.concat())
        }
        Value::Object(members) => {
            let rendered = members.iter().map(|(name, value)| Ok((name.clone(), render(value, parameters)?)));
            Value::Object(rendered.collect::<Result<_>>()?)
        }
        other => other.clone(),
    })
}

fn elements_of(element: &Value, parameters: &Parameters) -> Result<Vec<Value>> {
    let whole = element.as_str().and_then(|text| text.strip_prefix("${")?.strip_suffix('}'));
    match whole.and_then(|name| parameters.get(name)) {
        Some(values) => Ok(values.iter().cloned().map(Value::String).collect()),
        None => Ok(vec![render(element, parameters)?]),
    }
}

fn fill(text: &str, parameters: &Parameters) -> Result<String> {
    let mut filled = text.to_owned();
    for (name, values) in parameters {
        let placeholder = format!("${{{name}}}");
        if filled.contains(&placeholder) {
            let [value] = values.as_slice() else { return Err(format!("{name} in {text} needs one value").into()) };
            filled = filled.replace(&placeholder, value);
        }
    }
    match filled.split("${").skip(1).filter_map(|rest| rest.split('}').next()).find(|name| !is_aws_own(name)) {
        Some(name) => Err(format!("{name} in {text} has no value").into()),
        None => Ok(filled),
    }
}

fn is_aws_own(variable: &str) -> bool {
    variable.split_once(':').is_some_and(|(_, rest)| !rest.starts_with(':'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parameters() -> Parameters {
        let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        Parameters::from([("AWS::AccountId", list(&["123456789012"])), ("Regions", list(&["a", "b"]))])
    }

    #[test]
    fn a_parameter_is_filled_in_text_and_spreads_in_a_list() {
        let template = json!({"Resource": "arn:aws:ec2:*:${AWS::AccountId}:*", "Values": ["x", "${Regions}"]});
        let rendered = json!({"Resource": "arn:aws:ec2:*:123456789012:*", "Values": ["x", "a", "b"]});
        assert_eq!(render(&template, &parameters()).unwrap(), rendered);
    }

    #[test]
    fn a_variable_of_iam_stays() {
        let template = json!("instance/${ec2:InstanceID}");
        assert_eq!(render(&template, &parameters()).unwrap(), template);
    }

    #[test]
    fn a_parameter_without_a_value_and_a_list_in_text_are_errors() {
        for template in ["${Unknown}", "${AWS::Region}", "arn:${Regions}"] {
            assert!(render(&json!(template), &parameters()).is_err(), "{template}");
        }
    }
}
