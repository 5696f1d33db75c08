//! The time budget of one invocation. It is one budget for everything, and all code that spends time can read it.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout_at};

use crate::error::{Code, Error};

/// The longest time of an invocation. API Gateway gives up after 29 seconds, and the caller should get our 504 and not API
/// Gateway's.
const LONGEST: Duration = Duration::from_secs(25);
/// The part of the function's remaining time that is kept for sending the answer.
const ANSWER_TIME: Duration = Duration::from_secs(1);
/// The part of the budget that is kept for an answer which tells what is known when the time is up.
const LAST_WORD: Duration = Duration::from_secs(1);
/// The time that must be left to send a call that changes something. EC2 answers within seconds. With less time left, the
/// likely result is a change of which nobody is told.
const CALL_TIME: Duration = Duration::from_secs(4);

tokio::task_local! {
    /// When the invocation's budget ends.
    static END: Instant;
}

/// Returns the result of the work, or a 504 when the time that Lambda leaves is up.
pub(crate) async fn within<T>(
    deadline: SystemTime,
    now: SystemTime,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    in_time(budget(deadline, now), work).await
}

/// Like [`within`], for an invocation that nobody waits for: it has all the time that Lambda gives it.
pub(crate) async fn until<T>(
    deadline: SystemTime,
    now: SystemTime,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    in_time(deadline.duration_since(now).unwrap_or(LONGEST).saturating_sub(ANSWER_TIME), work).await
}

async fn in_time<T>(budget: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let end = Instant::now() + budget;
    let late = |_| {
        let detail = "AWS gave no answer in time; what was asked for may still have been carried out";
        Error::new(Code::AwsTimeout, detail)
    };
    timeout_at(end, END.scope(end, work)).await.map_err(late).flatten()
}

fn budget(deadline: SystemTime, now: SystemTime) -> Duration {
    match deadline.duration_since(now) {
        Ok(remaining) => remaining.saturating_sub(ANSWER_TIME).min(LONGEST),
        // Lambda never passes an event that is late already. `cargo lambda watch` does, because its deadline is a constant.
        Err(_) => LONGEST,
    }
}

/// A moment before the end of the invocation. The answer has what is known by then.
pub(crate) fn last_word() -> Instant {
    end().map_or_else(|| Instant::now() + LONGEST, |end| end - LAST_WORD)
}

/// `longest` from now, or [`last_word`] if that is sooner.
pub(crate) fn at_most(longest: Duration) -> Instant {
    last_word().min(Instant::now() + longest)
}

/// Whether too little time is left to begin a call that changes something.
pub(crate) fn is_near() -> bool {
    end().is_some_and(|end| end < Instant::now() + CALL_TIME)
}

/// The end of the budget; `None` outside of an invocation, as in unit tests.
fn end() -> Option<Instant> {
    END.try_with(|end| *end).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_future(duration: Duration) -> SystemTime {
        SystemTime::now() + duration
    }

    async fn within_now<T>(deadline: SystemTime, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        within(deadline, SystemTime::now(), work).await
    }

    #[test]
    fn an_answer_is_due_before_lambda_and_api_gateway_time_out() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        assert_eq!(budget(now + Duration::from_secs(27), now), LONGEST);
        assert_eq!(budget(now + Duration::from_secs(3), now), Duration::from_secs(2));
        assert_eq!(budget(now + Duration::from_millis(100), now), Duration::ZERO);
        assert_eq!(budget(SystemTime::UNIX_EPOCH + Duration::from_secs(600), now), LONGEST);
    }

    #[tokio::test]
    async fn a_timeout_is_a_504_that_says_the_call_may_have_happened() {
        let late = async { std::future::pending::<Result<(), Error>>().await };
        let error = within_now(in_future(ANSWER_TIME + Duration::from_millis(20)), late).await.unwrap_err();
        assert_eq!((error.code, error.retryable), (Code::AwsTimeout, true));
        assert!(error.detail.contains("may still have been carried out"));
    }

    #[tokio::test]
    async fn a_wait_ends_within_even_a_short_invocation() {
        let longest = Duration::from_secs(15);
        let left = async || Ok(at_most(longest).saturating_duration_since(Instant::now()));
        assert!(left().await.unwrap() > longest - Duration::from_secs(1), "outside of an invocation");
        assert!(
            within_now(in_future(Duration::from_secs(27)), left()).await.unwrap() > longest - Duration::from_secs(1)
        );
        let of_six_seconds = within_now(in_future(Duration::from_secs(6)), left()).await.unwrap();
        assert!((Duration::from_secs(3)..Duration::from_secs(4)).contains(&of_six_seconds), "{of_six_seconds:?}");
        assert_eq!(within_now(in_future(Duration::from_secs(1)), left()).await.unwrap(), Duration::ZERO);
    }

    #[tokio::test]
    async fn no_change_is_begun_in_the_last_seconds() {
        assert!(!is_near(), "outside of an invocation");
        for (seconds, near) in [(27, false), (6, false), (4, true), (1, true)] {
            let seen = within_now(in_future(Duration::from_secs(seconds)), async { Ok(is_near()) }).await.unwrap();
            assert_eq!(seen, near, "{seconds} s");
        }
    }
}
