//! How many connections each source address has at a port.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts by source address, of those that have connections. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A counted connection, as long as it lives.
#[derive(Debug)]
pub(super) struct Counted {
    addresses: Addresses,
    source: IpAddr,
}

impl Addresses {
    /// Counts a connection of `address`; none if it has `limit` already.
    pub(super) fn count(&self, address: IpAddr, limit: Option<usize>) -> Option<Counted> {
        let source = source(address);
        let mut counts = self.counts();
        let count = counts.entry(source).or_default();
        if limit.is_some_and(|limit| *count >= limit) {
            return None;
        }
        *count += 1;
        Some(Counted {
            addresses: self.clone(),
            source,
        })
    }

    /// A number has no state in between that a panic could leave broken.
    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.addresses.counts();
        if let Some(count) = counts.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.source);
            }
        }
    }
}

/// Whose connection it is: an IPv6 host has its whole /64.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            Ipv6Addr::from_bits(network).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_number_and_others_have_theirs() {
        let addresses = Addresses::default();
        let one: IpAddr = [10, 0, 0, 1].into();
        let first = addresses.count(one, Some(2));
        let second = addresses.count(one, Some(2));
        assert!(first.is_some() && second.is_some());
        assert!(addresses.count(one, Some(2)).is_none());
        assert!(addresses.count([10, 0, 0, 2].into(), Some(2)).is_some());
        drop(first);
        assert!(addresses.count(one, Some(2)).is_some());
        drop(second);
        assert!(addresses.counts().is_empty(), "nothing stays behind");
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        let addresses = Addresses::default();
        let held = addresses.count("2001:db8::1".parse().unwrap(), Some(1));
        assert!(held.is_some());
        assert!(
            addresses
                .count("2001:db8::2".parse().unwrap(), Some(1))
                .is_none()
        );
        assert!(
            addresses
                .count("2001:db8:0:1::2".parse().unwrap(), Some(1))
                .is_some()
        );
    }
}
