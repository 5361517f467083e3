//! The rows of a check, each printed as soon as it is known.

use super::Finding;
use crate::ctl::exit::Failure;
use crate::ctl::output::print;

/// Without [`Rows::printing`] nothing is printed: programs and tests read the whole.
#[derive(Debug, Default)]
pub(super) struct Rows {
    found: Vec<Finding>,
    prints: bool,
    failure: Option<Failure>,
}

impl Rows {
    pub(super) fn printing(prints: bool) -> Self {
        Self {
            prints,
            ..Self::default()
        }
    }

    pub(super) fn push(&mut self, finding: Finding) {
        if self.prints && self.failure.is_none() {
            self.failure = print(&(finding.line() + "\n")).err();
        }
        self.found.push(finding);
    }

    pub(super) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.push(finding));
    }

    pub(super) fn all(&self) -> &[Finding] {
        &self.found
    }

    /// # Errors
    /// A row could not be printed.
    pub(super) fn into_found(self) -> Result<Vec<Finding>, Failure> {
        self.failure.map_or(Ok(self.found), Err)
    }
}
