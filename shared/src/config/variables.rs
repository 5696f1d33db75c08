//! Functions with which the modules of the configuration read environment variables.

use wildmatch::WildMatch;

use crate::input::Refusal;

/// Returns the value if it is good; otherwise adds to `bad` what is wrong with the variable.
pub(crate) fn note<T>(name: &str, value: Result<T, String>, bad: &mut Vec<String>) -> Option<T> {
    value.map_err(|why| bad.push(format!("{name} {why}"))).ok()
}

/// The entries of a list separated by commas. A variable that is set needs at least one; one that is not set has none.
pub(crate) fn listed<T>(text: Option<String>, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.map_or(Ok(Vec::new()), |text| list(&text, read))
}

/// The entries of a list separated by commas, which needs at least one.
pub(crate) fn list<T>(text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let entries: Vec<&str> = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    if entries.is_empty() {
        return Err("must have at least one entry".to_owned());
    }
    entries.into_iter().map(read).collect()
}

/// Reads an entry of a type that callers send, too.
pub(crate) fn parsed<T: TryFrom<String, Error = Refusal>>(text: &str) -> Result<T, String> {
    T::try_from(text.to_owned()).map_err(|refusal| format!("has {text:?}, but each entry {}", refusal.0))
}

/// Reads an entry of letters, digits and the characters of `others`, with `*` and `?` as wildcards.
pub(crate) fn pattern(text: &str, others: &str, example: &str) -> Result<WildMatch, String> {
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b"*?".contains(&b) || others.as_bytes().contains(&b)) {
        Ok(WildMatch::new(text))
    } else {
        let rule = format!(
            "letters, digits and the characters {others}, with the wildcards * and ? in place of any other character, such \
             as {example}"
        );
        Err(format!("has {text:?}, but each entry must consist of {rule}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_list_needs_an_entry_and_ignores_spaces_around_entries() {
        let read = |text: &str| list(text, |entry| Ok(entry.to_owned()));
        assert_eq!(read(" a , b,"), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert!(read(" , ").is_err());
        assert_eq!(listed(None, |_| Err::<(), _>(String::new())), Ok(vec![]));
    }

    #[test]
    fn a_bad_pattern_is_refused_with_an_example() {
        assert!(pattern("c5.*", ".-", "c5.*").is_ok_and(|pattern| pattern.matches("c5.large")));
        let refused = pattern("my key", "._", "lab-*").unwrap_err();
        assert_eq!(
            refused,
            "has \"my key\", but each entry must consist of letters, digits and the characters ._, with the wildcards * and ? \
             in place of any other character, such as lab-*"
        );
    }
}
