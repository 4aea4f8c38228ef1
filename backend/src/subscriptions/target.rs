//! Where webhooks may be sent: to public hosts over https, and in development to this machine over
//! http. Pure.
//!
//! The URL is checked when a subscription is created and again before each delivery; a host's
//! addresses are checked when it is resolved, and the connection is made to one of the checked
//! addresses.
//!
//! Source: Durable Streams protocol, sections 6.2 and 12.8; the IANA special-purpose address
//! registries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// Maximum URL, in bytes.
const BYTES_MAX: usize = 2048;

/// Why a webhook's URL is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookUrlError {
    /// It is not a URL.
    #[error("webhook.url is not a URL: {0}")]
    NotUrl(String),
    /// It is too long.
    #[error("webhook.url has {received} bytes, the limit is {limit}")]
    TooLong {
        /// Bytes received.
        received: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Neither https nor the development exception.
    #[error(
        "webhook.url has the scheme `{0}`: expected https, or http to localhost or 127.0.0.x in development"
    )]
    Scheme(String),
    /// A user name or password before the host.
    #[error("webhook.url has a user name or password, expected https://host/path")]
    UserInfo,
    /// A fragment, which requests do not carry.
    #[error("webhook.url has a fragment (#...), expected none")]
    Fragment,
    /// An address that is not public.
    #[error("webhook.url resolves to {0}, which is not a public address")]
    NotPublic(IpAddr),
    /// A name of this machine or of a local network.
    #[error("webhook.url has the local host `{0}`, expected a public one")]
    LocalName(String),
    /// Http to this machine, where that is not allowed.
    #[error("webhook.url points to this machine, which requires --webhook-allow-local")]
    LocalOff,
}

/// Parses a URL and checks it, without resolving its host.
///
/// - `allow_local`: allow http to `localhost` and 127.0.0.0/8.
///
/// # Errors
/// All of [`WebhookUrlError`] (400).
pub fn check(text: &str, allow_local: bool) -> Result<Url, WebhookUrlError> {
    if text.len() > BYTES_MAX {
        return Err(WebhookUrlError::TooLong {
            received: text.len(),
            limit: BYTES_MAX,
        });
    }
    let url = Url::parse(text).map_err(|error| WebhookUrlError::NotUrl(error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(WebhookUrlError::UserInfo);
    }
    if url.fragment().is_some() {
        return Err(WebhookUrlError::Fragment);
    }
    let host = url
        .host()
        .ok_or_else(|| WebhookUrlError::NotUrl("it has no host".to_owned()))?;
    match (url.scheme(), host) {
        ("http", host) if is_development(&host) => {
            if allow_local {
                Ok(url)
            } else {
                Err(WebhookUrlError::LocalOff)
            }
        }
        ("https", Host::Ipv4(ip)) => public(IpAddr::V4(ip)).map(|()| url),
        ("https", Host::Ipv6(ip)) => public(IpAddr::V6(ip)).map(|()| url),
        ("https", Host::Domain(name)) if is_local_name(name) => {
            Err(WebhookUrlError::LocalName(name.to_owned()))
        }
        ("https", Host::Domain(_)) => Ok(url),
        (scheme, _) => Err(WebhookUrlError::Scheme(scheme.to_owned())),
    }
}

/// Checks the resolved addresses of a host.
///
/// - `allow_local`: require that `localhost` resolves to this machine, and allow that.
///
/// # Errors
/// [`WebhookUrlError::NotPublic`] when any of them is not allowed; [`WebhookUrlError::NotUrl`] when
/// there is none.
pub fn check_addresses(
    name: &str,
    addresses: &[IpAddr],
    allow_local: bool,
) -> Result<(), WebhookUrlError> {
    if addresses.is_empty() {
        return Err(WebhookUrlError::NotUrl(format!("`{name}` has no address")));
    }
    let local = allow_local && name.eq_ignore_ascii_case("localhost");
    addresses.iter().try_for_each(|ip| match ip {
        ip if local && ip.is_loopback() => Ok(()),
        ip if local => Err(WebhookUrlError::NotPublic(*ip)),
        ip => public(*ip),
    })
}

/// Whether plain http is allowed in development: exactly `localhost` or 127.0.0.0/8.
fn is_development(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(_) => false,
    }
}

/// Whether a name is local: a single label, or one with a suffix reserved for local use.
fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    name.ends_with(".home.arpa")
        || ending.is_none_or(|ending| {
            ["localhost", "local", "internal", "lan", "localdomain"].contains(&ending)
        })
}

