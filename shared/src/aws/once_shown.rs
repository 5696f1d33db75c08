//! Waits until a read shows what EC2 has made, because EC2's reads lag behind its writes.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::aws::deadline;
use crate::error::Error;

/// The pause between two looks for something that EC2 has made and does not show yet.
pub(crate) const SHOWN_EVERY: Duration = Duration::from_millis(500);
/// The longest time of such looks. EC2's reads lag behind its writes by seconds.
pub(crate) const SHOWN_WITHIN: Duration = Duration::from_secs(5);

/// Repeats `look` until it shows something that EC2 has just made. Returns nothing if it does not show it in time.
///
/// # Errors
/// The error of a failed read. It is not tried again here, because the SDK has done so already.
pub(crate) async fn once_shown<T, F>(look: impl Fn() -> F) -> Result<Option<T>, Error>
where
    F: Future<Output = Result<Option<T>, Error>>,
{
    shown_until(deadline::at_most(SHOWN_WITHIN), SHOWN_EVERY, look).await
}

async fn shown_until<T, F>(end: Instant, every: Duration, look: impl Fn() -> F) -> Result<Option<T>, Error>
where
    F: Future<Output = Result<Option<T>, Error>>,
{
    let looks = async {
        loop {
            match look().await {
                Ok(None) => sleep(every).await,
                seen => return seen,
            }
        }
    };
    timeout_at(end, looks).await.unwrap_or(Ok(None))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::Code;

    const LONG_ENOUGH: Duration = Duration::from_secs(5);

    /// The result of looking for something with these answers of the reads, and the number of reads.
    async fn look(
        reads: &[Result<Option<&'static str>, Code>],
        longest: Duration,
    ) -> (Result<Option<&'static str>, Code>, usize) {
        let count = AtomicUsize::new(0);
        let read = || async {
            let n = count.fetch_add(1, Ordering::Relaxed).min(reads.len() - 1);
            reads[n].map_err(|code| Error::new(code, "EC2's words."))
        };
        let shown = shown_until(Instant::now() + longest, Duration::from_millis(2), read).await;
        (shown.map_err(|error| error.code), count.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn reads_repeat_until_they_show_the_change_or_time_is_up() {
        assert_eq!(look(&[Ok(Some("it"))], LONG_ENOUGH).await, (Ok(Some("it")), 1));
        assert_eq!(look(&[Ok(None), Ok(None), Ok(Some("it"))], LONG_ENOUGH).await, (Ok(Some("it")), 3));
        let (shown, reads) = look(&[Ok(None)], Duration::from_millis(60)).await;
        assert!(shown == Ok(None) && reads > 1, "{shown:?} after {reads}");
        // A read that the SDK gave up is not tried again.
        for code in [Code::MissingPermission, Code::Throttled] {
            assert_eq!(look(&[Err(code), Ok(Some("it"))], LONG_ENOUGH).await, (Err(code), 1));
        }
    }
}
