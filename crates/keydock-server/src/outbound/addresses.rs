//! Which addresses are out on the open internet, and which are somebody's inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ranges of version 4 that are not the open internet (RFC 6890 and its registry), and what they are.
const INSIDE_V4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::UNSPECIFIED, 8, "this host"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "a carrier's inside"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    // A virtual machine asks its host here for credentials; the range holds all such services but
    // the one below.
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(168, 63, 129, 16), 32, "a cloud's service for its machines"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "of protocols"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "of examples"),
    (Ipv4Addr::new(192, 31, 196, 0), 24, "of protocols"),
    (Ipv4Addr::new(192, 52, 193, 0), 24, "of protocols"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a relay of 6to4"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(192, 175, 48, 0), 24, "of protocols"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "of measurements"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "of examples"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "of examples"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// The one range of version 6 that is handed out. What is outside it is loopback, link-local,
/// unique-local, multicast, or version 4 in another dress: mapped, compatible, or behind a NAT64.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Parts of it that are not the open internet either.
const INSIDE_V6: &[(Ipv6Addr, u32, &str)] = &[
    // Among them Teredo, which holds an address of version 4.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "of protocols"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "of examples"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "version 4 in 6to4"),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48, "of protocols"),
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16, "given back"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "of examples"),
];

/// What an address is, if it is not one of the open internet.
pub(super) fn inside(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => INSIDE_V4
            .iter()
            .find_map(|(net, bits, what)| same_v4(address, *net, *bits).then_some(*what)),
        IpAddr::V6(address) => {
            let (net, bits) = GLOBAL_V6;
            if !same_v6(address, net, bits) {
                return Some("not handed out to the internet");
            }
            INSIDE_V6
                .iter()
                .find_map(|(net, bits, what)| same_v6(address, *net, *bits).then_some(*what))
        }
    }
}

fn same_v4(address: Ipv4Addr, net: Ipv4Addr, bits: u32) -> bool {
    (address.to_bits() ^ net.to_bits()).leading_zeros() >= bits
}

fn same_v6(address: Ipv6Addr, net: Ipv6Addr, bits: u32) -> bool {
    (address.to_bits() ^ net.to_bits()).leading_zeros() >= bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_where_they_end() {
        let is_inside = |text: &str| inside(text.parse().unwrap()).is_some();
        for (within, without) in [
            ("0.255.255.255", "1.0.0.0"),
            ("10.255.255.255", "11.0.0.0"),
            ("100.127.255.255", "100.128.0.0"),
            ("100.64.0.0", "100.63.255.255"),
            ("127.255.255.255", "128.0.0.0"),
            ("169.254.255.255", "169.255.0.0"),
            ("168.63.129.16", "168.63.129.17"),
            ("172.31.255.255", "172.32.0.0"),
            ("192.0.0.255", "192.0.1.0"),
            ("192.168.255.255", "192.169.0.0"),
            ("198.19.255.255", "198.20.0.0"),
            ("224.0.0.0", "223.255.255.255"),
            ("255.255.255.255", "8.8.8.8"),
            ("1fff:ffff::1", "2003::1"),
            ("2001:1ff:ffff::1", "2001:200::1"),
            ("2001:db8:ffff::1", "2001:db9::1"),
            ("2002:ffff::1", "2003::1"),
            ("3fff:fff::1", "3fff:1000::1"),
            ("4000::1", "3fff:1000::1"),
        ] {
            assert!(is_inside(within), "{within}");
            assert!(!is_inside(without), "{without}");
        }
    }
}
