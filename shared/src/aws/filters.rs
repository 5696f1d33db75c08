//! EC2's filters.

use aws_sdk_ec2::types;

/// One EC2 filter.
pub(crate) fn filter(name: &str, value: &str) -> types::Filter {
    types::Filter::builder().name(name).values(value).build()
}

/// A filter of EC2's, of its name and values.
pub(crate) fn ec2_filter((name, values): (&String, &Vec<String>)) -> types::Filter {
    types::Filter::builder().name(name).set_values(Some(values.clone())).build()
}

/// EC2 takes `*` and `?` in a filter for wildcards, and `\` for their escape.
pub(crate) fn literal(value: &str) -> String {
    let escape = |c: char| matches!(c, '*' | '?' | '\\').then_some('\\').into_iter().chain([c]);
    value.chars().flat_map(escape).collect()
}
