//! What scanners do to values, against closed forms and properties.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::collections::BTreeMap;

use hemex_augment::{
    Drawn, DrawnScanner, DrawnStreaks, Policy, RawCoarse, RawConfig, RawPolicy, RawScanner,
    RawStreaks, SiteLook,
};
use hemex_stage::DrawKey;
use hemex_volume::{Affine, ConvolutionKernel, Geometry, Image, LabelMap};
use proptest::prelude::*;

const SHIPPED: &str = include_str!("../../../configs/augment.toml");
const WINDOW_HU: [f32; 2] = [-100.0, 200.0];

fn grid(shape: [usize; 3]) -> Geometry {
    Geometry::new(shape, Affine::from_spacing([5.0, 1.0, 1.0], [0.0; 3]).unwrap()).unwrap()
}

fn with(geometry: &Geometry, scanner: DrawnScanner) -> Drawn {
    Drawn { scanner, ..Drawn::identity(geometry) }
}

fn applied(drawn: &Drawn, image: &Image) -> Vec<f32> {
    drawn.apply_to_image(image, WINDOW_HU).unwrap().into_voxels()
}

/// Values from −90 to 190 HU in a pattern.
fn texture(geometry: Geometry) -> Image {
    let voxels = (0..geometry.n_voxels()).map(|i| (i * 7919 % 281) as f32 - 90.0).collect();
    Image::new(geometry, voxels).unwrap()
}

proptest! {
    #[test]
    fn gamma_is_monotone_keeps_the_ends_and_is_a_power(gamma in 0.5f64..2.0) {
        let values: Vec<f32> = (0..=300).map(|v| v as f32 - 100.0).collect();
        let image = Image::new(grid([1, 1, 301]), values.clone()).unwrap();
        let scanner = DrawnScanner { gamma, ..DrawnScanner::unchanged() };
        let out = applied(&with(image.geometry(), scanner), &image);
        prop_assert_eq!((out[0], out[300]), (-100.0, 200.0));
        prop_assert!(out.windows(2).all(|pair| pair[0] < pair[1]));
        let middle = -100.0 + 300.0 * 0.5f64.powf(gamma);
        prop_assert!((f64::from(out[150]) - middle).abs() < 1e-3);
    }
}

#[test]
fn thick_slices_average_along_d_alone_and_leave_a_single_slice() {
    let geometry = grid([7, 4, 4]);
    let slices = [0.0f32, 0.0, 0.0, 80.0, 0.0, 0.0, 0.0];
    let voxels = slices.iter().flat_map(|hu| [*hu; 16]).collect();
    let image = Image::new(geometry, voxels).unwrap();
    let scanner = |mm| DrawnScanner { slice_thickness_mm: Some(mm), ..DrawnScanner::unchanged() };
    let out = applied(&with(&geometry, scanner(15.0)), &image);
    // 35 mm hold two slices of 15 mm, about the middle: half of the bright one goes to each, diluted in three.
    let expected = 40.0 / 3.0;
    for (d, slice) in out.chunks(16).enumerate() {
        let near = (1..=5).contains(&d);
        for hu in slice {
            assert!((hu - expected).abs() < 1e-4 || !near, "{d}: {hu}");
        }
    }
    // Finer than the grid's is what the grid holds.
    let fine = Drawn { scanner: scanner(2.0), ..Drawn::identity(&geometry) };
    assert_eq!(applied(&fine, &image), image.voxels());
    let lone = texture(grid([1, 8, 8]));
    assert_eq!(applied(&with(lone.geometry(), scanner(15.0)), &lone), lone.voxels());
}

#[test]
fn coarse_pixels_dilute_a_small_spot_within_its_slice() {
    let geometry = grid([3, 30, 30]);
    let mut image = Image::filled(geometry, 0.0);
    image.voxels_mut()[geometry.offset([1, 16, 16])] = 90.0;
    let scanner = DrawnScanner { pixel_mm: Some(3.0), ..DrawnScanner::unchanged() };
    let out = Image::new(geometry, applied(&with(&geometry, scanner), &image)).unwrap();
    assert!(out.slice(0).iter().chain(out.slice(2)).all(|hu| *hu == 0.0));
    // One of the nine pixels of a coarse one, at whose centre the spot lies.
    assert!((out.voxels()[geometry.offset([1, 16, 16])] - 10.0).abs() < 1e-4);
    let sum: f64 = out.voxels().iter().map(|v| f64::from(*v)).sum();
    assert!((sum - 90.0).abs() < 1e-3, "what is there is spread, not lost: {sum}");
}

