//! XML as EC2 writes it: each element on a line of its own, indented by four spaces. The other answers of the benchmark have no
//! indentation, so that their size says how much is in them.

/// The document, indented.
#[must_use]
pub fn indented(xml: &str) -> String {
    let (mut text, mut depth, mut is_leaf) = (String::with_capacity(xml.len() * 2), 0_usize, false);
    for part in xml.split('<').skip(1) {
        let is_end = part.starts_with('/');
        let opens = !is_end && !part.starts_with('?') && !part.contains("/>");
        if is_end {
            depth = depth.saturating_sub(1);
        }
        // The end of an element that has no others stands behind its text.
        if !(text.is_empty() || is_end && is_leaf) {
            text.push('\n');
            text.extend(std::iter::repeat_n("    ", depth));
        }
        text.push('<');
        text.push_str(part.trim_end_matches('\n'));
        depth += usize::from(opens);
        is_leaf = opens;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_element_has_its_line() {
        let xml = "<?xml version=\"1.0\"?>\n<A><b><c>1</c><d/></b><e></e></A>";
        let lines =
            "<?xml version=\"1.0\"?>\n<A>\n    <b>\n        <c>1</c>\n        <d/>\n    </b>\n    <e></e>\n</A>";
        assert_eq!(indented(xml), lines);
    }
}
