//! Builds EC2's filters.

use aws_sdk_ec2::types;

/// An EC2 filter with one value.
pub(crate) fn filter(name: &str, value: &str) -> types::Filter {
    any_of(name, vec![value.to_owned()])
}

/// An EC2 filter that any of these values passes.
pub(crate) fn any_of(name: &str, values: Vec<String>) -> types::Filter {
    types::Filter::builder().name(name).set_values(Some(values)).build()
}

/// An EC2 filter, made from its name and its values.
pub(crate) fn ec2_filter((name, values): (&String, &Vec<String>)) -> types::Filter {
    any_of(name, values.clone())
}

/// Escapes a value: in a filter EC2 takes `*` and `?` for wildcards, and `\` for their escape.
pub(crate) fn literal(value: &str) -> String {
    let escape = |c: char| matches!(c, '*' | '?' | '\\').then_some('\\').into_iter().chain([c]);
    value.chars().flat_map(escape).collect()
}
