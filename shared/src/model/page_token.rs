//! Pages of a list: EC2's own pages, cut where an answer would become too large. A page's token wraps EC2's token, so that
//! callers cannot use it with other filters than those it was made for.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};

use crate::error::{Code, Error};
use crate::input::{Invalid, Refusal};
use crate::model::region::Region;

/// Tokens of another version are refused, not misread.
const VERSION: u8 = 3;

/// The page sizes that EC2 accepts.
pub(crate) const LIMITS: RangeInclusive<i32> = 5..=1000;

/// The most bytes that the elements of a page may have in a function's response. Lambda refuses responses above 6 MB.
const MAX_BYTES: usize = 5_000_000;

/// The most elements that a page may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(minimum = 5, maximum = 1000))]
pub struct Limit(i32);

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl Limit {
    /// Reads a query parameter.
    ///
    /// # Errors
    /// If the text is not a number that EC2 accepts.
    pub fn parse(text: String) -> Result<Self, Refusal> {
        let limit = text.parse().ok().filter(|limit| LIMITS.contains(limit));
        let refusal = || Refusal(format!("must be a whole number from {} to {}", LIMITS.start(), LIMITS.end()));
        limit.map(Self).ok_or_else(refusal)
    }
}

/// The content of a token. Callers cannot read it, but we can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, deserr::Deserr)]
#[deserr(error = Invalid, try_from(String) = Self::parse -> Refusal)]
#[serde(deny_unknown_fields)]
pub struct PageToken {
    version: u8,
    filters: String,
    at: Position,
}

/// Where in a list a page begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// EC2's token of its page; none means the first page.
    pub token: Option<String>,
    /// How many elements EC2's page has at most.
    pub limit: i32,
    /// The id up to which EC2's page was already shown. A count would not do, because EC2 promises no order, and elements
    /// that were shown may be gone by now.
    pub after: Option<String>,
}

impl PageToken {
    fn parse(text: String) -> Result<Self, Refusal> {
        URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|json| serde_json::from_slice::<Self>(&json).ok())
            .filter(|token| token.version == VERSION && LIMITS.contains(&token.at.limit))
            .ok_or_else(|| Refusal("is not a token of this list: send the next_token of the page before".to_owned()))
    }
}

/// The pages of one list, which is defined by a region and filters.
#[derive(Debug)]
pub(crate) struct Pages {
    filters: String,
}

impl Pages {
    /// The pages of the list with this region and these filters.
    #[must_use]
    pub(crate) fn of(region: &Region, filters: &BTreeMap<String, Vec<String>>) -> Self {
        // Debug text quotes and escapes each part, so no two sets of filters give the same text.
        let digest = Sha256::digest(format!("{region} {filters:?}"));
        Self { filters: URL_SAFE_NO_PAD.encode(digest.get(..12).unwrap_or_default()) }
    }

    /// The position at which a token continues the list. The rest of a page of EC2's is read with that page's own limit,
    /// whatever limit the caller gives now.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::error::Code::InvalidRequest) if the token was made for another list.
    pub(crate) fn read(&self, token: Option<&PageToken>, limit: Limit) -> Result<Position, Error> {
        match token {
            None => Ok(Position { token: None, limit: limit.0, after: None }),
            Some(PageToken { filters, at, .. }) if *filters == self.filters => {
                Ok(Position { limit: if at.after.is_some() { at.limit } else { limit.0 }, ..at.clone() })
            }
            Some(_) => {
                let detail = "belongs to a list with another region or other filters: send the region and the filters with \
                              which you got this token";
                Err(Invalid::field("next_token", detail).into())
            }
        }
    }

