//! The path and query of a request, made of what users wrote.

use url::Url;

/// A route with its parameters. Whatever stands in a name, it stays in its place.
pub struct Address(Url);

impl Address {
    /// A path, part by part: `&["identities", "ana"]` below `/api/v1`.
    pub fn of(parts: &[&str]) -> Self {
        let mut url = Url::parse("http://server/api/v1").expect("a constant address is well formed");
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(parts);
        }
        Self(url)
    }

    /// A path, part by part, below another one: an API of its own.
    pub fn below(root: &str, parts: &[&str]) -> Self {
        let mut url = Url::parse("http://server").expect("a constant address is well formed");
        url.set_path(root);
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(parts);
        }
        Self(url)
    }

    /// A parameter, if there is a value.
    pub fn with(mut self, name: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.0.query_pairs_mut().append_pair(name, &value.to_string());
        }
        self
    }

    pub fn text(&self) -> &str {
        &self.0[url::Position::BeforePath..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_write_stays_in_its_place() {
        let address = Address::of(&["identities", "a/../b c?"]).with("after", Some("x&y=z")).with("limit", None::<u64>);
        assert_eq!(address.text(), "/api/v1/identities/a%2F..%2Fb%20c%3F?after=x%26y%3Dz");
        let file = Address::below("/files", &["a b", "c%2F..", "ä?#.txt"]);
        assert_eq!(file.text(), "/files/a%20b/c%252F../%C3%A4%3F%23.txt");
        assert_eq!(Address::of(&["whoami"]).text(), "/api/v1/whoami");
    }
}
