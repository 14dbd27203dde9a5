//! Who can reach the server, and what protects it: tokens, and the names by which a browser may call it.

use std::net::SocketAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};
use lw_core::{Error, Result};

use crate::failures::{EXPOSED_WITHOUT_AUTHENTICATION, FOREIGN_HOST, FOREIGN_ORIGIN};

/// Whether callers must show the workspace's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    Token,
    /// Anyone who reaches the server may do anything. Only on a loopback address.
    None,
}

/// Refuses an address that other machines reach if there is no authentication.
pub fn check_exposure(address: SocketAddr, authentication: Authentication) -> Result<()> {
    if address.ip().is_loopback() || authentication == Authentication::Token {
        return Ok(());
    }
    Err(EXPOSED_WITHOUT_AUTHENTICATION
        .error(format!("{address} can be reached from other machines, and authentication is off"))
        .hint("listen on 127.0.0.1, or leave --no-auth away: clients then send the token of the workspace"))
}

/// Checks the names that a request came in by.
///
/// A page of another site can point its own name at 127.0.0.1 (DNS rebinding) or call us from a browser. So on a loopback
/// address the `Host` must be a name of this machine, and an `Origin` must be the server itself everywhere.
pub fn check_names(headers: &HeaderMap, uri: &Uri, is_loopback: bool) -> Result<()> {
    let host = match headers.get(HOST).map(|host| host.to_str()) {
        Some(Ok(host)) => host,
        Some(Err(_)) => return Err(foreign_host("?")),
        None => uri.authority().map(|authority| authority.as_str()).ok_or_else(|| foreign_host("none"))?,
    };
    if is_loopback && !is_own_name(hostname(host)) {
        return Err(foreign_host(host));
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or("?");
    let site = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    if site == Some(host) {
        return Ok(());
    }
    let shown: String = origin.chars().take(80).collect();
    Err(FOREIGN_ORIGIN
        .error(format!("the page at `{shown}` may not use this server"))
        .hint("call the API from a program, or from a page that this server itself delivers"))
}

/// The host without its port.
fn hostname(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(host, |(address, _)| address),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

fn is_own_name(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn foreign_host(host: &str) -> Error {
    let shown: String = host.chars().take(80).collect();
    FOREIGN_HOST
        .error(format!("this server is not `{shown}`"))
        .hint("it listens on this machine only; call it as localhost or 127.0.0.1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &str, origin: Option<&str>, is_loopback: bool, want: Option<&str>) {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        let found = check_names(&headers, &Uri::from_static("/"), is_loopback).err().map(|error| error.code());
        assert_eq!(found, want, "{host} {origin:?}");
    }

    #[test]
    fn only_this_machines_names_are_answered_on_loopback() {
        for host in ["localhost", "LOCALHOST:8760", "127.0.0.1:8760", "127.0.0.2", "[::1]:8760"] {
            check(host, None, true, None);
        }
        for host in ["evil.com", "evil.com:8760", "localhost.evil.com", "127.0.0.1.evil.com", "10.0.0.1", "[::2]:1", ""] {
            check(host, None, true, Some("foreign-host"));
        }
        check("models.example.org", None, false, None);
    }

    #[test]
    fn only_our_own_pages_may_call() {
        check("localhost:8760", Some("http://localhost:8760"), true, None);
        for origin in ["null", "http://evil.com", "http://localhost:8760.evil.com", "http://localhost:1", "file://localhost:8760"]
        {
            check("localhost:8760", Some(origin), true, Some("foreign-origin"));
            check("localhost:8760", Some(origin), false, Some("foreign-origin"));
        }
    }

    #[test]
    fn nobody_listens_to_the_world_without_authentication() {
        let address = |text: &str| text.parse().unwrap();
        check_exposure(address("127.0.0.1:1"), Authentication::None).unwrap();
        check_exposure(address("[::1]:1"), Authentication::None).unwrap();
        check_exposure(address("0.0.0.0:1"), Authentication::Token).unwrap();
        for open in ["0.0.0.0:1", "10.1.2.3:1", "[::]:1"] {
            let error = check_exposure(address(open), Authentication::None).unwrap_err();
            assert!(error.is(EXPOSED_WITHOUT_AUTHENTICATION) && error.hint_text().is_some());
        }
    }
}
