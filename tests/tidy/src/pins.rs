//! Python packages: what is asked for is what is locked, with hashes.
//!
//! `folder` is where `requirements.txt` and `requirements.lock` stand.

use crate::Violation;

/// Pins that the lock does not have, and requests that are no pins. Extras such as `moto[server]` are locked without their name.
pub fn check(folder: &str, requirements: &str, lock: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    let wanted = requirements.lines().map(|line| line.split('#').next().unwrap_or("").trim()).filter(|line| !line.is_empty());
    for pin in wanted {
        if !pin.contains("==") {
            found.push(format!("{folder}/requirements.txt: `{pin}` is not pinned; write name==version"));
        }
        let plain = without_extras(pin);
        let is_locked = |line: &str| line.strip_suffix('\\').is_some_and(|line| line.trim().eq_ignore_ascii_case(&plain));
        if !lock.lines().any(is_locked) {
            found.push(format!("{folder}/requirements.lock: `{pin}` is not locked; run scripts/lock-python.sh {folder}"));
        }
    }
    found
}

fn without_extras(pin: &str) -> String {
    match (pin.find('['), pin.find(']')) {
        (Some(open), Some(close)) if open < close => format!("{}{}", &pin[..open], &pin[close + 1..]),
        _ => pin.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "numpy==2.4.6 \\\n    --hash=sha256:00\n    # via scipy\n";

    #[track_caller]
    fn check_one(requirements: &str, want: &[&str]) {
        let found = check("tests", requirements, LOCK);
        assert_eq!(found.len(), want.len(), "{found:?}");
        assert!(found.iter().zip(want).all(|(found, want)| found.contains(want)), "{found:?}");
    }

    #[test]
    fn every_pin_is_locked() {
        check_one("# tests\nNumPy==2.4.6  # arrays\n", &[]);
        check_one("numpy[fast]==2.4.6\n", &[]);
        check_one("numpy==2.4.7\n", &["is not locked"]);
        check_one("numpy\n", &["is not pinned", "is not locked"]);
    }
}
