use crate::{Geometry, LabelMap};

/// Which voxels touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Connectivity {
    /// The 6 that share a face.
    Six,
    /// The 26 that share a face, an edge or a corner.
    TwentySix,
}

/// The connected components of a mask, largest first.
///
/// Components of equal size are ordered by their first voxel in `[D, H, W]` order, so the numbering is
/// a property of the mask alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Components {
    geometry: Geometry,
    voxels: Vec<u32>,
    sizes: Vec<usize>,
}

impl LabelMap {
    /// The connected components of the voxels that carry one of `labels`; voxels of different labels
    /// touch too. No components for an empty mask.
    pub fn components(&self, labels: &[u8], connectivity: Connectivity) -> Components {
        Components::of(self.geometry(), &self.mask(labels), connectivity)
    }
}

impl Components {
    fn of(geometry: &Geometry, mask: &[bool], connectivity: Connectivity) -> Self {
        let (provisional, mut parents) = first_pass(geometry.shape(), mask, connectivity);
        // A root is the smallest label of its component: by then every parent is final.
        let mut sizes_by_root = vec![0usize; parents.len()];
        let mut voxels = provisional;
        for label in voxels.iter_mut().filter(|label| **label > 0) {
            *label = find(&mut parents, *label);
            sizes_by_root[*label as usize] += 1;
        }
        let mut roots: Vec<u32> =
            (1..parents.len() as u32).filter(|root| sizes_by_root[*root as usize] > 0).collect();
        // Roots are numbered by first voxel and the sort is stable.
        roots.sort_by_key(|root| std::cmp::Reverse(sizes_by_root[*root as usize]));
        let sizes = roots.iter().map(|root| sizes_by_root[*root as usize]).collect();
        let mut rank = vec![0; parents.len()];
        for (place, root) in roots.iter().enumerate() {
            rank[*root as usize] = place as u32 + 1;
        }
        for label in &mut voxels {
            *label = rank[*label as usize];
        }
        Self { geometry: *geometry, voxels, sizes }
    }

    /// The grid.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The component of each voxel (`[D, H, W]`): 1 is the largest, 0 is outside the mask.
    pub fn voxels(&self) -> &[u32] {
        &self.voxels
    }

    /// How many components there are.
    pub fn n_components(&self) -> usize {
        self.sizes.len()
    }

    /// Voxels a component, largest first: component `k` has `sizes()[k - 1]`.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Volume of each component in mL, largest first.
    pub fn volumes_ml(&self) -> Vec<f64> {
        self.sizes.iter().map(|n| *n as f64 * self.geometry.voxel_ml()).collect()
    }

    /// The voxels of the largest component; none set if there is no component.
    pub fn largest(&self) -> Vec<bool> {
        self.voxels.iter().map(|component| *component == 1).collect()
    }
}

/// Labels voxels by what their neighbours before them carry, and notes which labels meet.
fn first_pass(
    shape: [usize; 3],
    mask: &[bool],
    connectivity: Connectivity,
) -> (Vec<u32>, Vec<u32>) {
    let earlier = earlier_neighbours(connectivity);
    let [n_d, n_h, n_w] = shape;
    let mut labels = vec![0u32; mask.len()];
    let mut parents = vec![0u32];
    for d in 0..n_d {
        for h in 0..n_h {
            for w in 0..n_w {
                let place = (d * n_h + h) * n_w + w;
                if !mask[place] {
                    continue;
                }
                let mut own = 0;
                for step in &earlier {
                    let moved = |at: usize, by: i64, n: usize| {
                        at.checked_add_signed(by as isize).filter(|at| *at < n)
                    };
                    let (Some(d), Some(h), Some(w)) =
                        (moved(d, step[0], n_d), moved(h, step[1], n_h), moved(w, step[2], n_w))
                    else {
                        continue;
                    };
                    let neighbour = labels[(d * n_h + h) * n_w + w];
                    if neighbour > 0 {
                        own = if own == 0 { neighbour } else { join(&mut parents, own, neighbour) };
                    }
                }
                if own == 0 {
                    own = parents.len() as u32;
                    parents.push(own);
                }
                labels[place] = own;
            }
        }
    }
    (labels, parents)
}

