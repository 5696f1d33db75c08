//! The tags by which the sweep remembers: what it will do, and what it did.

use std::fmt;

use crate::model::sweep::rules::Wish;
use crate::model::time::Moment;

/// The rules by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// The CPU does nothing.
    Idle,
    /// Status checks fail.
    Impaired,
    /// The owner gives no sign of life.
    Orphan,
}

/// What the sweep will do to a worker, or did: `stop idle 2026-11-27T10:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Stop or terminate.
    pub wish: Wish,
    /// The rule that asks for it.
    pub rule: Rule,
    /// When the worker was marked, or when the sweep acted.
    pub at: Moment,
}

impl Mark {
    /// Reads a tag's value; none if the sweep cannot have written it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (wish, rule, at) = (words.next()?, words.next()?, words.next()?);
        let wish = [Wish::Stop, Wish::Terminate].into_iter().find(|one| one.to_string() == wish)?;
        let rule = [Rule::Idle, Rule::Impaired, Rule::Orphan].into_iter().find(|one| one.to_string() == rule)?;
        words.next().is_none().then_some(Self { wish, rule, at: Moment::parse(at)? })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Impaired => "impaired",
            Self::Orphan => "orphan",
        })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.wish, self.rule, self.at)
    }
}
