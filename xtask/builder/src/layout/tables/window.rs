//! The part of physical memory that the kernel's window shows.

use vmsa::Permissions;

use crate::layout::place::{Extent, KernelLayout, Placement};

/// A piece of the window.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// The memory.
    pub extent: Extent,
    /// The kernel's rights there.
    pub permissions: Permissions,
}

/// What a kernel's window shows, in the order of the addresses.
pub fn of_kernel(placement: &Placement, kernel: &KernelLayout) -> Vec<Piece> {
    let (read_only, hidden) = (&placement.read_only, &placement.hidden);
    let window = kernel.window.iter();
    window
        .flat_map(|extent| pieces(read_only, hidden, *extent))
        .collect()
}

/// An extent in pieces, in the order of their addresses: what is read-only anywhere is read-only here too, or W^X
/// would hold in name only; what is hidden is left out.
fn pieces(read_only: &[Extent], hidden: &[Extent], extent: Extent) -> Vec<Piece> {
    let (base, end) = (extent.pa, extent.end());
    let read_only = read_only.iter().map(|of| (*of, Some(Permissions::Read)));
    let hidden = hidden.iter().map(|of| (*of, None));
    let mut special: Vec<(Extent, Option<Permissions>)> = read_only.chain(hidden).collect();
    special.sort_by_key(|(extent, _)| extent.pa);
    let mut pieces = Vec::new();
    let mut add = |pa: u64, end: u64, permissions| {
        if let Some(len) = end.checked_sub(pa).filter(|len| *len > 0) {
            let extent = Extent { pa, len };
            pieces.push(Piece {
                extent,
                permissions,
            });
        }
    };
    let mut at = base;
    for (extent, permissions) in special {
        add(at, extent.pa.min(end), Permissions::ReadWrite);
        if let Some(permissions) = permissions {
            add(extent.pa.max(at), extent.end().min(end), permissions);
        }
        at = at.max(extent.end());
    }
    add(at, end, Permissions::ReadWrite);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(read_only: &[(u64, u64)], hidden: &[(u64, u64)]) -> Vec<(u64, u64, bool)> {
        let extent = |&(pa, len): &(u64, u64)| Extent { pa, len };
        let extents = |of: &[(u64, u64)]| of.iter().map(extent).collect::<Vec<_>>();
        let memory = extent(&(0x1000, 0x8000));
        pieces(&extents(read_only), &extents(hidden), memory)
            .into_iter()
            .map(|piece| {
                let writable = piece.permissions == Permissions::ReadWrite;
                (piece.extent.pa, piece.extent.end(), writable)
            })
            .collect()
    }

    #[test]
    fn what_is_hidden_is_in_no_piece() {
        let pieces = shown(&[(0x2000, 0x1000)], &[(0x3000, 0x1000), (0x5000, 0x1000)]);
        let expected = [
            (0x1000, 0x2000, true),
            (0x2000, 0x3000, false),
            (0x4000, 0x5000, true),
            (0x6000, 0x9000, true),
        ];
        assert_eq!(pieces, expected);
    }

    #[test]
    fn edges_of_memory() {
        assert_eq!(shown(&[], &[]), [(0x1000, 0x9000, true)]);
        let pieces = shown(&[(0x1000, 0x1000)], &[(0x8000, 0x1000)]);
        assert_eq!(pieces, [(0x1000, 0x2000, false), (0x2000, 0x8000, true)]);
        // Firmware's memory may begin below what is ours, or end beyond it.
        let pieces = shown(&[], &[(0, 0x2000), (0x8000, 0x4000)]);
        assert_eq!(pieces, [(0x2000, 0x8000, true)]);
    }

    #[test]
    fn hidden_memory_may_overlap() {
        let pieces = shown(&[], &[(0x2000, 0x4000), (0x3000, 0x1000)]);
        assert_eq!(pieces, [(0x1000, 0x2000, true), (0x6000, 0x9000, true)]);
    }
}