#[test]
fn noise_has_the_texture_of_the_drawn_kernel() {
    let geometry = grid([4, 160, 160]);
    let image = Image::filled(geometry, 40.0);
    for kernel in [ConvolutionKernel::SMOOTH, ConvolutionKernel::SHARP] {
        let scanner = DrawnScanner { noise_kernel: kernel, ..DrawnScanner::unchanged() };
        let drawn = Drawn { noise_hu: 5.0, noise_seed: 3, ..with(&geometry, scanner) };
        let out: Vec<f64> = applied(&drawn, &image).iter().map(|hu| f64::from(hu - 40.0)).collect();
        let n = out.len() as f64;
        let variance = out.iter().map(|v| v * v).sum::<f64>() / n;
        assert!((variance.sqrt() / 5.0 - 1.0).abs() < 0.03);
        let neighbours = out.chunks(160).flat_map(|row| row.iter().zip(&row[1..]));
        let together = neighbours.map(|(a, b)| a * b).sum::<f64>() / (n * 159.0 / 160.0);
        let expected = kernel.noise_correlation(1.0, 1);
        assert!((together / variance - expected).abs() < 0.03, "{kernel:?} {together}");
    }
}

#[test]
fn streaks_and_noise_come_last_as_strong_as_drawn() {
    let geometry = grid([3, 90, 90]);
    let image = Image::filled(geometry, 40.0);
    let streaks = DrawnStreaks {
        centre_mm: [0.0, 3.0, -6.0],
        amplitude_hu: 20.0,
        width_mm: 2.0,
        reach_mm: 30.0,
        seed: 8,
    };
    let scanner = DrawnScanner { streaks: Some(streaks), ..DrawnScanner::unchanged() };
    // Neither the blur nor the gain touches them.
    let drawn = Drawn { gain: 0.5, offset_hu: 1.0, blur_mm: 4.0, ..with(&geometry, scanner) };
    let out = Image::new(geometry, applied(&drawn, &image)).unwrap();
    let departures: Vec<f64> = out.slice(1).iter().map(|hu| f64::from(hu - 21.0)).collect();
    let strongest = departures.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    assert!((strongest - 20.0).abs() < 1e-3, "{strongest}");
    assert!(departures.iter().sum::<f64>().abs() / departures.len() as f64 <= 1e-4);
    let saturated = Image::filled(geometry, 200.0);
    assert_eq!(applied(&drawn, &saturated), saturated.voxels());
}

fn lively() -> RawPolicy {
    let coarse = |max_mm| RawCoarse { probability: 0.5, max_mm };
    RawPolicy {
        scanner: RawScanner {
            gamma: 0.2,
            thick_slices: coarse(12.0),
            coarse_pixels: coarse(4.0),
            streaks: RawStreaks {
                probability: 0.5,
                amplitude_hu: 30.0,
                ..RawScanner::NOTHING.streaks
            },
            noise_fwhm_mm: [0.8, 1.8],
            noise_edge_enhancement: [0.0, 0.9],
        },
        noise_hu: 5.0,
        ..RawPolicy::NOTHING
    }
}

#[test]
fn draws_keep_to_their_limits() {
    let policy = Policy::try_from(lively()).unwrap();
    let mut n = [0; 3];
    for shape in [[6, 40, 40], [1, 40, 40]] {
        let geometry = grid(shape);
        for repeat in 0..300 {
            let drawn = policy.draw(&DrawKey::new(1, "test.scanner").repeat(repeat), &geometry);
            let scanner = &drawn.scanner;
            assert!((1.0 / 1.2 - 1e-9..=1.2 + 1e-9).contains(&scanner.gamma));
            assert!(scanner.slice_thickness_mm.is_none_or(|mm| (5.0..=12.0).contains(&mm)));
            assert!(scanner.slice_thickness_mm.is_none() || shape[0] > 1);
            assert!(scanner.pixel_mm.is_none_or(|mm| (1.0..=4.0).contains(&mm)));
            assert!((0.8..=1.8).contains(&scanner.noise_kernel.fwhm_mm));
            assert!((0.0..=0.9).contains(&scanner.noise_kernel.edge_enhancement));
            if let Some(streaks) = scanner.streaks {
                assert!((0.0..=30.0).contains(&streaks.amplitude_hu));
                let extents = shape.iter().zip(geometry.spacing_mm());
                for (at_mm, (n, mm)) in streaks.centre_mm.iter().zip(extents) {
                    assert!(at_mm.abs() <= (n - 1) as f64 * mm / 4.0 + 1e-9);
                }
            }
            n[0] += usize::from(scanner.slice_thickness_mm.is_some());
            n[1] += usize::from(scanner.pixel_mm.is_some());
            n[2] += usize::from(scanner.streaks.is_some());
        }
    }
    assert!((100..200).contains(&n[0]) && n[1..].iter().all(|n| (240..360).contains(n)), "{n:?}");
}

