//! What the process tells about its work, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Chooses what is told: `LOOPWRIGHT_LOG=debug` adds how long each stage took.
const VARIABLE: &str = "LOOPWRIGHT_LOG";
/// The server's habit. Other commands say nothing unless they are asked.
const SERVER: &str = "info,delta_kernel=warn,buoyant_kernel=warn,deltalake_core=warn";

/// Starts telling, if this is the server or somebody asked.
pub fn start(is_server: bool) {
    let filter = match EnvFilter::try_from_env(VARIABLE) {
        Ok(filter) => filter,
        Err(_) if is_server => SERVER.into(),
        Err(_) => return,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .finish();
    // Only a test that already installed a subscriber makes this fail, and then its own is the right one.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