fn public(ip: IpAddr) -> Result<(), WebhookUrlError> {
    let is_public = match ip {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    };
    if is_public {
        Ok(())
    } else {
        Err(WebhookUrlError::NotPublic(ip))
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = match (a, b, c) {
        // This network, private, loopback, multicast, reserved, broadcast.
        (0 | 10 | 127 | 224..=255, ..) => true,
        // Carrier-grade NAT; link-local with cloud metadata; private; benchmarks.
        (100, 64..=127, _)
        | (169, 254, _)
        | (172, 16..=31, _)
        | (192, 168, _)
        | (198, 18..=19, _) => true,
        // Protocol assignments, documentation, 6to4 relays.
        (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) | (192, 88, 99) => true,
        _ => false,
    };
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = ip.segments() {
        // NAT64: the embedded address is checked.
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    // Global unicast only; that excludes loopback, unspecified, IPv4-mapped, ULA, link-local,
    // site-local and multicast.
    let is_global = first & 0xe000 == 0x2000;
    // Protocol assignments with Teredo (2001::/23), documentation, 6to4 (embeds an IPv4 address).
    let special = (first == 0x2001 && (second < 0x200 || second == 0xdb8))
        || first == 0x2002
        || (first == 0x3fff && second < 0x1000);
    is_global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    /// URLs that are, or could be taken for, anything but a public host over https.
    const LOCAL: [&str; 65] = [
        "http://10.0.0.1/hook",
        "http://worker.example/hook",
        "http://localhost./",
        "http://[::1]/",
        "http://0.0.0.0/",
        "http://[::ffff:127.0.0.1]/",
        "http://localhost@worker.example/",
        "http://worker.example#@localhost/",
        "https://localhost/",
        "https://localhost./",
        "https://foo.localhost/",
        "https://intranet/",
        "https://metadata.google.internal/",
        "https://printer.local./",
        "https://router.home.arpa/",
        "https://0.0.0.0/",
        "https://0/",
        "https://10.0.0.1/",
        "https://10.0.0.1./",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://017700000001/",
        "https://0251.0376.0251.0376/",
        "https://3232235777/",
        "https://１２７.0.0.1/",
        "https://172.16.0.1/",
        "https://172.31.255.255/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://100.127.255.255/",
        "https://192.0.0.192/",
        "https://198.18.0.1/",
        "https://203.0.113.1/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://[::]/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[::ffff:8.8.8.8]/",
        "https://[::7f00:1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[64:ff9b:1::1]/",
        "https://[fc00::1]/",
        "https://[fdff::1]/",
        "https://[fe80::1]/",
        "https://[fec0::1]/",
        "https://[ff02::1]/",
        "https://[100::1]/",
        "https://[2001::1]/",
        "https://[2001:db8::1]/",
        "https://[2002:a00:1::]/",
        "https://user:pass@worker.example/",
        "https://worker.example@10.0.0.1/",
        "https://user@worker.example/",
        "https://worker.example/#part",
        "ftp://worker.example/",
        "file:///etc/passwd",
        "gopher://worker.example/",
        "//worker.example/",
        "worker.example",
        "",
        "https://",
    ];

    #[test]
    fn webhooks_to_public_hosts_over_https_are_allowed() {
        for yes in [
            "https://worker.example/hooks",
            "https://worker.example:8443/hooks?token=1",
            "https://worker.example./hooks",
            "https://93.184.216.34/",
            "https://[2606:2800:220:1:248:1893:25c8:1946]/",
            "https://[64:ff9b::5db8:d822]/",
            "https://bücher.example/",
        ] {
            assert!(check(yes, false).is_ok(), "{yes}: {:?}", check(yes, false));
        }
    }

    #[test]
    fn http_to_this_machine_needs_the_development_flag() {
        for url in [
            "http://localhost:9000/hook",
            "http://LOCALHOST/",
            "http://127.0.0.1:1/",
            "http://127.0.0.9/",
        ] {
            assert!(check(url, true).is_ok(), "{url}");
            assert_eq!(check(url, false), Err(WebhookUrlError::LocalOff), "{url}");
        }
    }

    #[test]
    fn local_addresses_are_refused_in_every_notation() {
        for no in LOCAL {
            assert!(check(no, true).is_err(), "{no}");
        }
        let long = format!("https://worker.example/{}", "a".repeat(2048));
        assert!(matches!(
            check(&long, true),
            Err(WebhookUrlError::TooLong { .. })
        ));
    }

    #[test]
    fn one_local_address_among_public_ones_is_refused() {
        let ips = |list: &[&str]| {
            list.iter()
                .map(|ip| ip.parse().unwrap())
                .collect::<Vec<IpAddr>>()
        };
        let check = |name, list: &[&str], local| check_addresses(name, &ips(list), local);
        assert!(
            check(
                "worker.example",
                &["93.184.216.34", "2606:2800:220:1::1"],
                false
            )
            .is_ok()
        );
        assert!(check("worker.example", &["93.184.216.34", "127.0.0.1"], true).is_err());
        assert!(check("worker.example", &["::ffff:93.184.216.34"], true).is_err());
        assert!(check("worker.example", &[], true).is_err());
        assert!(check("localhost", &["127.0.0.1", "::1"], true).is_ok());
        assert!(check("localhost", &["127.0.0.1"], false).is_err());
        assert!(check("localhost", &["93.184.216.34"], true).is_err());
    }
}
