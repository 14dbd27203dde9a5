//! IPv4 and IPv6 addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

pub(super) fn is_ip_address(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok() || text.parse::<Ipv6Addr>().is_ok()
}
