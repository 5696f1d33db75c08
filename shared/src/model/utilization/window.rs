//! Which part of CloudWatch's data a window covers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_cloudwatch::primitives::DateTime;

use crate::input::checked_string;
use crate::model::time::rfc3339;

checked_string! {
    /// How far to look back: `30s`, or whole minutes or hours up to a day.
    Window,
    schema(
        default = "5m",
        pattern = r"^(30s|([1-9]|[1-9][0-9]{1,2}|1[0-3][0-9]{2}|14[0-3][0-9]|1440)m|([1-9]|1[0-9]|2[0-4])h)$"
    ),
    |text| match seconds(text) {
        Some(30 | 60..=86_400) => Ok(()),
        _ => Err("must be 30s, or whole minutes or hours from 1m to 24h"),
    }
}

impl Window {
    /// The length of the window.
    #[must_use]
    pub fn duration(&self) -> Duration {
        // The text was checked when the window was made.
        Duration::from_secs(seconds(self.as_str()).unwrap_or_default())
    }
}

impl Default for Window {
    fn default() -> Self {
        Self("5m".to_owned())
    }
}

/// Reads a number without leading zeros and its unit. The only window in seconds is `30s`.
fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !number.bytes().all(|b| b.is_ascii_digit()) || number.starts_with('0') {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    match (number, unit) {
        (30, "s") => Some(30),
        (_, "m") => number.checked_mul(60),
        (_, "h") => number.checked_mul(3600),
        _ => None,
    }
}

/// How far back a read goes at least, however short the window is. A point of basic monitoring is shown up to 15 minutes
/// after its five minutes begin, so the newest point may have begun 20 minutes ago. The rest is for days when CloudWatch is
/// slower than that.
pub(super) const LOOK_BACK: Duration = Duration::from_secs(30 * 60);

/// The most points that GetMetricStatistics returns.
const MOST_POINTS: u64 = 1440;

/// The time over which one metric is read, and the window within it. Times are in seconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Begin of the read, and of its first period.
    pub read_from: u64,
    /// Begin of the window.
    pub start: u64,
    /// End of the read and of the window: now.
    pub end: u64,
    /// Seconds that one point covers.
    pub period: u32,
}

impl Span {
    /// The window that ends now, of a metric that is published every `period` seconds.
    ///
    /// A day that does not begin with a whole minute would have one point of a minute more than CloudWatch returns.
    /// Therefore a day is read in periods of five minutes.
    #[must_use]
    pub fn new(window: &Window, period: u32, now: SystemTime) -> Self {
        let end = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (window, back) = (window.duration().as_secs(), window.duration().max(LOOK_BACK).as_secs());
        let period = if back / u64::from(period) < MOST_POINTS { period } else { period * 5 };
        let read_from = end.saturating_sub(back);
        Self { read_from: read_from - read_from % u64::from(period), start: end.saturating_sub(window), end, period }
    }

    /// Whether the point that begins at `at` covers a part of the window.
    #[must_use]
    pub fn holds(self, at: u64) -> bool {
        at < self.end && at + u64::from(self.period) > self.start
    }
}

/// A moment as the SDK writes it.
pub(crate) fn sdk_time(seconds: u64) -> DateTime {
    DateTime::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// A moment as documents write it.
pub(crate) fn written(seconds: u64) -> Option<String> {
    rfc3339(&sdk_time(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_30_seconds_or_whole_minutes_up_to_a_day() {
        let window = |text: &str| Window::try_from(text.to_owned());
        for (good, seconds) in
            [("30s", 30), ("1m", 60), ("5m", 300), ("10m", 600), ("1440m", 86_400), ("1h", 3600), ("24h", 86_400)]
        {
            assert_eq!(window(good).map(|window| window.duration().as_secs()), Ok(seconds), "{good}");
        }
        for bad in [
            "",
            "m",
            "0m",
            "05m",
            "1441m",
            "25h",
            "0h",
            "60s",
            "31s",
            "1s",
            "1.5h",
            "1d",
            "5M",
            "-5m",
            "+5m",
            " 5m",
            "5m ",
            "5",
            "1h30m",
            "5é",
            "é",
            "99999999999999999999m",
            "5124095576030432h",
        ] {
            assert!(window(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_read_starts_on_a_period_and_covers_the_window_or_longer() {
        for (window, period, read, back) in [
            ("30s", 300, 300, 1800),
            ("10m", 60, 60, 1800),
            ("2h", 60, 60, 7200),
            ("1439m", 60, 60, 86_340),
            ("24h", 60, 300, 86_400),
            ("24h", 300, 300, 86_400),
        ] {
            for now in 1_000_000_000..1_000_000_300 {
                let now_time = UNIX_EPOCH + Duration::from_secs(now);
                let span = Span::new(&Window::try_from(window.to_owned()).unwrap(), period, now_time);
                assert_eq!((span.period, span.end, span.read_from % u64::from(read)), (read, now, 0), "{window}");
                assert!((back..back + u64::from(read)).contains(&(now - span.read_from)), "{window}");
                assert!((now - span.read_from).div_ceil(u64::from(read)) <= MOST_POINTS, "{window}");
            }
        }
    }

    #[test]
    fn a_point_is_in_the_window_if_any_second_of_it_is() {
        let span = Span { read_from: 0, start: 600, end: 660, period: 300 };
        for (at, holds) in [(0, false), (300, false), (301, true), (600, true), (659, true), (660, false)] {
            assert_eq!(span.holds(at), holds, "{at}");
        }
    }
}
