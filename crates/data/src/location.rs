//! Which files a source has at a moment: patterns, periods and what is on disk.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use lw_core::{Error, Result, Timestamp};

use crate::failures::{SOURCE_FILE_UNREADABLE, SOURCE_FILES_MISSING, SOURCE_INVALID};

/// A parsed `files` pattern, relative to the project folder.
#[derive(Debug, Clone)]
pub struct FilePattern {
    text: String,
    whole: GlobMatcher,
    period: Option<PeriodPlace>,
}

/// Where in a path the finest period stands.
#[derive(Debug, Clone)]
struct PeriodPlace {
    unit: PeriodUnit,
    before: GlobMatcher,
    after: GlobMatcher,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PeriodUnit {
    Year,
    Month,
    Day,
}

impl PeriodUnit {
    /// The finest first.
    const ALL: [Self; 3] = [Self::Day, Self::Month, Self::Year];

    fn placeholder(self) -> &'static str {
        match self {
            Self::Year => "{year}",
            Self::Month => "{month}",
            Self::Day => "{day}",
        }
    }

    fn glob(self) -> &'static str {
        match self {
            Self::Year => "[0-9][0-9][0-9][0-9]",
            Self::Month => "[0-9][0-9][0-9][0-9]-[0-9][0-9]",
            Self::Day => "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]",
        }
    }

    fn width(self) -> usize {
        match self {
            Self::Year => 4,
            Self::Month => 7,
            Self::Day => 10,
        }
    }

    /// The first moment of the period that a text such as `2013-01` names, in UTC.
    fn start(self, text: &str) -> Option<Timestamp> {
        let first_day = match self {
            Self::Year => format!("{text}-01-01"),
            Self::Month => format!("{text}-01"),
            Self::Day => text.to_owned(),
        };
        Timestamp::parse(&first_day).ok()
    }
}

/// A file that matches a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Relative to the project folder, with `/` on every system.
    pub path: String,
    /// The first moment of the period that the path names.
    pub period_start: Option<Timestamp>,
}

/// What is there for a source at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Landing {
    /// Files to read, by period and then by path.
    pub landed: Vec<FoundFile>,
    /// Files of periods that have not begun.
    pub ahead: Vec<FoundFile>,
}

impl FilePattern {
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |why: String| SOURCE_INVALID.error(format!("`{text}` is not a file pattern: {why}"));
        let leaves = Path::new(text).is_absolute() || text.split(['/', '\\']).any(|part| part == "..");
        if text.is_empty() || leaves {
            return Err(bad("it must be a path inside the project folder".into())
                .hint("write a relative path without `..`; to read files elsewhere, link their folder into the project"));
        }
        let compile = |part: &str| {
            let glob =
                PeriodUnit::ALL.into_iter().fold(part.to_owned(), |glob, unit| glob.replace(unit.placeholder(), unit.glob()));
            let built = GlobBuilder::new(&glob).literal_separator(true).build();
            built.map(|glob| glob.compile_matcher()).map_err(|error| {
                bad(error.kind().to_string())
                    .hint("`*` stands for any text, `**` for any folders, `{month}` for a month such as 2013-01")
            })
        };
        let finest = PeriodUnit::ALL.into_iter().find_map(|unit| text.split_once(unit.placeholder()).map(|parts| (unit, parts)));
        let period = match finest {
            Some((unit, (before, after))) => Some(PeriodPlace { unit, before: compile(before)?, after: compile(after)? }),
            None => None,
        };
        Ok(Self { text: text.to_owned(), whole: compile(text)?, period })
    }

    /// The files in the project folder that match, split by whether their period has begun at `now`.
    ///
    /// # Errors
    /// `source-files-missing` when nothing matches; `source-file-unreadable` when a folder cannot be listed.
    pub fn list(&self, project_dir: &Path, now: Timestamp) -> Result<Landing> {
        let (first_folder, depth) = self.search_root();
        let mut paths = Vec::new();
        walk(project_dir, &first_folder, depth, &mut paths)?;
        let mut landing = self.sort(paths, now);
        if landing.landed.is_empty() && landing.ahead.is_empty() {
            return Err(SOURCE_FILES_MISSING
                .error(format!("no file matches `{}`", self.text))
                .hint(format!("put a file there, or correct `files`; the pattern starts in {}", project_dir.display())));
        }
        landing.landed.sort_by(|a, b| (a.period_start, &a.path).cmp(&(b.period_start, &b.path)));
        Ok(landing)
    }

    fn sort(&self, paths: Vec<String>, now: Timestamp) -> Landing {
        let mut landing = Landing::default();
        for path in paths.into_iter().filter(|path| self.whole.is_match(path)) {
            let Some(place) = &self.period else {
                landing.landed.push(FoundFile { path, period_start: None });
                continue;
            };
            // A path with digits that are no date, such as 2013-13, is no file of this source.
            let Some(start) = place.start_in(&path) else { continue };
            let file = FoundFile { path, period_start: Some(start) };
            if start <= now { landing.landed.push(file) } else { landing.ahead.push(file) }
        }
        landing
    }

    /// The folder that every match lies in, and how many levels below it matches can lie.
    fn search_root(&self) -> (PathBuf, usize) {
        const DEEPEST: usize = 32;
        let parts: Vec<&str> = self.text.split('/').collect();
        let is_plain = |part: &&&str| !part.contains(['*', '?', '[', ']', '{', '}']);
        let n_plain = parts.iter().take_while(is_plain).count().min(parts.len() - 1);
        let depth = if self.text.contains("**") { DEEPEST } else { parts.len() - n_plain };
        (parts[..n_plain].iter().collect(), depth)
    }
}

