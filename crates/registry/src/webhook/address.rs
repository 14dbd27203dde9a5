//! Which addresses webhooks may reach: public ones, so that nobody makes the server ask its own network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use lw_core::Result;
use url::{Host, Url};

use super::bad;

/// What deliveries may reach. `PUBLIC` is for servers; `LOOPBACK` is for tests alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    allows_http: bool,
    allows_loopback: bool,
}

impl Reach {
    /// HTTPS to public addresses.
    pub const PUBLIC: Self = Self { allows_http: false, allows_loopback: false };
    /// This machine too, and plain HTTP.
    pub const LOOPBACK: Self = Self { allows_http: true, allows_loopback: true };

    /// Whether an address may be connected to.
    pub fn allows(self, address: IpAddr) -> bool {
        is_public(address) || (self.allows_loopback && embedded(address).is_loopback())
    }

    fn schemes(self) -> &'static [&'static str] {
        if self.allows_http { &["https", "http"] } else { &["https"] }
    }

    /// Checks a URL that somebody gives. A host that cannot be looked up now passes: each delivery looks again, and connects to
    /// nothing but what it found.
    pub(super) fn check(self, text: &str) -> Result<()> {
        if text.trim().is_empty() {
            return Err(bad(format!("Webhook URL cannot be empty or just whitespace: '{text}'")));
        }
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
        if !self.schemes().contains(&scheme.as_str()) {
            let allowed = self.schemes().join(", ");
            return Err(bad(format!("Invalid webhook URL scheme: '{scheme}'. Allowed schemes are: {allowed}.")));
        }
        let url = Url::parse(text).map_err(|error| match error {
            url::ParseError::EmptyHost => bad(format!("Webhook URL must include a hostname: '{text}'")),
            error => bad(format!("Invalid webhook URL '{text}': {error}")),
        })?;
        let port = url.port_or_known_default().unwrap_or(443);
        let (host, addresses): (String, Vec<IpAddr>) = match url.host() {
            None => return Err(bad(format!("Webhook URL must include a hostname: '{text}'"))),
            Some(Host::Ipv4(address)) => (address.to_string(), vec![address.into()]),
            Some(Host::Ipv6(address)) => (address.to_string(), vec![address.into()]),
            Some(Host::Domain(name)) => {
                let found = (name, port).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect());
                (name.to_owned(), found.unwrap_or_default())
            }
        };
        match addresses.into_iter().find(|address| !self.allows(*address)) {
            Some(address) => {
                Err(bad(format!("Webhook URL must not resolve to a non-public IP address. '{host}' resolves to {address}.")))
            }
            None => Ok(()),
        }
    }
}

/// The IPv4 address that an IPv6 address carries (RFC 4291 §2.5.5.2, RFC 3056, RFC 6052), so that none hides in it.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let [a, b, c, d, e, f, g, h] = six.segments();
    let four = |high: u16, low: u16| {
        let ([p, q], [r, s]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(p, q, r, s))
    };
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => four(g, h),
        (0x2002, high, low, ..) => four(high, low),
        _ => address,
    }
}

/// Whether an address is for the whole internet, by the registries of RFC 6890.
fn is_public(address: IpAddr) -> bool {
    match embedded(address) {
        IpAddr::V4(four) => is_public_v4(four),
        IpAddr::V6(six) => is_public_v6(six),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b));
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Global unicast is 2000::/3; 2001::/23 is for protocols, 2001:db8::/32 and 3fff::/20 for documents.
    let is_global = (a & 0xe000) == 0x2000;
    is_global && !(a == 0x2001 && (b < 0x200 || b == 0xdb8)) && !(a == 0x3fff && b < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_reached() {
        for public in ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"] {
            assert!(Reach::PUBLIC.allows(public.parse().unwrap()), "{public}");
        }
        let private = [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2001:db8::1",
        ];
        for address in private {
            assert!(!Reach::PUBLIC.allows(address.parse().unwrap()), "{address}");
        }
        assert!(Reach::LOOPBACK.allows("127.0.0.1".parse().unwrap()));
        assert!(!Reach::LOOPBACK.allows("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn urls_are_refused_in_mlflows_words() {
        let check = |url: &str, want: &str| assert_eq!(Reach::PUBLIC.check(url).unwrap_err().message(), want);
        check("  ", "Webhook URL cannot be empty or just whitespace: '  '");
        check("http://example.com", "Invalid webhook URL scheme: 'http'. Allowed schemes are: https.");
        check("nonsense", "Invalid webhook URL scheme: ''. Allowed schemes are: https.");
        check("https://", "Webhook URL must include a hostname: 'https://'");
        check(
            "https://127.0.0.1/x",
            "Webhook URL must not resolve to a non-public IP address. '127.0.0.1' resolves to 127.0.0.1.",
        );
        assert!(Reach::PUBLIC.check("https://0x7f.1/").is_err());
        assert!(Reach::PUBLIC.check("https://93.184.216.34/hook").is_ok());
        assert!(Reach::LOOPBACK.check("http://127.0.0.1:9/hook").is_ok());
    }
}
