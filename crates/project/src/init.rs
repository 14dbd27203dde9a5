//! The starter project: one working file of each kind, on small synthetic data.

use std::path::{Path, PathBuf};

use lw_core::Result;

use crate::failures::FILE_UNREADABLE;

macro_rules! starter {
    ($($path:literal,)*) => {
        const FILES: &[(&str, &str)] = &[$(($path, include_str!(concat!("../starter/", $path)))),*];
    };
}

starter! {
    "loopwright.yaml",
    "sources/orders.yaml",
    "sources/checkups.yaml",
    "features/customer_orders.yaml",
    "models/churn.yaml",
    "policies/production.yaml",
    "pipelines/nightly.yaml",
    "data/orders.csv",
    "data/checkups.csv",
}

/// Not a workspace's business: what git shall not keep.
const IGNORED: &str = ".loopwright/\nreport/\n";

/// Writes the starter project into a folder that is empty or not there yet, and returns the paths it wrote.
pub fn init(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for (path, text) in FILES.iter().chain(&[(".gitignore", IGNORED)]) {
        let target = directory.join(path);
        let parent = target.parent().unwrap_or(directory);
        std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&target, text)).map_err(|error| {
            FILE_UNREADABLE
                .error(format!("cannot write `{}`", target.display()))
                .hint("check permissions and free space")
                .cause(error)
        })?;
        written.push(target);
    }
    Ok(written)
}
