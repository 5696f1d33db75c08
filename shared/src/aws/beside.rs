//! Reads that run at the same time, although the first one decides whether the second one matters.

use futures_util::future::{FutureExt, try_join};

/// Runs both at the same time, and gives both results unless the first one is an error. That error is the answer at once: the
/// second one is dropped, so that neither its delay nor its own failure changes what the caller gets. Therefore it must be a
/// read. What is dropped may have reached AWS, and its connection is closed.
pub(crate) fn beside<T, U, E>(
    first: impl Future<Output = Result<T, E>>,
    second: impl Future<Output = U>,
) -> impl Future<Output = Result<(T, U), E>> {
    // No `async fn` with a macro: it would hold each of the two, which are large, three times.
    try_join(first, second.map(Ok))
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    /// Gives the result after so many milliseconds.
    async fn after<T>(milliseconds: u64, result: T) -> T {
        sleep(Duration::from_millis(milliseconds)).await;
        result
    }

    #[tokio::test(start_paused = true)]
    async fn both_take_as_long_as_the_longer_one() {
        let begin = Instant::now();
        let both = beside(after(30, Ok::<_, &str>(1)), after(50, Ok::<_, &str>(2))).await;
        assert_eq!((both, begin.elapsed().as_millis()), (Ok((1, Ok(2))), 50));
    }

    #[tokio::test(start_paused = true)]
    async fn the_error_of_the_first_is_the_answer_whatever_becomes_of_the_second() {
        let begin = Instant::now();
        let failed = Err::<i32, _>("first");
        assert_eq!(beside(after(30, failed), ready(Err::<i32, _>("second"))).await, Err("first"));
        assert_eq!(beside(after(30, failed), pending::<i32>()).await, Err("first"));
        assert_eq!(begin.elapsed().as_millis(), 60, "a second one that never ends is not waited for");
        assert_eq!(beside(after(30, Ok::<_, &str>(1)), ready(Err::<i32, _>("second"))).await, Ok((1, Err("second"))));
    }
}
