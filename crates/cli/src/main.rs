//! The `loopwright` command.

mod address;
mod args;
mod background;
mod client;
mod commands;
mod connect;
mod environment;
mod failures;
mod import;
mod logging;
mod progress;
mod render;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    environment::complete();
    let cli = args::Cli::parse();
    let json = cli.global.json;
    logging::start(matches!(cli.command, args::Command::Up(_)));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            render::talk(&format!("error: the asynchronous runtime does not start: {error}"));
            return ExitCode::from(70);
        }
    };
    match runtime.block_on(commands::run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(errors) => {
            for error in errors.iter() {
                render::error(error);
            }
            if json {
                render::problem(&errors);
            }
            errors.first().map_or(ExitCode::FAILURE, |error| ExitCode::from(error.kind().exit_code()))
        }
    }
}
