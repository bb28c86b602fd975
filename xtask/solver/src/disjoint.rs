//! Disjoint sets.

/// Sets of the numbers below a bound, joined pair by pair.
pub(crate) struct Disjoint {
    parent: Vec<u32>,
    size: Vec<u32>,
}

impl Disjoint {
    /// `len` sets of one.
    pub fn new(len: usize) -> Self {
        let bound = u32::try_from(len).expect("fewer than 2^32 nodes");
        Self {
            parent: (0..bound).collect(),
            size: vec![1; len],
        }
    }

    /// The representative of the set `item` is in.
    pub fn find(&mut self, item: usize) -> usize {
        let mut at = item;
        while self.parent[at] as usize != at {
            let above = self.parent[at] as usize;
            // Halving the path keeps later searches short without a second pass.
            self.parent[at] = self.parent[above];
            at = above;
        }
        at
    }

    /// Joins the sets of `a` and `b`; false if they were one already.
    pub fn join(&mut self, a: usize, b: usize) -> bool {
        let (mut a, mut b) = (self.find(a), self.find(b));
        if a == b {
            return false;
        }
        if self.size[a] < self.size[b] {
            core::mem::swap(&mut a, &mut b);
        }
        self.parent[b] = a as u32;
        self.size[a] += self.size[b];
        true
    }

    /// The sets, each in the order of `order`, sorted by first member in that order, and the number of
    /// each item's set.
    pub fn sets(&mut self, order: &[usize]) -> (Vec<Vec<usize>>, Vec<usize>) {
        let mut number = vec![usize::MAX; self.parent.len()];
        let mut of_root = vec![usize::MAX; self.parent.len()];
        let mut sets: Vec<Vec<usize>> = Vec::new();
        for &item in order {
            let root = self.find(item);
            if of_root[root] == usize::MAX {
                of_root[root] = sets.len();
                sets.push(Vec::new());
            }
            number[item] = of_root[root];
            sets[of_root[root]].push(item);
        }
        (sets, number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_follow_the_order_asked_for() {
        let mut sets = Disjoint::new(5);
        assert!(sets.join(0, 4));
        assert!(sets.join(3, 1));
        assert!(!sets.join(4, 0));
        let (list, number) = sets.sets(&[2, 4, 3, 0, 1]);
        assert_eq!(list, [vec![2], vec![4, 0], vec![3, 1]]);
        assert_eq!(number, [1, 2, 0, 2, 1]);
    }
}
