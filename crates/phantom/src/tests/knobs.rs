//! Each knob does what it says, and nothing else.

use hemex_metrics::auroc;
use hemex_volume::{Image, LabelMap};

use super::{config, demo, without_followup};
use crate::CueKind;
use crate::cohort::{Patient, Scans, draw_patients, scan_patient};
use crate::outcome::{Oracle, OutcomeModel};
use crate::{Config, RawConfig};

const SEED: u64 = 11;

/// Patients of the demo's sites, not scanned, and what the oracle says of them.
fn drawn<T>(
    n: usize,
    change: impl FnOnce(&mut RawConfig),
    look: impl FnOnce(&[Patient], &Oracle) -> T,
) -> T {
    let config: Config = config("phantom.toml", |raw| {
        raw.n_patients = n;
        raw.n_population = 60_000;
        change(raw);
    });
    let (model, oracle) = OutcomeModel::solve(&config, SEED);
    look(&draw_patients(&config, &model, SEED), &oracle)
}

fn share(
    patients: &[Patient],
    of: impl Fn(&Patient) -> bool,
    with: impl Fn(&Patient) -> bool,
) -> f64 {
    let chosen: Vec<&Patient> = patients.iter().filter(|patient| of(patient)).collect();
    chosen.iter().filter(|patient| with(patient)).count() as f64 / chosen.len() as f64
}

#[test]
fn label_odds_shift_the_labels_and_leave_each_outcomes_look() {
    let shift = |raw: &mut RawConfig| {
        raw.site.get_mut("B").unwrap().label_odds = 4.0;
        raw.site.get_mut("C").unwrap().label_odds = 0.4;
    };
    let n = 30_000;
    let plain = drawn(
        n,
        |_| (),
        |patients, oracle| {
            (["A", "B", "C"].map(|site| oracle.sites[site]), mean_volume(patients, "B"))
        },
    );
    drawn(n, shift, |patients, oracle| {
        for (i, site) in ["A", "B", "C"].into_iter().enumerate() {
            let of = oracle.sites[site];
            let at = |patient: &Patient| patient.site_name == site;
            let found = share(patients, at, |patient| patient.growth);
            // The standard error of a share of 10,000 patients is 0.005 at the most.
            assert!((found - of.prevalence).abs() < 0.015, "{site}: {found} {of:?}");
            let members: Vec<&Patient> = patients.iter().filter(|patient| at(patient)).collect();
            let grew: Vec<bool> = members.iter().map(|patient| patient.growth).collect();
            let area = |of: &dyn Fn(&Patient) -> f64| {
                auroc(&members.iter().map(|p| of(p)).collect::<Vec<_>>(), &grew).unwrap()
            };
            assert!((area(&|p| p.probability) - of.auroc).abs() < 0.012, "{site} {of:?}");
            let image = area(&|p| p.probability_image_signs);
            assert!((image - of.auroc_image_signs).abs() < 0.015, "{site}: {image} {of:?}");
            // Probabilities are those of the site.
            let mean = members.iter().map(|p| p.probability).sum::<f64>() / members.len() as f64;
            assert!((mean - of.prevalence).abs() < 0.015, "{site}: {mean} {of:?}");
            // Odds of the class change the odds, not how well the classes are told apart.
            let odds = |p: f64| p / (1.0 - p);
            let factor = odds(of.prevalence) / odds(plain.0[i].prevalence);
            let expected = [1.0, 4.0, 0.4][i];
            assert!((factor / expected - 1.0).abs() < 0.02, "{site}: {factor}");
            assert!((of.auroc - plain.0[i].auroc).abs() < 0.003, "{site}: {of:?}");
        }
        for (growth, before) in plain.1.into_iter().enumerate() {
            let now = mean_volume(patients, "B")[growth];
            assert!((now / before - 1.0).abs() < 0.06, "growth {growth}: {now} mL, {before} mL");
        }
    });
}

