//! Sizes of BARs that no text tells but the layout of the machine does.
//!
//! A BAR is a power of two in size and lies at a multiple of it, it ends before the next one begins and
//! inside the window of the bridge above: that is a bound from above. The MSI-X structures in it are one from
//! below. Where the two meet, there is one size it can have.

use std::collections::BTreeMap;

use crate::bar::{Bar, BarKind, SMALLEST};
use crate::function::Function;

/// Fills in the sizes that follow. Functions are in ascending order of address.
pub(crate) fn sizes(functions: &mut [Function]) {
    let all = ends(functions);
    for function in functions {
        let Some(ends) = all.get(&function.address.segment) else {
            continue;
        };
        if !function.config.decodes_memory() {
            continue;
        }
        let lower: Vec<u64> = function
            .bars
            .iter()
            .map(|b| structures(function, b))
            .collect();
        for (bar, lower) in function.bars.iter_mut().zip(lower) {
            if bar.kind == BarKind::Io || bar.address == 0 || bar.size.is_some() {
                continue;
            }
            let next = ends.partition_point(|end| *end <= bar.address);
            let room = ends.get(next).map_or(u64::MAX, |end| end - bar.address);
            let aligned = 1u64 << bar.address.trailing_zeros();
            let most = aligned.min(prev_power_of_two(room));
            let least = lower.max(SMALLEST).checked_next_power_of_two();
            bar.size = least.filter(|least| *least == most);
        }
    }
}

/// The addresses at which something begins that a BAR below it does not reach into, ascending: other
/// BARs, windows of bridges, and addresses just beyond a window. Each segment has addresses of its
/// own.
fn ends(functions: &[Function]) -> BTreeMap<u32, Vec<u64>> {
    let mut all: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for function in functions.iter().filter(|f| f.config.decodes_memory()) {
        let ends = all.entry(function.address.segment).or_default();
        let memory = function
            .bars
            .iter()
            .filter(|b| b.kind != BarKind::Io && b.address != 0);
        ends.extend(memory.map(|bar| bar.address));
        for window in [function.memory_window, function.prefetch_window]
            .into_iter()
            .flatten()
        {
            ends.push(window.base);
            ends.extend(window.limit.checked_add(1));
        }
    }
    all.values_mut().for_each(|ends| ends.sort_unstable());
    all
}

/// Bytes of `bar` that MSI-X table and pending bits need; 0 if they lie elsewhere.
fn structures(function: &Function, bar: &Bar) -> u64 {
    let Some(msix) = function.msix_at else {
        return 0;
    };
    let vectors = u64::from(function.msix);
    [(4, vectors * 16), (8, vectors.div_ceil(64) * 8)]
        .into_iter()
        .map(|(register, len)| {
            let place = function.config.double(msix + register);
            if place & 0b111 == u32::from(bar.index) {
                u64::from(place & !0b111) + len
            } else {
                0
            }
        })
        .max()
        .unwrap_or(0)
}

fn prev_power_of_two(n: u64) -> u64 {
    n.checked_ilog2().map_or(0, |bits| 1 << bits)
}