/// Steps to the neighbours that come before a voxel in `[D, H, W]` order.
fn earlier_neighbours(connectivity: Connectivity) -> Vec<[i64; 3]> {
    let all = (0..27i64).map(|i| [i / 9 - 1, i / 3 % 3 - 1, i % 3 - 1]);
    // The first 13 of the 27 precede the centre, which is the 14th.
    all.take(13)
        .filter(|step| match connectivity {
            Connectivity::Six => step.iter().map(|s| s.abs()).sum::<i64>() == 1,
            Connectivity::TwentySix => true,
        })
        .collect()
}

/// The root of a label; labels on the way are hung closer to it.
fn find(parents: &mut [u32], mut label: u32) -> u32 {
    while parents[label as usize] != label {
        parents[label as usize] = parents[parents[label as usize] as usize];
        label = parents[label as usize];
    }
    label
}

/// Joins two labels under the smaller root, which it returns.
fn join(parents: &mut [u32], a: u32, b: u32) -> u32 {
    let (a, b) = (find(parents, a), find(parents, b));
    let (root, other) = (a.min(b), a.max(b));
    parents[other as usize] = root;
    root
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Affine;

    fn map(shape: [usize; 3], labels: Vec<u8>) -> LabelMap {
        let affine = Affine::from_spacing([5.0, 1.0, 1.0], [0.0; 3]).unwrap();
        LabelMap::new(Geometry::new(shape, affine).unwrap(), labels).unwrap()
    }

    /// Components by flooding from each voxel in turn.
    fn flooded(map: &LabelMap, labels: &[u8], connectivity: Connectivity) -> Vec<Vec<usize>> {
        let [_, n_h, n_w] = map.geometry().shape();
        let mut left = map.mask(labels);
        let mut found: Vec<Vec<usize>> = Vec::new();
        for seed in 0..left.len() {
            let mut queue = Vec::new();
            if std::mem::take(&mut left[seed]) {
                queue.push(seed);
            }
            let mut component = Vec::new();
            while let Some(place) = queue.pop() {
                component.push(place);
                let at = [place / (n_h * n_w), place / n_w % n_h, place % n_w];
                for (other, free) in left.iter_mut().enumerate() {
                    let to = [other / (n_h * n_w), other / n_w % n_h, other % n_w];
                    let steps = [0, 1, 2].map(|a| at[a].abs_diff(to[a]));
                    let touches = match connectivity {
                        Connectivity::Six => steps.iter().sum::<usize>() == 1,
                        Connectivity::TwentySix => steps.iter().all(|s| *s <= 1),
                    };
                    if touches && std::mem::take(free) {
                        queue.push(other);
                    }
                }
            }
            if !component.is_empty() {
                found.push(component);
            }
        }
        found.sort_by_key(|c| std::cmp::Reverse(c.len()));
        found
    }

    proptest! {
        #[test]
        fn agrees_with_flooding(
            shape in prop::array::uniform3(1usize..6),
            seed in prop::collection::vec(0u8..4, 125),
            six in any::<bool>(),
        ) {
            let connectivity = if six { Connectivity::Six } else { Connectivity::TwentySix };
            let map = map(shape, seed[..shape.iter().product()].to_vec());
            let components = map.components(&[1, 3], connectivity);
            let expected = flooded(&map, &[1, 3], connectivity);
            prop_assert_eq!(components.n_components(), expected.len());
            for (k, component) in expected.iter().enumerate() {
                prop_assert_eq!(components.sizes()[k], component.len());
                for place in component {
                    prop_assert_eq!(components.voxels()[*place], k as u32 + 1);
                }
            }
            let n_inside = components.voxels().iter().filter(|v| **v > 0).count();
            prop_assert_eq!(n_inside, map.count(&[1, 3]));
        }
    }

    #[test]
    fn corners_touch_only_by_twenty_six() {
        let map = map([2, 2, 2], vec![1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(map.components(&[1], Connectivity::Six).sizes(), [1, 1]);
        assert_eq!(map.components(&[1], Connectivity::TwentySix).sizes(), [2]);
    }

    #[test]
    fn an_empty_mask_has_no_components() {
        let none = map([1, 2, 2], vec![0; 4]).components(&[1], Connectivity::Six);
        assert_eq!((none.n_components(), none.largest()), (0, vec![false; 4]));
    }

    #[test]
    fn volumes_and_largest() {
        let map = map([1, 1, 6], vec![1, 0, 1, 1, 0, 1]);
        let components = map.components(&[1], Connectivity::Six);
        assert_eq!(components.voxels(), [2, 0, 1, 1, 0, 3]);
        assert_eq!(components.largest(), [false, false, true, true, false, false]);
        assert!((components.volumes_ml()[0] - 0.010).abs() < 1e-12);
    }
}
