//! Pages in the places of others.

use iommu_api::{Error, Exchange, ExchangeList, Extent, Operation, Replacement};
use userlib::protocol::Wire;

use super::History;
use crate::intent::Intent;
use crate::layout::{POOLS, WINDOW};
use smmu_model::Check;

impl History<'_> {
    /// Pages of a pool of a task, perhaps beyond its end: the first, its address, and whether all are inside.
    fn pages_of(&mut self, task: usize, pages: u64) -> Option<(u32, u64, u64, bool)> {
        let pools: Vec<_> = POOLS.iter().filter(|pool| pool.0 == task).collect();
        let &&(_, pool, pa, len) = self.chooser.pick(&pools)?;
        let first = self.chooser.below((len / 4096) as usize) as u64;
        Some((pool, first, pa + first * 4096, first + pages <= len / 4096))
    }

    pub(super) fn exchange(&mut self) {
        let Some((device, held)) = self.driver() else {
            return;
        };
        let grants = self.world.borrow().oracle.grants(device).to_vec();
        let Some(&grant) = self.chooser.pick(&grants) else {
            return;
        };
        let mut input = grant.input;
        let mut pages = (grant.bytes / 4096).min(80);
        if self.chooser.once_in(3) {
            let skip = self.chooser.below(pages as usize) as u64;
            input += skip * 4096;
            pages -= skip;
        }
        if self.chooser.once_in(8) {
            // Beyond what is mapped, as a rule.
            pages += 1;
        }
        let Some((pool, first, output, inside)) = self.pages_of(held.owner.index(), pages) else {
            return;
        };
        let (flags, write) = self.flags();
        let words = |head| {
            let exchange = Exchange {
                head,
                extent: Extent {
                    first: first as u32,
                    pages: pages as u32,
                },
                pool: pool as u16,
                flags,
                iova: input,
            };
            exchange.to_words()[..5].to_vec()
        };
        let maps = vec![(output, pages)];
        let intent = Intent::exchange(
            device,
            if inside { maps.clone() } else { Vec::new() },
            write,
            vec![(input, pages * 4096)],
        );
        let Some((code, _)) = self.change((device, held), Operation::Exchange, words, &intent)
        else {
            return;
        };
        self.changed(device, code);
        if code == 0 {
            if !inside || !flags.readable() {
                self.note(Check::Protocol, || {
                    format!("device {device}: page {first} of pool {pool} was exchanged")
                });
            }
            self.counts[2] += 1;
            self.unmapped(device, input, pages);
            self.granted(device, input, &maps, write);
        } else if code == Error::NotMapped as u32 && self.is_granted(device, input, pages) {
            self.note(Check::Protocol, || {
                format!("device {device}: {input:#x} and {pages} pages refused")
            });
        }
    }

    pub(super) fn exchange_list(&mut self) {
        let Some((device, held)) = self.driver() else {
            return;
        };
        let mut grants = self.world.borrow().oracle.grants(device).to_vec();
        self.chooser.shuffle(&mut grants);
        let all = grants.iter().flat_map(|grant| {
            let pages = (grant.bytes / 4096).min(6);
            (0..pages).map(|page| grant.input + page * 4096)
        });
        let mut inputs: Vec<u64> = all.take(1 + self.chooser.below(9)).collect();
        if self.chooser.once_in(3) {
            self.chooser.shuffle(&mut inputs);
        }
        if self.chooser.once_in(6) {
            inputs.push(WINDOW + 500 * 4096);
        }
        let twice = !inputs.is_empty() && self.chooser.once_in(6);
        if twice {
            let again = inputs.first().copied().unwrap_or(WINDOW);
            inputs.push(again);
        }
        let owner = held.owner.index();
        let Some((pool, first, output, _)) = self.pages_of(owner, 1) else {
            return;
        };
        if inputs.is_empty() {
            return;
        }
        let (flags, write) = self.flags();
        // Each the same page, but for the last one.
        let beyond = self.chooser.once_in(8);
        let last = inputs.len() - 1;
        let page = |place| {
            if beyond && place == last {
                first + 5000
            } else {
                first
            }
        };
        let words = |head| {
            let header = ExchangeList {
                head,
                pool: pool as u16,
                flags,
            };
            let mut words = header.to_words().to_vec();
            words.extend(inputs.iter().enumerate().map(|(place, input)| {
                let at = (input / 4096) as u32;
                let page = page(place) as u32;
                Replacement { page, at }.to_word()
            }));
            words
        };
        let runs = inputs.iter().map(|&input| (input, 4096)).collect();
        let intent = Intent::exchange(device, vec![(output, 1)], write, runs);
        let Some((code, _)) = self.change((device, held), Operation::ExchangeList, words, &intent)
        else {
            return;
        };
        self.changed(device, code);
        if code == 0 && (twice || beyond) {
            self.note(Check::Protocol, || {
                format!("device {device}: {inputs:x?} were exchanged")
            });
        }
        if code == 0 {
            for &input in &inputs {
                self.unmapped(device, input, 1);
            }
            for input in inputs {
                self.counts[2] += 1;
                self.granted(device, input, &[(output, 1)], write);
            }
        }
    }
}
