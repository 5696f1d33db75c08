//! Virtual time: tokio's, which stands still while anything works and jumps to the next moment at which something waits.

use std::time::{Duration, SystemTime};

use aws_smithy_async::time::TimeSource;
use tokio::time::Instant;

/// When every history begins: any moment will do.
const EPOCH: Duration = Duration::from_secs(1_800_000_000);

/// The clock of one history.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Begins now.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Milliseconds since the start.
    pub fn milliseconds(self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The milliseconds of the history at a moment in seconds since the epoch; 0 before the history.
    pub fn milliseconds_of(seconds: i64) -> u64 {
        let seconds = u64::try_from(seconds).unwrap_or_default();
        seconds.saturating_sub(EPOCH.as_secs()) * 1_000
    }

    /// A moment of the history as AWS writes it.
    pub fn at(milliseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + EPOCH + Duration::from_millis(milliseconds)
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + EPOCH + self.start.elapsed()
    }
}
