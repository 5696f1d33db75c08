//! Reads an answer of DescribeInstances piece by piece, and tells what of it is needed.

use std::mem::take;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// The elements from the document's root to an instance.
const INSTANCE: [&str; 5] = ["DescribeInstancesResponse", "reservationSet", "item", "instancesSet", "item"];

/// How many bytes may wait for the end of their element. The largest element is the interfaces of an instance: 15 with 50 addresses
/// each are about 256 KiB.
const MOST_UNREAD: usize = 1024 * 1024;

/// How far a document was read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// How many of the elements are open that lead to an instance.
    depth: usize,
    /// The beginning of an element whose end has not come yet.
    unread: Vec<u8>,
    /// Whether it is no longer clear where instances begin and end. Then all is needed, so that the SDK says what it thinks of it.
    is_unclear: bool,
}

/// What comes next in a document.
enum Next {
    Needed,
    Unneeded,
    Incomplete,
    Unclear,
}

impl Reading {
    /// What is needed of the next piece and of what waited for it. Of an instance it is only these elements.
    pub(super) fn needed(&mut self, piece: &[u8], elements: &[&str]) -> Vec<u8> {
        let mut document = take(&mut self.unread);
        document.extend_from_slice(piece);
        if self.is_unclear {
            return document;
        }
        let (needed, read_to) = self.take_needed(&document, elements);
        self.unread = document.split_off(read_to);
        self.is_unclear |= self.unread.len() > MOST_UNREAD;
        needed
    }

    /// What is left at the end of the document. A complete one leaves nothing.
    pub(super) fn rest(self) -> Vec<u8> {
        self.unread
    }

    /// What is needed of the document, and how far that goes.
    fn take_needed(&mut self, document: &[u8], elements: &[&str]) -> (Vec<u8>, usize) {
        let mut reader = Reader::from_reader(document);
        let config = reader.config_mut();
        // So that `<reason/>` is no other case than `<reason></reason>`.
        config.expand_empty_elements = true;
        // An element that began in an earlier piece ends in this one.
        config.allow_unmatched_ends = true;
        let (mut needed, mut from) = (Vec::new(), 0);
        loop {
            let start = position(document, &reader);
            let (to, then) = match self.next(&mut reader, elements) {
                Next::Needed => continue,
                Next::Unneeded => (start, Some(position(document, &reader))),
                Next::Incomplete => (start, None),
                Next::Unclear => (document.len(), None),
            };
            needed.extend_from_slice(document.get(from..to).unwrap_or_default());
            match then {
                Some(next) => from = next,
                None => return (needed, to),
            }
        }
    }

    fn next(&mut self, reader: &mut Reader<&[u8]>, elements: &[&str]) -> Next {
        match reader.read_event() {
            Ok(Event::Start(element)) if INSTANCE.get(self.depth) == Some(&local_name(&element)) => self.depth += 1,
            Ok(Event::Start(element)) => {
                if reader.read_to_end(element.name()).is_err() {
                    return Next::Incomplete;
                }
                if !self.needs(local_name(&element), elements) {
                    return Next::Unneeded;
                }
            }
            Ok(Event::End(element)) => match self.depth.checked_sub(1) {
                Some(above) if INSTANCE.get(above) == Some(&element.local_name().into_inner()) => self.depth = above,
                _ => return self.unclear(),
            },
            // Between the elements of a list or of an instance there is only EC2's indentation.
            Ok(Event::Text(_)) if self.depth > 1 => return Next::Unneeded,
            // It could define what the document's references stand for.
            Ok(Event::DocType(_)) => return self.unclear(),
            Ok(Event::Eof) | Err(_) => return Next::Incomplete,
            Ok(_) => {}
        }
        Next::Needed
    }

    /// Whether such an element is needed where the document was read to.
    fn needs(&self, name: &str, elements: &[&str]) -> bool {
        match self.depth {
            // The token of the next page is here.
            0 | 1 => true,
            depth => depth == INSTANCE.len() && elements.contains(&name),
        }
    }

    fn unclear(&mut self) -> Next {
        self.is_unclear = true;
        Next::Unclear
    }
}

/// The name without a prefix, for the SDK looks at no prefix either.
fn local_name<'a>(element: &'a BytesStart<'_>) -> &'a str {
    element.local_name().into_inner()
}

/// How much of the document was read.
fn position(document: &[u8], reader: &Reader<&[u8]>) -> usize {
    document.len() - reader.get_ref().len()
}
