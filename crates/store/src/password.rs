//! The password of a PostgreSQL connection, found where libpq finds it, so that no address needs to hold one.

use std::path::{Path, PathBuf};

use postgres::Config;
use postgres::config::Host;

/// The password for a connection whose address has none: `PGPASSWORD`, or the first line that fits in the file `PGPASSFILE`, by
/// default `~/.pgpass`.
pub(crate) fn find(config: &Config) -> Option<String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(password) = variable("PGPASSWORD") {
        return Some(password);
    }
    let file = variable("PGPASSFILE").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".pgpass")))?;
    let text = read_private(&file)?;
    let user = config.get_user().map(str::to_owned).or_else(|| variable("USER")).unwrap_or_default();
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        _ => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let database = config.get_dbname().unwrap_or(&user);
    matching(&text, [&host, &port, database, &user])
}

/// A file that others can read holds no secrets: libpq ignores it too.
fn read_private(file: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = std::fs::metadata(file).ok()?;
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!("The password file {} is left alone, as others may read it: `chmod 600` it", file.display());
        return None;
    }
    std::fs::read_to_string(file).ok()
}

/// The password on the first line `host:port:database:user:password` whose fields are these or `*`.
fn matching(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let (password, patterns) = fields.split_last()?;
        let fits = patterns.len() == 4 && patterns.iter().zip(wanted).all(|(pattern, value)| pattern == "*" || pattern == value);
        fits.then(|| password.clone())
    })
}

/// Splits at colons; a backslash takes the next character as it is.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            ':' => fields.push(String::new()),
            '\\' => fields.last_mut().into_iter().for_each(|field| field.extend(characters.next())),
            _ => fields.last_mut().into_iter().for_each(|field| field.push(character)),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# staging\ndb:5432:loop:ana:one\ndb:*:*:ana:two\n*:5433:lo\\:op:*:th\\:r\\\\ee\nbroken\n";

    #[track_caller]
    fn check(wanted: [&str; 4], want: Option<&str>) {
        assert_eq!(matching(FILE, wanted).as_deref(), want);
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        check(["db", "5432", "loop", "ana"], Some("one"));
        check(["db", "5433", "loop", "ana"], Some("two"));
        check(["elsewhere", "5433", "lo:op", "bea"], Some("th:r\\ee"));
        check(["elsewhere", "5432", "loop", "ana"], None);
        check(["broken", "", "", ""], None);
    }
}