    /// Takes as many elements from EC2's page, which was read at the position `at`, as an answer can carry. Returns them
    /// with the token of what comes next: the rest of this page, or EC2's next page. Each element comes with its id; a page
    /// is cut in the order of the ids.
    ///
    /// # Errors
    /// None can happen, because every element can be written as JSON.
    pub(crate) fn cut<T: Serialize>(
        &self,
        elements: Vec<(String, T)>,
        at: Position,
        next: Option<&str>,
    ) -> Result<(Vec<T>, Option<String>), Error> {
        let is_next = |id: &String| at.after.as_ref().is_none_or(|after| id > after);
        let left = elements.into_iter().filter(|(id, _)| is_next(id));
        let mut left = left.map(|(id, one)| Ok((size(&one)?, id, one))).collect::<Result<Vec<_>, Error>>()?;
        if left.iter().map(|(bytes, ..)| bytes).sum::<usize>() <= MAX_BYTES || left.len() == 1 {
            let next = next.map(|token| Position { token: Some(token.to_owned()), after: None, ..at });
            let shown = left.into_iter().map(|(.., element)| element).collect();
            return Ok((shown, next.map(|at| self.write(at)).transpose()?));
        }
        left.sort_unstable_by(|(_, one, _), (_, other, _)| one.cmp(other));
        let mut bytes = 0;
        let fitting = left.iter().take_while(|(more, ..)| {
            bytes += more;
            bytes <= MAX_BYTES
        });
        // A single element is far below the limit, because an instance has at most 50 tags.
        left.truncate(fitting.count().max(1));
        let after = left.last().map(|(_, id, _)| id.clone());
        let token = self.write(Position { after, ..at })?;
        Ok((left.into_iter().map(|(.., element)| element).collect(), Some(token)))
    }

    /// The token of a position.
    ///
    /// # Errors
    /// None can happen, because the token has only a few plain fields.
    pub(crate) fn write(&self, at: Position) -> Result<String, Error> {
        let token = PageToken { version: VERSION, filters: self.filters.clone(), at };
        serde_json::to_vec(&token).map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(unwritable)
    }
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(Code::AwsError, error.to_string())
}

/// An element as JSON. A large page is made of such elements: they are measured and sent, and each is written only once.
///
/// # Errors
/// None can happen, because every element can be written as JSON.
pub(crate) fn written<T: Serialize>(element: &T) -> Result<Box<RawValue>, Error> {
    to_raw_value(element).map_err(unwritable)
}

/// The bytes that an element takes in a response, which has the body as a JSON string. They are counted but not stored.
fn size<T: Serialize>(element: &T) -> Result<usize, Error> {
    let mut count = Count(0);
    serde_json::to_writer(&mut count, element).map_err(unwritable)?;
    Ok(count.0)
}

struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() + bytes.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(region: &str, state: &str) -> Pages {
        let filters = BTreeMap::from([("instance-state-name".to_owned(), vec![state.to_owned()])]);
        Pages::of(&Region::try_from(region.to_owned()).unwrap(), &filters)
    }

    #[test]
    fn a_token_comes_back_for_the_same_list_only() {
        let list = pages("us-east-1", "running");
        let at = Position { token: Some("from-ec2".to_owned()), limit: 1000, after: Some("i-7".to_owned()) };
        let token = PageToken::parse(list.write(at.clone()).unwrap()).unwrap();
        assert_eq!(list.read(Some(&token), Limit::default()).unwrap(), at);
        for other in [pages("us-west-2", "running"), pages("us-east-1", "stopped")] {
            assert_eq!(other.read(Some(&token), Limit::default()).unwrap_err().fields.errors()[0].field, "next_token");
        }
    }

    #[test]
    fn the_limit_is_the_callers_but_within_a_page_of_ec2s() {
        let list = pages("us-east-1", "running");
        for (after, limit) in [(None, 100), (Some("i-7".to_owned()), 1000)] {
            let token = list.write(Position { token: Some("from-ec2".to_owned()), limit: 1000, after }).unwrap();
            let at = list.read(Some(&PageToken::parse(token).unwrap()), Limit(100)).unwrap();
            assert_eq!(at.limit, limit);
        }
    }

    /// 1,000 elements of 50 tags of 256 characters, each of which is escaped twice.
    fn large() -> Vec<(String, String)> {
        (0..1000).map(|number| (format!("i-{number:04}"), format!("{number:04}{}", "\"".repeat(12_800)))).collect()
    }

    #[test]
    fn a_page_too_large_to_answer_is_split_and_loses_nothing() {
        let list = pages("us-east-1", "running");
        // This is not EC2's first page, and EC2 gives it in another order each time.
        let mut elements = large();
        let first = Position { token: Some("second".to_owned()), limit: 1000, after: None };
        let (mut at, mut seen, mut answers) = (first.clone(), Vec::new(), 0);
        let next = loop {
            elements.rotate_left(337);
            let (shown, token) = list.cut(elements.clone(), at.clone(), Some("third")).unwrap();
            let body = serde_json::to_string(&shown).unwrap();
            let bytes = serde_json::to_vec(&body).unwrap().len();
            assert!(bytes < 6_000_000 && !shown.is_empty(), "{bytes} bytes");
            answers += 1;
            seen.extend(shown);
            at = list.read(Some(&PageToken::parse(token.unwrap()).unwrap()), Limit::default()).unwrap();
            if at.after.is_none() {
                break at;
            }
            assert_eq!((at.token.as_deref(), at.limit), (Some("second"), 1000));
        };
        let mut expected: Vec<String> = elements.into_iter().map(|(_, element)| element).collect();
        expected.sort_unstable();
        seen.sort_unstable();
        assert_eq!((seen == expected, answers, next.token.as_deref()), (true, 11, Some("third")));
        // One element is shown however large it is: otherwise the list would never end.
        let (shown, token) =
            list.cut(vec![("i-1".to_owned(), "x".repeat(MAX_BYTES + 1))], first.clone(), None).unwrap();
        assert_eq!((shown.len(), token), (1, None));
        let two = ["i-1", "i-2"].map(|id| (id.to_owned(), "x".repeat(MAX_BYTES + 1)));
        let (shown, token) = list.cut(two.to_vec(), first, None).unwrap();
        assert_eq!((shown.len(), token.is_some()), (1, true));
    }

    #[test]
    fn an_element_that_leaves_a_page_hides_no_other() {
        let list = pages("us-east-1", "running");
        let mut elements = large();
        let (shown, token) =
            list.cut(elements.clone(), Position { token: None, limit: 1000, after: None }, None).unwrap();
        let at = list.read(Some(&PageToken::parse(token.unwrap()).unwrap()), Limit::default()).unwrap();
        // The first and the last of the elements that were shown are terminated by now.
        elements.retain(|(_, element)| *element != shown[0] && element != shown.last().unwrap());
        let (next, _) = list.cut(elements, at, None).unwrap();
        assert_eq!(next[0][..4], format!("{:04}", shown.len()));
    }

    #[test]
    fn a_page_that_fits_is_in_ec2s_order() {
        let list = pages("us-east-1", "running");
        let elements = ["b", "a"].map(|id| (id.to_owned(), id)).to_vec();
        let at = Position { token: None, limit: 1000, after: None };
        assert_eq!(list.cut(elements, at, None).unwrap(), (vec!["b", "a"], None));
    }

    /// A version of this software that reads a token of another one in another way would skip workers. So whoever changes the
    /// text raises [`VERSION`], with which this one is refused.
    #[test]
    fn a_token_of_the_version_before_is_read_as_it_was_meant() {
        let token = r#"{"version":3,"filters":"mQXWjCk0Sm4yQNza","at":{"token":"from-ec2","limit":100,"after":"i-7"}}"#;
        let token = URL_SAFE_NO_PAD.encode(token);
        let at = Position { token: Some("from-ec2".to_owned()), limit: 100, after: Some("i-7".to_owned()) };
        let list = pages("us-east-1", "running");
        assert_eq!(list.write(at.clone()).unwrap(), token);
        let token = PageToken::parse(token).unwrap();
        assert_eq!(list.read(Some(&token), Limit::default()).unwrap(), at);
    }

    #[test]
    fn garbage_and_other_versions_are_refused() {
        let other_version =
            PageToken { version: 1, filters: String::new(), at: Position { token: None, limit: 100, after: None } };
        let other_version = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&other_version).unwrap());
        let forged = Position { token: None, limit: 1001, after: None };
        let forged = pages("us-east-1", "running").write(forged).unwrap();
        for bad in ["", "garbage", "{}", "e30", &other_version, &forged] {
            assert!(PageToken::parse(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
