//! Where the metadata database is.

use std::fmt;
use std::path::{Path, PathBuf};

use lw_core::Result;

use crate::BAD_STORE_URL;
use crate::encryption::Encryption;

/// The address of the metadata database: `sqlite:///absolute/path.db` or `postgres://user@host/database?sslmode=verify-full`.
#[derive(Clone, PartialEq, Eq)]
pub struct MetadataUrl(Address);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Sqlite(PathBuf),
    Postgres(String),
}

impl MetadataUrl {
    pub fn parse(text: &str) -> Result<Self> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            let path = Path::new(path);
            if path.is_absolute() && path.file_name().is_some() {
                return Ok(Self(Address::Sqlite(path.to_owned())));
            }
        } else if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let (rest, _) = Encryption::split(text)?;
            rest.parse::<postgres::Config>().map_err(|error| bad(text).cause(error))?;
            return Ok(Self(Address::Postgres(text.to_owned())));
        }
        Err(bad(text))
    }

    /// The database file at this absolute path.
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self(Address::Sqlite(path.into()))
    }

    /// The whole address with its password, to hand it to another process. Never log it.
    pub fn with_secrets(&self) -> String {
        match &self.0 {
            Address::Sqlite(path) => format!("sqlite://{}", path.display()),
            Address::Postgres(url) => url.clone(),
        }
    }

    /// The address without its password, as it may be written down. Connecting with it takes the password from the environment.
    pub fn without_password(&self) -> String {
        match &self.0 {
            Address::Sqlite(path) => format!("sqlite://{}", path.display()),
            Address::Postgres(url) => {
                let options = url.split_once('?').map_or("", |(_, options)| options).split('&');
                let kept: Vec<&str> = options.filter(|option| !option.is_empty() && !option.starts_with("password=")).collect();
                let mark = if kept.is_empty() { "" } else { "?" };
                format!("{}{mark}{}", without_secrets(url), kept.join("&"))
            }
        }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.0
    }
}

fn bad(text: &str) -> lw_core::Error {
    BAD_STORE_URL
        .error(format!("`{}` is not the address of a metadata database", without_secrets(text)))
        .hint("write sqlite:///absolute/path/metadata.db or postgres://user:password@host:5432/database")
}

/// The address as it may be shown: passwords and options are left out.
fn without_secrets(url: &str) -> String {
    let shown: String = url.chars().take(200).collect();
    let shown = shown.split_once('?').map_or(shown.as_str(), |(address, _)| address);
    let Some((scheme, rest)) = shown.split_once("://") else { return shown.to_owned() };
    let Some((user, host)) = rest.rsplit_once('@') else { return shown.to_owned() };
    format!("{scheme}://{}@{host}", user.split(':').next().unwrap_or_default())
}

impl fmt::Display for MetadataUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Address::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Address::Postgres(url) => f.write_str(&without_secrets(url)),
        }
    }
}

impl fmt::Debug for MetadataUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_and_hide_their_secrets() {
        let url = MetadataUrl::parse("postgres://ana:hunter2@db:5433/loop?options=-csearch_path%3Dx").unwrap();
        assert_eq!(url.to_string(), "postgres://ana@db:5433/loop");
        assert_eq!(url.without_password(), "postgres://ana@db:5433/loop?options=-csearch_path%3Dx");
        let url = MetadataUrl::parse("postgres://db/loop?user=ana&password=hunter2").unwrap();
        assert_eq!(url.without_password(), "postgres://db/loop?user=ana");
        assert_eq!(MetadataUrl::parse("sqlite:///w/metadata.db").unwrap().to_string(), "sqlite:///w/metadata.db");
        for bad in ["", "metadata.db", "sqlite://relative.db", "sqlite:///", "mysql://host/db", "postgres://h:notaport/db"] {
            assert!(MetadataUrl::parse(bad).unwrap_err().is(BAD_STORE_URL), "{bad}");
        }
    }
}
