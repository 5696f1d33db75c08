//! The answer of create-instance.

use serde::Serialize;

use super::attempt::FailedAttempt;
use crate::error::{Code, Error};
use crate::model::document::{Document, Effect};
use crate::model::instance::Instance;
use crate::model::instance_type::InstanceType;
use crate::model::launch::Launch;
use crate::model::path::InstancePath;

/// The answer of create-instance: the instance, with its warnings and failed attempts.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Launched {
    /// The instance.
    #[serde(flatten)]
    pub instance: Instance,
    /// Warnings about options that were accepted but may not have the effect that the caller expects.
    pub warnings: Vec<String>,
    /// The tries that failed before the launch, each with its reason.
    pub failed_attempts: Vec<FailedAttempt>,
    /// False if an earlier sending of the same request launched the instance.
    pub created: bool,
    /// Whether a read has shown the instance.
    #[serde(skip)]
    pub is_read: bool,
}

impl Document for Launched {
    fn status(&self) -> u16 {
        if self.created { 201 } else { 200 }
    }

    fn location(&self) -> Option<&str> {
        Some(&self.instance.instance_id)
    }

    fn effects(&self) -> Vec<Effect<'_>> {
        vec![Effect { instance_id: &self.instance.instance_id, result: Ok(self.created) }]
    }
}

/// A warning for each other instance of the same key. If EC2's reads do not yet show the launch of one sending to another,
/// the two can launch different alternatives, whose tokens differ.
pub(crate) fn twins_of<'a>(id: &'a str, launched: &'a [Instance]) -> impl Iterator<Item = String> + 'a {
    let others = launched.iter().filter(move |other| other.instance_id != id && !other.is_gone());
    others.map(|other| {
        let other = &other.instance_id;
        format!(
            "The same Idempotency-Key also launched {other}, from another alternative: terminate one of the two instances"
        )
    })
}

impl Launched {
    /// The same launch with a warning that no read shows it yet.
    pub(crate) fn unseen(self, worker: &InstancePath, why: &str) -> Self {
        let warning = format!("{} is launched, but no read shows it yet: {why}", worker.instance_id);
        self.with_warnings([warning])
    }

    /// The same launch with more warnings.
    pub(crate) fn with_warnings(mut self, more: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(more);
        self
    }

    /// The same launch with the instance as a later read showed it.
    pub(crate) fn seen_as(self, instance: Instance) -> Self {
        let image_name = self.instance.image_name.clone();
        Self { instance: Instance { image_name, ..instance }, ..self }
    }

    /// The answer to a repeated request: the first instance that earlier sendings launched. `None` if they launched none.
    pub(crate) fn again(launched: Vec<Instance>, launch: &Launch) -> Option<Self> {
        let first = launched.first()?.clone();
        let kind = first.instance_type.clone().and_then(|name| InstanceType::try_from(name).ok());
        let warnings = launch.warnings(&kind.unwrap_or_else(|| launch.instance_type.clone()));
        let twins: Vec<String> = twins_of(&first.instance_id, &launched).collect();
        let (failed_attempts, created, is_read) = (Vec::new(), false, true);
        Some(Self { instance: first, warnings, failed_attempts, created, is_read }.with_warnings(twins))
    }
}

pub(super) fn unnamed() -> Error {
    let detail = "EC2 accepted the launch but named no instance: list the instances before trying again";
    Error::new(Code::AwsError, detail)
}
