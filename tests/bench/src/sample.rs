//! The figures of one process.

use std::time::Instant;

use serde::Serialize;

use crate::Result;
use crate::figures::ms;
use crate::runtime_api::Noted;

/// The figures of one process. Times are in milliseconds, memory in megabytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    /// From the start of the process to its first request for an event.
    pub init_ms: f64,
    /// From the start of the process to its first answer: what the caller waits for after a cold start.
    pub first_answer_ms: f64,
    /// From the first event to the first answer.
    pub first_invocation_ms: f64,
    /// From a later event to its answer: half of the calls take no longer.
    pub warm_p50_ms: f64,
    /// The same for 99 of 100 calls.
    pub warm_p99_ms: f64,
    /// CPU time up to the first answer, user and system.
    pub cold_cpu_ms: f64,
    /// CPU time of a warm call.
    pub warm_cpu_ms: f64,
    /// The most memory that the process had at a time.
    pub peak_mb: f64,
    /// AWS calls until the first answer.
    pub cold_calls: usize,
    /// AWS calls of a warm call.
    pub warm_calls: usize,
    /// The same calls without an SDK on an open connection, one after the other.
    pub bare_ms: Option<f64>,
    /// A new connection and one call on it, without an SDK.
    pub bare_connect_ms: Option<f64>,
    /// The key exchange of the process's connection.
    pub key_exchange: Option<&'static str>,
}

impl Sample {
    /// What a warm call takes beyond what the wire takes.
    #[must_use]
    pub fn overhead_ms(&self) -> Option<f64> {
        Some(self.warm_p50_ms - self.bare_ms?)
    }
}

/// When things happened, in milliseconds.
#[derive(Clone, Debug)]
pub struct Times {
    /// From the start of the process to its first request for an event.
    pub init: f64,
    /// From the start of the process to its first answer.
    pub first_answer: f64,
    /// From each later event to its answer.
    pub warm: Vec<f64>,
}

impl Times {
    /// The times of a process that was started then.
    ///
    /// # Errors
    /// It did not come to its first answer.
    pub fn of(noted: &Noted, started: Instant) -> Result<Self> {
        let since = |moment: &Instant| ms(moment.duration_since(started));
        let first = noted.answered.first().ok_or("no answer")?;
        Ok(Self {
            init: since(noted.ready.as_ref().ok_or("no request for an event")?),
            first_answer: since(first),
            warm: noted.took().skip(1).map(ms).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_from_the_start_and_from_each_event() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut noted = Noted {
            ready: Some(at(3)),
            handed: vec![at(3), at(10)],
            answered: vec![at(7), at(15)],
            ..Noted::default()
        };
        let times = Times::of(&noted, start).unwrap();
        assert_eq!((times.init, times.first_answer, times.warm), (3.0, 7.0, vec![5.0]));
        noted.answered.clear();
        assert!(Times::of(&noted, start).is_err());
    }
}