/// Mean volume of stable and of growing hematomas at a site.
fn mean_volume(patients: &[Patient], site: &str) -> [f64; 2] {
    [false, true].map(|growth| {
        let of = patients.iter().filter(|p| p.site_name == site && p.growth == growth);
        of.clone().map(|p| p.signs.volume_ml).sum::<f64>() / of.count() as f64
    })
}

#[test]
fn a_cue_goes_with_the_outcome_as_its_site_says_and_with_nothing_else() {
    let cued = |raw: &mut RawConfig| {
        raw.cue.kind = CueKind::Kernel;
        raw.site.get_mut("A").unwrap().cue_correlation = 0.8;
        raw.site.get_mut("C").unwrap().cue_correlation = -0.8;
    };
    let n = 12_000;
    let plain = drawn(
        n,
        |_| (),
        |patients, _| {
            assert!(patients.iter().all(|patient| !patient.cue));
            patients.iter().map(|p| (p.signs, p.growth, p.followup)).collect::<Vec<_>>()
        },
    );
    drawn(n, cued, |patients, _| {
        for (site, [of_stable, of_growing]) in
            [("A", [0.1, 0.9]), ("B", [0.5, 0.5]), ("C", [0.9, 0.1])]
        {
            for (growth, expected) in [(false, of_stable), (true, of_growing)] {
                let at = |p: &Patient| p.site_name == site && p.growth == growth;
                let found = share(patients, at, |p| p.cue);
                assert!((found - expected).abs() < 0.04, "{site}, {growth}: {found}");
            }
        }
        let same = patients.iter().zip(&plain);
        assert!(same.into_iter().all(|(p, plain)| (p.signs, p.growth, p.followup) == *plain));
        // Within an outcome the cue knows nothing of the volume.
        let at: Vec<&Patient> =
            patients.iter().filter(|p| p.site_name == "A" && !p.growth).collect();
        let cue: Vec<bool> = at.iter().map(|p| p.cue).collect();
        let volume: Vec<f64> = at.iter().map(|p| p.signs.volume_ml).collect();
        let area = auroc(&volume, &cue).unwrap();
        assert!((area - 0.5).abs() < 0.05, "{area}");
    });
}

#[test]
fn label_noise_records_the_wrong_outcome_of_some() {
    let n = 6_000;
    let truth = drawn(
        n,
        |_| (),
        |patients, _| {
            assert!(patients.iter().all(|p| p.growth == p.recorded_growth));
            patients.iter().map(|p| (p.signs, p.growth)).collect::<Vec<_>>()
        },
    );
    drawn(
        n,
        |raw| raw.label_noise = 0.2,
        |patients, _| {
            let wrong = share(patients, |_| true, |p| p.growth != p.recorded_growth);
            assert!((wrong - 0.2).abs() < 0.02, "{wrong}");
            for (patient, truth) in patients.iter().zip(&truth) {
                assert_eq!((patient.signs, patient.growth), *truth);
                let Some(followup) = patient.followup.filter(|f| !f.surgery_before) else {
                    continue;
                };
                let factor = followup.volume_ml / patient.signs.volume_ml;
                let gain_ml = followup.volume_ml - patient.signs.volume_ml;
                assert_eq!(factor > 1.33 || gain_ml > 6.0, patient.recorded_growth, "{factor}");
            }
        },
    );
}

/// The scans of a few patients of the demo.
fn scanned(n: usize, change: impl FnOnce(&mut RawConfig)) -> Vec<Scans> {
    let (config, seed, texture, _) = demo(n, |raw| {
        without_followup(raw);
        change(raw);
    });
    let (model, _) = OutcomeModel::solve(&config, seed);
    let patients = draw_patients(&config, &model, seed);
    patients.iter().map(|patient| scan_patient(&config, seed, patient, &texture).unwrap()).collect()
}

fn image(scans: &Scans) -> &Image {
    scans.baseline.image.as_ref().unwrap()
}

fn dice(a: &LabelMap, b: &LabelMap) -> f64 {
    let (a, b) = (a.mask(&[1]), b.mask(&[1]));
    let both = a.iter().zip(&b).filter(|(a, b)| **a && **b).count() as f64;
    let count = |mask: &[bool]| mask.iter().filter(|inside| **inside).count() as f64;
    2.0 * both / (count(&a) + count(&b))
}

