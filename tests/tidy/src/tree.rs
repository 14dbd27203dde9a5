//! The repository on disk: its text files, and what Cargo says of it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A text file, its path from the root with forward slashes.
pub struct File {
    pub path: String,
    pub text: String,
}

/// The root of the repository. Cargo says where it is when a test runs: a binary may have been built from another clone.
pub fn root() -> PathBuf {
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("tests are run by Cargo");
    Path::new(&package).join("../..")
}

/// Every text file that git tracks or would track. Files over 1 MiB are data, not text.
pub fn files() -> Vec<File> {
    let listing = run("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let paths = listing.split('\0').filter(|path| !path.is_empty());
    paths
        .filter_map(|path| {
            let full = root().join(path);
            let is_small = full.metadata().is_ok_and(|metadata| metadata.len() <= 1 << 20);
            let text = if is_small { std::fs::read_to_string(&full).ok() } else { None };
            text.map(|text| File { path: path.to_owned(), text })
        })
        .collect()
}

/// The members of the workspace and their dependencies, as `cargo metadata` prints them.
pub fn metadata() -> serde_json::Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = run(&cargo, &["metadata", "--no-deps", "--format-version", "1", "--offline"]);
    serde_json::from_str(&output).expect("cargo metadata prints JSON")
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output();
    let output = output.unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
