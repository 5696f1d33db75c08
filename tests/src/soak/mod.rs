//! Functions kept warm for thousands of invocations, with AWS failing now and then: does their memory grow, do they panic?
//!
//! Each function's own binary runs as one process against a Runtime API that hands it one event after the other
//! (`feed`) and an AWS that the stub plays alone (`answers`): emulators would be slower than what they are here for, and
//! their memory grows.

use std::collections::BTreeMap;
use std::path::Path;

use crate::stack::program::{Program, Surroundings};
use crate::stack::{REGION, ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY, Result, repository};
use crate::stub::Stub;
use feed::Feed;

mod answers;
mod feed;

/// How much more memory a process may have at the end than after a twentieth of its invocations.
const MOST_GROWTH: f64 = 1.1;

/// What became of one function.
#[derive(Clone, Debug)]
pub struct Report {
    /// The operation.
    pub operation: String,
    /// How often it was invoked.
    pub invocations: usize,
    /// Answers by status.
    pub statuses: BTreeMap<u16, usize>,
    /// Invocations that ended without an answer: a panic, or an error of the runtime's.
    pub failed: usize,
    /// Faults that AWS's part was scripted to have, as they happened.
    pub faults: u32,
    /// Resident memory after a twentieth of the invocations, in KiB.
    pub early: u64,
    /// Resident memory at the end, in KiB.
    pub late: u64,
    /// Panics in the log.
    pub panics: usize,
}

impl Report {
    /// What should not be.
    pub fn wrongs(&self) -> Vec<String> {
        let mut wrongs = Vec::new();
        let mut refuse_if = |wrong: bool, what: String| {
            if wrong {
                wrongs.push(format!("{}: {what}", self.operation));
            }
        };
        let answered: usize = self.statuses.values().sum();
        let of = |class: u16| self.statuses.iter().any(|(status, _)| status / 100 == class);
        refuse_if(answered != self.invocations, format!("{answered} answers to {} invocations", self.invocations));
        refuse_if(self.failed > 0, format!("{} invocations failed", self.failed));
        refuse_if(self.panics > 0, format!("{} panics", self.panics));
        refuse_if(
            !of(2) || !of(5),
            format!("answers of one kind only, {:?}: AWS never failed or always", self.statuses),
        );
        refuse_if(self.growth() > MOST_GROWTH, format!("memory grew from {} to {} KiB", self.early, self.late));
        wrongs
    }

    /// The late memory in terms of the early one.
    #[expect(clippy::cast_precision_loss, reason = "KiB of a process")]
    pub fn growth(&self) -> f64 {
        self.late as f64 / self.early.max(1) as f64
    }
}

/// Invokes an operation's function so many times. Its log is in `folder`.
///
/// # Errors
/// The binary is not built, or its process ended.
pub async fn soak(folder: &Path, operation: &str, invocations: usize) -> Result<Report> {
    // Nobody listens there: every request is scripted.
    let stub = Stub::start("http://127.0.0.1:9").await;
    let faults = answers::faults(&stub);
    let _answers = answers::good(&stub, operation);
    let feed = Feed::start(operation, invocations).await?;
    let binary = repository().join("target/debug").join(operation).display().to_string();
    let environment = [
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", ROOT_ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", ROOT_SECRET_ACCESS_KEY),
        ("AWS_ENDPOINT_URL", stub.endpoint()),
        ("AWS_LAMBDA_RUNTIME_API", feed.address()),
        ("AWS_LAMBDA_FUNCTION_NAME", operation),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ];
    let mut function = Program::start(folder, operation, &[binary], Surroundings::Own, &environment).await?;
    let done = feed.finish(function.pid(), || {
        stub.forget();
        function.check()
    });
    let done = done.await?;
    let log = function.log() + &function.output();
    Ok(Report {
        operation: operation.to_owned(),
        invocations,
        statuses: done.statuses,
        failed: done.failed,
        faults: faults.iter().map(crate::stub::Script::hits).sum(),
        early: done.early,
        late: done.late,
        panics: log.matches("panicked at").count(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Report {
        Report {
            operation: "health".to_owned(),
            invocations: 10,
            statuses: BTreeMap::from([(200, 8), (503, 2)]),
            failed: 0,
            faults: 2,
            early: 1000,
            late: 1099,
            panics: 0,
        }
    }

    #[test]
    fn growth_panics_and_lost_invocations_are_wrong() {
        assert_eq!(good().wrongs(), Vec::<String>::new());
        let wrongs = [
            Report { late: 1101, ..good() },
            Report { panics: 1, ..good() },
            Report { failed: 1, ..good() },
            Report { invocations: 11, ..good() },
            Report { statuses: BTreeMap::from([(200, 10)]), ..good() },
            Report { statuses: BTreeMap::from([(503, 10)]), ..good() },
        ];
        for report in wrongs {
            assert_eq!(report.wrongs().len(), 1, "{report:?}");
        }
    }
}