#[test]
fn annotators_stray_from_the_outline_and_leave_the_image() {
    let large = |raw: &mut RawConfig| raw.lesion.volume_range_ml = [10.0, 60.0];
    let sharp = scanned(4, large);
    let strayed = scanned(4, |raw| {
        large(raw);
        raw.annotator_sd_mm = 1.0;
    });
    let mut mean_change = 0.0;
    for (sharp, strayed) in sharp.iter().zip(&strayed) {
        assert_eq!(image(sharp), image(strayed));
        let (before, after) = (&sharp.baseline.labels, &strayed.baseline.labels);
        let found = dice(before, after);
        assert!((0.75..0.98).contains(&found), "{found}");
        assert_eq!(before.count(&[2]), after.count(&[2]), "ventricles stay");
        mean_change += after.volume_ml(&[1]) / before.volume_ml(&[1]) / 4.0 - 0.25;
    }
    assert!(mean_change.abs() < 0.1, "{mean_change}");
}

#[test]
fn a_twin_is_the_same_scan_without_the_hematoma() {
    let scans = scanned(3, |raw| {
        raw.lesion_free_twins = true;
        raw.lesion.volume_range_ml = [10.0, 40.0];
    });
    for scans in &scans {
        let twin = scans.twin.as_ref().unwrap();
        assert!(twin.labels.voxels().iter().all(|label| *label == 0));
        let (with, without) = (image(scans), twin.image.as_ref().unwrap());
        let labels = scans.baseline.labels.voxels();
        let mean = |image: &Image| {
            let hu = image.voxels().iter().zip(labels).filter(|(_, label)| **label == 1);
            hu.clone().map(|(hu, _)| f64::from(*hu)).sum::<f64>() / hu.count() as f64
        };
        assert!(mean(with) > 48.0 && mean(without) < 45.0, "{} {}", mean(with), mean(without));
        let pairs = with.voxels().iter().zip(without.voxels());
        let n_same = pairs.filter(|(a, b)| a == b).count() as f64;
        assert!(n_same / labels.len() as f64 > 0.8, "the same head, pose and noise: {n_same}");
    }
}

#[test]
fn a_head_holder_lies_in_the_air_and_a_kernel_in_the_noise() {
    let with = |kind: CueKind| {
        scanned(2, |raw| {
            raw.cue.kind = kind;
            // All patients have it, or none.
            raw.prevalence = 0.01;
            raw.site.values_mut().for_each(|site| site.cue_correlation = -1.0);
        })
    };
    let plain = with(CueKind::None);
    for (plain, held) in plain.iter().zip(with(CueKind::HeadHolder)) {
        let pairs = || image(plain).voxels().iter().zip(image(&held).voxels());
        let n_holder = pairs().filter(|(a, b)| **a < -800.0 && **b > 0.0).count();
        assert!(n_holder > 2000, "{n_holder}");
        let n_else = pairs().filter(|(a, b)| **a > 0.0 && a != b).count();
        let n_inside = pairs().filter(|(a, _)| **a > 0.0).count();
        // Skin beside the shell is blurred together with it, nothing else.
        assert!(n_else * 200 < n_inside, "{n_else} of {n_inside}");
    }
    for (plain, sharp) in plain.iter().zip(with(CueKind::Kernel)) {
        let roughness = |scans: &Scans| {
            let steps = image(scans)
                .voxels()
                .windows(2)
                .filter(|pair| pair.iter().all(|hu| (15.0..60.0).contains(hu)));
            let squares = steps.clone().map(|pair| f64::from(pair[1] - pair[0]).powi(2));
            (squares.sum::<f64>() / steps.count() as f64).sqrt()
        };
        let factor = roughness(&sharp) / roughness(plain);
        assert!(factor > 1.3, "{factor}");
        assert!(plain.baseline.labels == sharp.baseline.labels);
    }
}
