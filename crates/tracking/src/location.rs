//! Where artifacts may be.

use lw_core::Result;

use crate::BAD_ARTIFACT_LOCATION;
use crate::key::shown;

const MAX_CHARS: usize = 2048;

/// Schemes that name a host to which the server would have to speak for a client.
const FOREIGN: [&str; 6] = ["http", "https", "ftp", "sftp", "hdfs", "viewfs"];

/// Checks where an experiment's artifacts shall be. Clients write to object stores themselves.
pub(crate) fn check(location: &str) -> Result<()> {
    let refused = |message: String| {
        Err(BAD_ARTIFACT_LOCATION.error(message).hint("leave the location out, or name a folder of an object store"))
    };
    let (path, query) = location.split_once('?').unwrap_or((location, ""));
    if location.contains('#') || path.rsplit('/').next().is_some_and(|last| last.contains(';')) {
        return refused("'artifact_location' URL can't include fragments or params.".to_owned());
    }
    if query.contains("..") || query.to_ascii_lowercase().contains("%2e%2e") {
        return refused(format!("Invalid query string: {}", shown(query)));
    }
    let scheme = location.split_once(':').map_or("", |(scheme, _)| scheme);
    if let Some(scheme) = FOREIGN.iter().find(|foreign| scheme.eq_ignore_ascii_case(foreign)) {
        return refused(format!(
            "'artifact_location' cannot use the '{scheme}' scheme: the '{scheme}' scheme addresses a host other than the tracking \
             server's configured artifact storage, so the server would connect to the host named in the URI."
        ));
    }
    if location.starts_with("runs:") {
        return refused(format!("Artifact location cannot be a runs:/ URI. Given: '{}'", shown(location)));
    }
    if location.chars().count() > MAX_CHARS {
        return refused(format!(
            "Invalid artifact path length. The length of the artifact path cannot be greater than {MAX_CHARS} characters."
        ));
    }
    Ok(())
}

/// A folder below another one. What follows a `?` stays behind the path.
pub(crate) fn below(root: &str, parts: &[&str]) -> String {
    let (path, query) = root.split_once('?').map_or((root, None), |(path, query)| (path, Some(query)));
    let mut location = path.trim_end_matches('/').to_owned();
    for part in parts {
        location.push('/');
        location.push_str(part);
    }
    if let Some(query) = query {
        location.push('?');
        location.push_str(query);
    }
    location
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_lie_below_their_root() {
        assert_eq!(below("mlflow-artifacts:/7", &["abc", "artifacts"]), "mlflow-artifacts:/7/abc/artifacts");
        assert_eq!(below("s3://b/f/?version=1", &["abc"]), "s3://b/f/abc?version=1");
        assert_eq!(below("mlflow-artifacts:/", &["abc"]), "mlflow-artifacts:/abc");
    }

    #[test]
    fn foreign_hosts_and_tricks_are_refused() {
        for good in ["s3://b/k", "mlflow-artifacts:/x", "/srv/files", "file:///srv", "gs://b", "dbfs:/x", "wasbs://c@a/x?v=1"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["http://x/y", "HTTPS://x", "s3://b/k#f", "s3://b/k;p", "s3://b/k?x=..", "runs:/a/b", &"s".repeat(2049)] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