/// The scanner is drawn after all else: what was drawn before it was there is drawn still.
#[test]
fn a_scanner_leaves_the_other_draws() {
    let geometry = grid([6, 40, 40]);
    let mut raw = toml::from_str::<RawConfig>(SHIPPED).unwrap().policy;
    (raw.site_probability, raw.site) = (0.0, BTreeMap::new());
    let with = Policy::try_from(raw.clone()).unwrap();
    let without = Policy::try_from(RawPolicy { scanner: RawScanner::NOTHING, ..raw }).unwrap();
    let lesion: Vec<usize> = (5000..5030).collect();
    for repeat in 0..50 {
        let key = DrawKey::new(2, "test.scanner").repeat(repeat);
        let [a, b] = [&with, &without].map(|policy| policy.draw_around(&key, &geometry, &lesion));
        assert_ne!(a, b);
        assert_eq!(Drawn { scanner: DrawnScanner::unchanged(), ..a }, b);
    }
}

#[test]
fn a_look_of_a_site_sets_its_scanner_and_is_named() {
    let geometry = grid([6, 60, 60]);
    let look = SiteLook {
        slice_thickness_mm: 8.0,
        kernel_fwhm_mm: 1.8,
        kernel_edge_enhancement: 0.0,
        noise_hu: 3.0,
        offset_hu: -4.0,
    };
    let thin = SiteLook { slice_thickness_mm: 2.5, ..look };
    let site = BTreeMap::from([("B".to_owned(), look), ("C".to_owned(), thin)]);
    let raw = RawPolicy { site_probability: 0.5, site, ..lively() };
    let policy = Policy::try_from(raw.clone()).unwrap();
    let mut counts = BTreeMap::new();
    for repeat in 0..400 {
        let drawn = policy.draw(&DrawKey::new(3, "test.site").repeat(repeat), &geometry);
        *counts.entry(drawn.site.clone()).or_insert(0) += 1;
        let Some(name) = &drawn.site else { continue };
        let kernel = ConvolutionKernel { fwhm_mm: 1.8, edge_enhancement: 0.0 };
        assert_eq!((drawn.noise_hu, drawn.offset_hu, drawn.blur_mm), (3.0, -4.0, 0.0));
        assert_eq!(drawn.scanner.noise_kernel, kernel);
        assert_eq!(drawn.scanner.seen_through, Some(kernel));
        let thicker = (name == "B").then_some(8.0);
        assert_eq!((drawn.scanner.slice_thickness_mm, drawn.scanner.pixel_mm), (thicker, None));
        // Applied it is what each part does, one after the other.
        if repeat < 20 {
            let image = texture(geometry);
            let drawn = Drawn { noise_hu: 0.0, ..drawn.clone() };
            let scanner = DrawnScanner { gamma: 1.0, streaks: None, ..drawn.scanner.clone() };
            let out = applied(&Drawn { scanner, ..drawn }, &image);
            let thick = image.coarsened([thicker.unwrap_or(5.0), 1.0, 1.0]).unwrap();
            let seen = kernel.filter(&thick);
            let pairs = out.iter().zip(seen.voxels());
            assert!(pairs.into_iter().all(|(a, b)| (a - (b - 4.0).max(-100.0)).abs() < 1e-4));
        }
    }
    let [none, b, c] = [None, Some("B"), Some("C")].map(|s| counts[&s.map(str::to_owned)]);
    assert!((150..250).contains(&none) && b > 60 && c > 60, "{counts:?}");
    let error = Policy::try_from(RawPolicy { site: BTreeMap::new(), ..raw.clone() }).unwrap_err();
    assert_eq!(error.key, "site_probability");
    let mut bad = raw;
    bad.site.get_mut("C").unwrap().noise_hu = f64::NAN;
    assert_eq!(Policy::try_from(bad).unwrap_err().key, "site.C.noise_hu");
}

/// A drawn transform written as JSON and read back makes the same bytes.
#[test]
fn a_record_is_exact() {
    let policy = Policy::try_from(toml::from_str::<RawConfig>(SHIPPED).unwrap().policy).unwrap();
    for shape in [[6, 60, 50], [1, 60, 50]] {
        let geometry = grid(shape);
        let image = texture(geometry);
        let mut labels = LabelMap::empty(geometry);
        let lesion: Vec<usize> = (0..geometry.n_voxels()).filter(|i| i % 50 > 30).collect();
        lesion.iter().for_each(|i| labels.voxels_mut()[*i] = 1);
        let mut with_all = 0;
        for repeat in 0..40 {
            let key = DrawKey::new(4, "test.record").repeat(repeat);
            let drawn = policy.draw_around(&key, &geometry, &lesion);
            let text = serde_json::to_string(&drawn).unwrap();
            let read: Drawn = serde_json::from_str(&text).unwrap();
            assert_eq!(read, drawn);
            let bits = |drawn: &Drawn| {
                let (image, labels) = drawn.apply(&image, &labels, WINDOW_HU).unwrap();
                let bits: Vec<u32> = image.voxels().iter().map(|v| v.to_bits()).collect();
                (bits, labels)
            };
            assert!(bits(&read) == bits(&drawn), "draw {repeat}");
            with_all += usize::from(drawn.elastic.is_some() && drawn.lesion.is_some());
        }
        assert!(with_all > 5, "{with_all}");
    }
}