impl PeriodPlace {
    fn start_in(&self, path: &str) -> Option<Timestamp> {
        let width = self.unit.width();
        (0..=path.len().checked_sub(width)?)
            .filter_map(|at| Some((path.get(..at)?, path.get(at..at + width)?, path.get(at + width..)?)))
            .filter(|(before, _, after)| self.before.is_match(before) && self.after.is_match(after))
            .find_map(|(_, period, _)| self.unit.start(period))
    }
}

/// Lists files below a folder. Hidden ones are left out: writers use them for unfinished files.
fn walk(project_dir: &Path, folder: &Path, depth: usize, paths: &mut Vec<String>) -> Result<()> {
    let at = project_dir.join(folder);
    let unreadable = |error: std::io::Error| -> Error {
        SOURCE_FILE_UNREADABLE
            .error(format!("cannot list the folder {}", at.display()))
            .hint("check that Loopwright may read the folder")
            .cause(error)
    };
    let entries = match std::fs::read_dir(&at) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => return Ok(()),
        Err(error) => return Err(unreadable(error)),
    };
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if name.starts_with('.') {
            continue;
        }
        let path = folder.join(&name);
        // Follows links, so that a linked folder counts as one; a dangling link is no file.
        let Ok(metadata) = std::fs::metadata(entry.path()) else { continue };
        if metadata.is_dir() && depth > 1 {
            walk(project_dir, &path, depth - 1, paths)?;
        }
        if metadata.is_file() {
            let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
            paths.push(parts.join("/"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[track_caller]
    fn check(pattern: &str, now: &str, want_landed: &[&str], want_ahead: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            "d/2013-01.csv",
            "d/2013-02.csv",
            "d/2013-13.csv",
            "d/2013/2013-01-31.csv",
            "d/.2013-03.csv",
            "d/x/a-2012.csv",
            "e.csv",
        ];
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let landing = FilePattern::parse(pattern).unwrap().list(folder.path(), time(now)).unwrap();
        let paths = |files: &[FoundFile]| files.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
        assert_eq!(paths(&landing.landed), want_landed);
        assert_eq!(paths(&landing.ahead), want_ahead);
    }

    #[test]
    fn patterns_find_files_and_periods() {
        check("e.csv", "2000-01-01", &["e.csv"], &[]);
        check("d/*.csv", "2000-01-01", &["d/2013-01.csv", "d/2013-02.csv", "d/2013-13.csv"], &[]);
        check("d/{month}.csv", "2013-02-01", &["d/2013-01.csv", "d/2013-02.csv"], &[]);
        check("d/{month}.csv", "2013-01-31T23:59:59Z", &["d/2013-01.csv"], &["d/2013-02.csv"]);
        check("d/{year}/{day}.csv", "2013-01-31", &["d/2013/2013-01-31.csv"], &[]);
        check("d/**/*-{year}.csv", "2012-05-01", &["d/x/a-2012.csv"], &[]);
    }

    #[test]
    fn patterns_that_leave_the_project_or_find_nothing_are_refused() {
        for bad in ["", "/etc/passwd", "../x.csv", "a/../../b", "data/[x.csv"] {
            assert!(FilePattern::parse(bad).unwrap_err().is(SOURCE_INVALID), "{bad}");
        }
        let folder = tempfile::tempdir().unwrap();
        for missing in ["no/such.csv", "*.csv", "{month}.csv"] {
            let error = FilePattern::parse(missing).unwrap().list(folder.path(), time("2013-01-01")).unwrap_err();
            assert!(error.is(SOURCE_FILES_MISSING) && error.message().contains(missing), "{error}");
        }
    }
}
