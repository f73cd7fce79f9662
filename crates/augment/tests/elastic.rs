//! The elastic deformation as strong as the shipped config has it: a thousand draws.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use hemex_augment::{Drawn, DrawnElastic, MIN_JACOBIAN, Policy, RawConfig, RawElastic, RawPolicy};
use hemex_stage::DrawKey;
use hemex_volume::{Affine, DisplacementField, Geometry, Image, LabelMap};

const SHIPPED: &str = include_str!("../../../configs/augment.toml");
const WINDOW_HU: [f32; 2] = [0.0, 200.0];
const N_DRAWS: usize = 1000;

/// The shipped strength, in every draw and alone.
fn policy() -> Policy {
    let shipped = toml::from_str::<RawConfig>(SHIPPED).unwrap().policy.elastic;
    let elastic = RawElastic { probability: 1.0, ..shipped };
    Policy::try_from(RawPolicy { elastic, ..RawPolicy::NOTHING }).unwrap()
}

/// A prepared head's grid.
fn grid() -> Geometry {
    let affine = Affine::from_spacing([5.0, 2.0, 2.0], [-80.0, -96.0, 0.0]).unwrap();
    Geometry::new([30, 96, 80], affine).unwrap()
}

fn drawn(policy: &Policy, n: usize) -> Drawn {
    policy.draw(&DrawKey::new(17, "test.elastic").repeat(n), &grid())
}

/// A lobed bleed (label 1) with edema around it (label 3) and a thin extra-axial rim (label 4).
fn lesion(geometry: Geometry) -> LabelMap {
    let mut labels = LabelMap::empty(geometry);
    for (place, label) in labels.voxels_mut().iter_mut().enumerate() {
        let [x, y, z] = geometry.point_mm(index(place, &geometry));
        let r = |c: [f64; 3]| ((x - c[0]).powi(2) + (y - c[1]).powi(2) + (z - c[2]).powi(2)).sqrt();
        let to_bleed = (r([24.0, 4.0, 70.0]) - 20.0).min(r([34.0, -12.0, 80.0]) - 14.0);
        *label = match () {
            () if to_bleed < 0.0 => 1,
            () if to_bleed < 8.0 => 3,
            () if (r([0.0, 0.0, 72.0]) - 66.0).abs() < 3.0 => 4,
            () => 0,
        };
    }
    labels
}

/// The bleed as a smooth density: its sum is not rounded to whole voxels.
fn blood(labels: &LabelMap) -> Image {
    let blood = labels.voxels().iter().map(|label| if *label == 1 { 100.0 } else { 0.0 });
    Image::new(*labels.geometry(), blood.collect()).unwrap().blur_mm([5.0, 2.0, 2.0])
}

/// The most that the displacement changes over a distance, both measured by their largest component: a cubic
/// B-spline's slope is a mean (weights positive, sum 1) of the slopes between neighbouring control points. Below 1 no two points of the result come from one of the source, anywhere, not only where it is looked.
fn lipschitz_bound(field: &DisplacementField, geometry: &Geometry) -> f64 {
    let (n, u) = (field.n_control(), field.displacements_mm());
    let at = |index: [usize; 3]| u[(index[0] * n[1] + index[1]) * n[2] + index[2]];
    let mut slopes = [[0.0f64; 3]; 3];
    for place in 0..u.len() {
        let index = [place / (n[1] * n[2]), place / n[2] % n[1], place % n[2]];
        for b in (0..3).filter(|b| index[*b] + 1 < n[*b]) {
            let mut next = index;
            next[b] += 1;
            let step_mm =
                (geometry.shape()[b] - 1) as f64 * geometry.spacing_mm()[b] / (n[b] - 1) as f64;
            let (here, there) = (at(index), at(next));
            for a in 0..3 {
                slopes[a][b] = slopes[a][b].max((there[a] - here[a]).abs() / step_mm);
            }
        }
    }
    slopes.iter().map(|row| row.iter().sum::<f64>()).fold(0.0, f64::max)
}

fn index(place: usize, geometry: &Geometry) -> [f64; 3] {
    let [_, n_h, n_w] = geometry.shape();
    [place / (n_h * n_w), place / n_w % n_h, place % n_w].map(|i| i as f64)
}

