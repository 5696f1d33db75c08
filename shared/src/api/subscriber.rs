//! Where the log's lines go, which of them, and in which form.

use std::env;

use lambda_runtime::tracing::subscriber::filter::{LevelFilter, Targets};
use lambda_runtime::tracing::subscriber::layer::SubscriberExt;
use lambda_runtime::tracing::subscriber::util::SubscriberInitExt;
use lambda_runtime::tracing::subscriber::{fmt, registry};

/// Writes the log to the standard output. `AWS_LAMBDA_LOG_FORMAT`, `AWS_LAMBDA_LOG_LEVEL` and `RUST_LOG` mean what they mean to
/// `init_default_subscriber` of lambda_runtime. That one's filter also knows spans and fields, which nobody asks for here, and
/// brings an engine of regular expressions into every function.
pub(super) fn init() {
    let variable = |name: &str| env::var(name).ok();
    let log = registry().with(filter(variable));
    let lines = fmt::layer().with_target(false).without_time();
    if variable("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        log.with(lines.json()).init();
    } else {
        log.with(lines).init();
    }
}

/// What `RUST_LOG` says for each target, as in `warn,hyper=debug`; without it one level for all.
fn filter(variable: impl Fn(&str) -> Option<String>) -> Targets {
    let directives = variable("RUST_LOG").filter(|text| !text.is_empty()).and_then(|text| text.parse().ok());
    directives.unwrap_or_else(|| {
        let level = variable("AWS_LAMBDA_LOG_LEVEL").and_then(|level| level.parse().ok());
        Targets::new().with_default(level.unwrap_or(LevelFilter::INFO))
    })
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    /// Whether a line of `hyper` at this level is written.
    fn writes(level: Level, lambda: Option<&str>, rust: Option<&str>) -> bool {
        let variable = |name: &str| if name == "RUST_LOG" { rust } else { lambda };
        filter(|name| variable(name).map(str::to_owned)).would_enable("hyper", &level)
    }

    #[test]
    fn info_is_written_unless_lambda_has_another_level() {
        assert!(writes(Level::INFO, None, None) && !writes(Level::DEBUG, None, None));
        assert!(writes(Level::DEBUG, Some("DEBUG"), None) && !writes(Level::INFO, Some("WARN"), None));
        // Lambda's own words that tracing does not know leave it at that.
        assert!(writes(Level::INFO, Some("FATAL"), Some("")) && !writes(Level::DEBUG, Some("FATAL"), None));
    }

    #[test]
    fn rust_log_names_targets() {
        assert!(writes(Level::DEBUG, Some("WARN"), Some("hyper=debug")));
        assert!(!writes(Level::DEBUG, Some("DEBUG"), Some("rustls=debug")));
    }
}
