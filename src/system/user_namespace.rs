//! The user namespace of this process.
//!
//! A bus takes our uid as we tell it, and compares it with the one outside of our namespace.

use std::fs;

/// A clause for an error about a bus that refuses us: empty, unless our uid is another one outside.
pub(crate) fn why_a_bus_refuses() -> String {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let uid = rustix::process::geteuid().as_raw();
    match outside(&map, uid) {
        Some(outside) if outside != uid => format!(
            "; this process is in a user namespace, and its uid {uid} is uid {outside} to the bus: run it outside, or where its \
             uid is mapped to itself"
        ),
        Some(_) | None => String::new(),
    }
}

/// The uid that this one is in the namespace around ours, by `user_namespaces(7)`.
fn outside(map: &str, uid: u32) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let mut next = || numbers.next()?.ok();
        let (inside, outside, length) = (next()?, next()?, next()?);
        let offset = uid.checked_sub(inside)?;
        (offset < length).then(|| outside.checked_add(offset))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_found_in_the_line_that_maps_it() {
        let host = "         0          0 4294967295\n";
        assert_eq!(outside(host, 1000), Some(1000));
        let rootless = "         0       1000          1\n         1     100000      65536\n";
        assert_eq!(outside(rootless, 0), Some(1000));
        assert_eq!(outside(rootless, 3), Some(100_002));
        assert_eq!(outside(rootless, 70_000), None, "it has none");
        assert_eq!(outside("", 0), None);
    }
}
