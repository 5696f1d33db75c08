//! Calls that change something, or only ask whether they would be permitted.

use serde::Serialize;

use crate::input::{Invalid, Refusal, boolean};
use crate::model::document::{Document, Effect};

/// The query of every mutation: `?dry_run=true`.
#[derive(Debug, Clone, Copy, Default, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct DryRun {
    /// Ask EC2 for permission and change nothing.
    #[deserr(default, try_from(String) = boolean -> Refusal)]
    pub dry_run: bool,
}

/// The answer of a mutation.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Mutation<T> {
    /// The call was carried out, or there was nothing to change.
    Done(T),
    /// EC2 accepted the call, but its end was not seen: the time to wait is up, or EC2 cannot be asked any more.
    Unfinished(T),
    /// The call would have been permitted; nothing changed.
    DryRun(Permitted),
}

impl<T> Mutation<T> {
    /// The same answer with another document.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Mutation<U> {
        match self {
            Self::Done(document) => Mutation::Done(change(document)),
            Self::Unfinished(document) => Mutation::Unfinished(change(document)),
            Self::DryRun(permitted) => Mutation::DryRun(permitted),
        }
    }
}

/// The answer to a permitted dry run: `{"dry_run":true,"permitted":true}`. A call that is not permitted gets a 403 instead.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Permitted {
    dry_run: bool,
    permitted: bool,
}

impl Permitted {
    /// The call would have been permitted.
    pub(crate) const YES: Self = Self { dry_run: true, permitted: true };
}

impl<T: Document> Document for Mutation<T> {
    fn json(&self, request_id: &str) -> serde_json::Result<String> {
        match self {
            Self::Done(document) | Self::Unfinished(document) => document.json(request_id),
            Self::DryRun(permitted) => serde_json::to_string(permitted),
        }
    }

    fn effects(&self) -> Vec<Effect<'_>> {
        match self {
            Self::Done(document) | Self::Unfinished(document) => document.effects(),
            Self::DryRun(_) => Vec::new(),
        }
    }

    fn status(&self) -> u16 {
        match self {
            Self::Done(document) => document.status(),
            Self::Unfinished(_) => 202,
            Self::DryRun(_) => 200,
        }
    }

    fn location(&self) -> Option<&str> {
        match self {
            Self::Done(document) | Self::Unfinished(document) => document.location(),
            Self::DryRun(_) => None,
        }
    }
}
