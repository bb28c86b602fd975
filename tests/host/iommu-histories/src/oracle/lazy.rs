//! What was unmapped in lazy domains, and may be reached until the next flush.

use super::{Grant, Oracle, Parted};
use crate::layout::LAZY_MS;

impl Oracle {
    fn domain_of(&self, device: usize) -> u32 {
        let planned = self.machine.device(device);
        planned.map_or(plan::NONE, |planned| planned.domain)
    }

    pub(super) fn lazy_of(&mut self, device: usize) -> Option<&mut Vec<Parted>> {
        let domain = self.domain_of(device) as usize;
        self.lazy.get_mut(domain)
    }

    /// The server unmapped a run of input addresses in a lazy domain. It may be reached until the next flush; no more
    /// of the domain than the plan says may, and so the oldest must have been flushed by now.
    pub fn part_lazily(&mut self, device: usize, input: u64, bytes: u64, at: u64) {
        let most = self.machine.lazy(self.domain_of(device)) as usize;
        let pages: Vec<Grant> = (0..bytes)
            .step_by(4096)
            .filter_map(|offset| self.page_at(device, input + offset))
            .collect();
        self.revoke(device, input, bytes);
        let Some(lazy) = self.lazy_of(device) else {
            return;
        };
        lazy.extend(pages.into_iter().map(|page| Parted { device, page, at }));
        let old = lazy.len().saturating_sub(most);
        lazy.drain(..old);
    }

    /// A successor has made the SMMU forget everything.
    pub fn flush_all(&mut self) {
        self.lazy.fill(Vec::new());
    }

    /// Everything of a device's domain was flushed.
    pub fn flush(&mut self, device: usize) {
        if let Some(lazy) = self.lazy_of(device) {
            lazy.clear();
        }
    }

    /// The server gave input addresses away: what was unmapped there must have been flushed, and so
    /// all that was unmapped before it in the domain.
    pub(super) fn flush_under(&mut self, device: usize, grant: &Grant) {
        let lies = |parted: &Parted| {
            let input = parted.page.input;
            (grant.input..grant.input + grant.bytes).contains(&input)
        };
        if let Some(lazy) = self.lazy_of(device)
            && let Some(last) = lazy.iter().rposition(lies)
        {
            lazy.drain(..=last);
        }
    }

    /// The server was told that it is `now`: what was unmapped too long ago must have been flushed.
    pub fn expire(&mut self, now: u64) {
        for lazy in &mut self.lazy {
            lazy.retain(|parted| parted.at + LAZY_MS * 1000 > now);
        }
    }

    /// Whether something in a domain may wait for a flush.
    #[must_use]
    pub fn is_lazy_now(&self, domain: usize) -> bool {
        self.lazy.get(domain).is_some_and(|lazy| !lazy.is_empty())
    }

    /// Bytes unmapped for a device that may wait for a flush.
    #[must_use]
    pub fn bytes_that_wait(&self, device: usize) -> u64 {
        let all = self.lazy.iter().flatten();
        let own = all.filter(|parted| parted.device == device);
        own.map(|parted| parted.page.bytes).sum()
    }

    /// Whether memory of a device may wait for a flush.
    #[must_use]
    pub fn waits_for_flush(&self, device: usize, output: u64, bytes: u64) -> bool {
        let mut all = self.lazy.iter().flatten();
        all.any(|parted| {
            let page = parted.page;
            parted.device == device
                && page.output < output + bytes
                && output < page.output + page.bytes
        })
    }
}
