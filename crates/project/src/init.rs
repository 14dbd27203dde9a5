//! The starter project: one working file of each kind, on small synthetic data that end yesterday.

use std::path::{Path, PathBuf};

use lw_core::{Result, Span, Timestamp};

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

/// The midnight that ends the last day of the data as they are kept.
const DATA_END: &str = "2024-06-29";

/// Writes the starter project into a folder that is empty or not there yet, and returns the paths it wrote.
///
/// Its data are moved by whole days so that they end with the day before `now`: look-ups are made at the time of a request, and what
/// lies years back would be too old for every one of them.
pub fn init(directory: &Path, now: Timestamp) -> Result<Vec<PathBuf>> {
    let moved = now.day_start() - Timestamp::parse(DATA_END)?;
    let mut written = Vec::new();
    for (path, text) in FILES.iter().chain(&[(".gitignore", IGNORED)]) {
        let target = directory.join(path);
        let text = if path.ends_with(".csv") { with_moved_times(text, moved) } else { (*text).to_owned() };
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

/// The rows with every cell that is a time moved. Cells of the starter hold neither quotes nor commas.
fn with_moved_times(rows: &str, by: Span) -> String {
    let mut moved = String::with_capacity(rows.len());
    for row in rows.lines() {
        for (index, cell) in row.split(',').enumerate() {
            if index > 0 {
                moved.push(',');
            }
            match Timestamp::parse(cell) {
                Ok(time) => moved.push_str(&(time + by).to_string()),
                Err(_) => moved.push_str(cell),
            }
        }
        moved.push('\n');
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(now: &str, want: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        init(folder.path(), Timestamp::parse(now).expect("a time")).expect("the starter is written");
        let orders = std::fs::read_to_string(folder.path().join("data/orders.csv")).expect("the orders are there");
        assert_eq!(orders.lines().nth(1), Some(want));
    }

    #[test]
    fn the_data_end_the_day_before_the_project_is_made() {
        check("2024-06-29", "c47,2024-01-01T00:02:38Z,11.37");
        check("2024-06-30T23:59:59Z", "c47,2024-01-02T00:02:38Z,11.37");
        check("2023-06-29T12:00:00Z", "c47,2022-12-31T00:02:38Z,11.37");
    }
}