#[test]
fn no_draw_folds() {
    let (policy, geometry) = (policy(), grid());
    let (mut strongest, mut least) = (0.0f64, f64::INFINITY);
    for n in 0..N_DRAWS {
        let DrawnElastic { field, strength, extremes } = drawn(&policy, n).elastic.unwrap();
        assert_eq!(strength, 1.0, "draw {n} is so strong that it was weakened");
        assert!(extremes.min_jacobian >= MIN_JACOBIAN, "draw {n}: {extremes:?}");
        let bound = lipschitz_bound(&field, &geometry);
        assert!(bound < 1.0, "draw {n}: points {bound} times apart may meet");
        // What is looked at lies within what is proven: the determinant of 1 + slopes whose rows sum to less.
        let range = (1.0 - bound).powi(3)..=(1.0 + bound).powi(3);
        assert!(range.contains(&extremes.min_jacobian) && range.contains(&extremes.max_jacobian));
        strongest = strongest.max(bound);
        least = least.min(extremes.min_jacobian);
    }
    // The draws are not tame.
    assert!(strongest > 0.6 && least < 0.75, "{strongest} {least}");
}

#[test]
fn volumes_change_as_the_jacobian_allows_and_no_label_appears() {
    let (policy, geometry) = (policy(), grid());
    let labels = lesion(geometry);
    let blood = blood(&labels);
    let sum = |image: &Image| image.voxels().iter().map(|v| f64::from(*v)).sum::<f64>();
    let before = (sum(&blood), labels.volume_ml(&[1]));
    let mut factors = Vec::new();
    for n in 0..N_DRAWS {
        let drawn = drawn(&policy, n);
        let (moved, mask) = drawn.apply(&blood, &labels, WINDOW_HU).unwrap();
        assert!(mask.voxels().iter().all(|label| [0, 1, 3, 4].contains(label)), "draw {n}");
        let factor = sum(&moved) / before.0;
        let extremes = drawn.elastic.as_ref().unwrap().extremes;
        let (least, most) = (1.0 / extremes.max_jacobian, 1.0 / extremes.min_jacobian);
        assert!(
            (least * 0.995..=most * 1.005).contains(&factor),
            "draw {n}: {factor} {extremes:?}"
        );
        // Of whole voxels: less than half a slice along D does not show in them.
        let of_mask = mask.volume_ml(&[1]) / before.1;
        assert!(
            (least * 0.97..=most * 1.03).contains(&of_mask),
            "draw {n}: {of_mask} {extremes:?}"
        );
        assert!((of_mask / factor - 1.0).abs() < 0.1, "draw {n}: {of_mask} {factor}");
        factors.push(factor);
    }
    let outside = factors.iter().filter(|factor| (**factor - 1.0).abs() > 0.05).count();
    assert!(outside > N_DRAWS / 10, "{outside} draws change the volume at all");
}

/// Blood is neither made nor lost: what the result's voxels cover in the source, `∫ J` over the moved lesion, is
/// what the lesion had.
#[test]
fn the_moved_lesion_covers_the_lesion() {
    let (policy, geometry) = (policy(), grid());
    let blood = blood(&lesion(geometry));
    let before: f64 = blood.voxels().iter().map(|v| f64::from(*v)).sum();
    for n in (0..N_DRAWS).step_by(50) {
        let drawn = drawn(&policy, n);
        let moved = drawn.apply_to_image(&blood, WINDOW_HU).unwrap();
        let field = &drawn.elastic.as_ref().unwrap().field;
        let covered =
            moved.voxels().iter().enumerate().map(|(place, v)| {
                f64::from(*v) * field.jacobian(&geometry, index(place, &geometry))
            });
        let factor = covered.sum::<f64>() / before;
        assert!((factor - 1.0).abs() < 0.003, "draw {n}: {factor}");
    }
}

#[test]
fn a_draw_gives_the_same_bytes_on_one_and_on_two_threads() {
    let (policy, geometry) = (policy(), grid());
    let labels = lesion(geometry);
    let texture = (0..geometry.n_voxels()).map(|place| (place * 7919 % 97) as f32).collect();
    let image = Image::new(geometry, texture).unwrap();
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    let pools = [pool(1), pool(2)];
    for n in 0..50 {
        let [one, two] = pools.each_ref().map(|pool| {
            pool.install(|| {
                let drawn = drawn(&policy, n);
                let (image, labels) = drawn.apply(&image, &labels, WINDOW_HU).unwrap();
                let bits: Vec<u32> = image.voxels().iter().map(|v| v.to_bits()).collect();
                (drawn, bits, labels)
            })
        });
        assert!(one == two, "draw {n}");
    }
}
