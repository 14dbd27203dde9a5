//! What the process tells about its work, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::render;

/// Chooses what is told: a level for Loopwright's own parts, or directives such as `lw_serving=debug,hyper=info`. At `debug` every stage
/// tells how long it took.
const VARIABLE: &str = "LOOPWRIGHT_LOG";

/// Starts telling, if this is the server or somebody asked.
pub fn start(is_server: bool) {
    let asked = std::env::var(VARIABLE).ok().filter(|asked| !asked.is_empty());
    let Some(asked) = asked.or(is_server.then(|| "info".to_owned())) else { return };
    let filter = EnvFilter::try_new(directives(&asked)).unwrap_or_else(|error| {
        render::talk(&format!("warning: {VARIABLE} is ignored: {error}"));
        EnvFilter::new(directives("info"))
    });
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .finish();
    // Only a test that already installed a subscriber makes this fail, and then its own is the right one.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// A level alone is meant for our own crates: some libraries print whole tables at `debug`.
fn directives(asked: &str) -> String {
    match asked.parse::<LevelFilter>() {
        Ok(level) => format!("{},loopwright={level},lw_={level}", level.min(LevelFilter::WARN)),
        Err(_) => asked.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn a_level_is_for_our_own_crates() {
        let told = |asked: &str| {
            let subscriber = tracing_subscriber::registry().with(EnvFilter::try_new(directives(asked)).unwrap());
            tracing::subscriber::with_default(subscriber, || {
                [
                    tracing::enabled!(target: "lw_project::turn", Level::DEBUG),
                    tracing::enabled!(target: "loopwright", Level::DEBUG),
                    tracing::enabled!(target: "deltalake_core::kernel", Level::DEBUG),
                    tracing::enabled!(target: "deltalake_core::kernel", Level::WARN),
                ]
            })
        };
        assert_eq!(told("debug"), [true, true, false, true]);
        assert_eq!(told("off"), [false; 4]);
        assert_eq!(told("off,deltalake_core=debug"), [false, false, true, true]);
    }
}
