//! Hematomas planted into other patients' scans: where they may lie, what is touched, what is recorded.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use hemex_augment::{
    AugmentError, CaseView, Donor, DrawnTransplant, GrowthRule, RawTransplant, TransplantDraw,
    TransplantPolicy, Transplanted,
};
use hemex_stage::DrawKey;
use hemex_volume::{Affine, Geometry, Image, LabelMap, distance_mm};

const RULE: GrowthRule = GrowthRule { relative: 0.33, absolute_ml: 6.0 };
const WINDOW_HU: [f32; 2] = [-100.0, 200.0];
const EDGE_MM: f32 = 5.0;
const GAP_MM: f32 = 6.0;

/// A head with ventricles, tissue of `tissue_hu` with a texture, and a bleed with edema around `bleed_mm`.
struct Head {
    case_id: String,
    patient_id: String,
    image: Image,
    labels: LabelMap,
    brain: LabelMap,
    volumes_ml: [Option<f64>; 2],
}

impl Head {
    fn new(name: &str, tissue_hu: f32, bleed_mm: [f64; 3], radius_mm: f64) -> Self {
        let affine = Affine::from_spacing([4.0, 2.0, 2.0], [-70.0, -80.0, 0.0]).unwrap();
        let geometry = Geometry::new([24, 80, 70], affine).unwrap();
        let mut image = Image::filled(geometry, -100.0);
        let (mut labels, mut brain) = (LabelMap::empty(geometry), LabelMap::empty(geometry));
        for i in 0..geometry.n_voxels() {
            let at = [i / (80 * 70), i / 70 % 80, i % 70].map(|v| v as f64);
            let [x, y, z] = geometry.point_mm(at);
            let within = |c: [f64; 3], r: [f64; 3]| {
                ((x - c[0]) / r[0]).powi(2)
                    + ((y - c[1]) / r[1]).powi(2)
                    + ((z - c[2]) / r[2]).powi(2)
            };
            let inner = within([0.0, 0.0, 46.0], [58.0, 68.0, 44.0]);
            let skull = within([0.0, 0.0, 46.0], [64.0, 74.0, 50.0]);
            let ventricles = within([10.0, 4.0, 48.0], [7.0, 24.0, 14.0])
                .min(within([-10.0, 4.0, 48.0], [7.0, 24.0, 14.0]));
            let bleed = within(bleed_mm, [radius_mm; 3]);
            let edema = within(bleed_mm, [radius_mm + 5.0; 3]);
            let texture = (i * 7919 % 7) as f32 - 3.0;
            let (hu, label) = match () {
                () if inner >= 1.0 && skull < 1.0 => (200.0, 0),
                () if inner >= 1.0 => (-100.0, 0),
                () if ventricles < 1.0 => (6.0, 0),
                () if bleed < 1.0 => (tissue_hu + 35.0 + 2.0 * texture, 1),
                () if edema < 1.0 => (tissue_hu - 10.0 + texture, 3),
                () => (tissue_hu + texture, 0),
            };
            image.voxels_mut()[i] = hu;
            labels.voxels_mut()[i] = label;
            brain.voxels_mut()[i] = u8::from(inner < 1.0);
        }
        let ml = labels.volume_ml(&[1]);
        Self {
            case_id: format!("case-{name}"),
            patient_id: format!("patient-{name}"),
            image,
            labels,
            brain,
            volumes_ml: [Some(ml), Some(1.2 * ml)],
        }
    }

    fn view(&self) -> CaseView<'_> {
        CaseView {
            case_id: &self.case_id,
            patient_id: &self.patient_id,
            image: &self.image,
            labels: &self.labels,
            brain: &self.brain,
            volumes_ml: self.volumes_ml,
        }
    }

    fn donor(&self) -> Donor {
        Donor::cut(&self.view()).unwrap().unwrap()
    }
}

fn donor_head() -> Head {
    Head::new("donor", 26.0, [30.0, -10.0, 50.0], 9.0)
}

fn recipient_head() -> Head {
    Head::new("recipient", 34.0, [-30.0, 20.0, 40.0], 8.0)
}

fn policy() -> TransplantPolicy {
    TransplantPolicy::try_from(RawTransplant {
        probability: 1.0,
        edge_mm: f64::from(EDGE_MM),
        gap_mm: f64::from(GAP_MM),
        ..RawTransplant::NOTHING
    })
    .unwrap()
}

fn key(repeat: usize) -> DrawKey {
    DrawKey::new(9, "test.transplant").repeat(repeat)
}

fn placed(draw: TransplantDraw<'_>) -> DrawnTransplant {
    match draw {
        TransplantDraw::Placed { drawn, donor } => {
            assert_eq!(donor.case_id(), drawn.donor_case_id);
            drawn
        }
        other => panic!("{other:?}"),
    }
}

fn apply(
    drawn: &DrawnTransplant,
    donor: &Donor,
    head: &Head,
) -> Result<Transplanted, AugmentError> {
    drawn.apply(donor, &head.view(), WINDOW_HU)
}

#[test]
fn every_place_is_admissible_and_nothing_else_is_touched() {
    let (head, donor) = (recipient_head(), donor_head().donor());
    let policy = policy();
    let open = policy.open_voxels(&head.view()).unwrap();
    let geometry = head.image.geometry();
    let outside: Vec<bool> = head.brain.voxels().iter().map(|b| *b == 0).collect();
    let to_edge = distance_mm(&outside, geometry).unwrap();
    let own = head.labels.mask(&[1, 3]);
    let to_own = distance_mm(&own, geometry).unwrap();
    let columns = (0..own.len()).filter(|i| head.brain.voxels()[*i] > 0);
    let columns: Vec<usize> = columns.map(|i| i % geometry.shape()[2]).collect();
    let middle_w = columns.iter().sum::<usize>() as f64 / columns.len() as f64;
    let mut flips = 0;
    let mut places = std::collections::BTreeSet::new();
    for repeat in 0..100 {
        let drawn =
            placed(policy.draw(&key(repeat), &head.view(), &open, std::slice::from_ref(&donor)));
        let out = apply(&drawn, &donor, &head).unwrap();
        flips += usize::from(drawn.flip);
        places.insert(drawn.to);
        let new: Vec<usize> = (0..own.len())
            .filter(|i| out.labels.voxels()[*i] != head.labels.voxels()[*i])
            .collect();
        assert_eq!(out.labels.count(&[1, 3]) - head.labels.count(&[1, 3]), new.len());
        let planted = donor_head().labels;
        for label in [1, 3] {
            let n = new.iter().filter(|i| out.labels.voxels()[**i] == label).count();
            assert_eq!(n, planted.count(&[label]), "all of it, {repeat}");
        }
        let n_csf = new.iter().filter(|i| head.image.voxels()[**i] < 16.0).count();
        assert!(n_csf as f64 <= 0.05 * new.len() as f64, "{n_csf}");
        let n_w = geometry.shape()[2];
        let from_midline_mm = |i: usize| ((i % n_w) as f64 - middle_w) * geometry.spacing_mm()[2];
        let side = from_midline_mm(new[0]).signum();
        for i in &new {
            assert!(to_edge[*i] >= EDGE_MM && to_own[*i] >= GAP_MM, "{repeat}");
            assert!(side * from_midline_mm(*i) >= f64::from(EDGE_MM) - 1e-4, "one hemisphere");
        }
        // Beyond a voxel from the graft all is as it was, to the last bit.
        let mut is_new = vec![false; own.len()];
        new.iter().for_each(|i| is_new[*i] = true);
        let [_, n_h, n_w] = geometry.shape();
        for i in 0..own.len() {
            let [d, h, w] = [i / (n_h * n_w), i / n_w % n_h, i % n_w];
            let touched = out.image.voxels()[i].to_bits() != head.image.voxels()[i].to_bits();
            if touched {
                let near = (d.saturating_sub(1)..=d + 1).any(|d| {
                    (h.saturating_sub(1)..=h + 1).any(|h| {
                        (w.saturating_sub(1)..=w + 1).any(|w| is_new[geometry.offset([d, h, w])])
                    })
                });
                assert!(near, "a voxel far from the graft changed");
            }
        }
    }
    assert!((30..70).contains(&flips) && places.len() > 90, "{flips} {}", places.len());
}

#[test]
fn densities_follow_the_tissue_and_leave_no_halo() {
    let (head, source) = (recipient_head(), donor_head());
    let donor = source.donor();
    let policy = policy();
    let open = policy.open_voxels(&head.view()).unwrap();
    for repeat in 0..20 {
        let drawn =
            placed(policy.draw(&key(repeat), &head.view(), &open, std::slice::from_ref(&donor)));
        let out = apply(&drawn, &donor, &head).unwrap();
        assert!((out.provenance.donor_tissue_hu - 26.0).abs() < 0.5, "{:?}", out.provenance);
        let tissue = out.provenance.recipient_tissue_hu;
        assert!((tissue - 34.0).abs() < 0.5, "{:?}", out.provenance);
        let mean = |wanted: &dyn Fn(usize) -> bool| {
            let of: Vec<f64> = (0..own_len(&head))
                .filter(|i| wanted(*i))
                .map(|i| f64::from(out.image.voxels()[i]))
                .collect();
            of.iter().sum::<f64>() / of.len() as f64
        };
        let label =
            |i: usize, label: u8| out.labels.voxels()[i] == label && head.labels.voxels()[i] == 0;
        assert!((mean(&|i| label(i, 1)) - tissue - 35.0).abs() < 0.6);
        assert!((mean(&|i| label(i, 3)) - tissue + 10.0).abs() < 0.6);
        // The rim: blended, unlabelled, and tissue like that beyond.
        let rim = mean(&|i| {
            out.image.voxels()[i] != head.image.voxels()[i]
                && out.labels.voxels()[i] == 0
                && (20.0..50.0).contains(&head.image.voxels()[i])
        });
        assert!((rim - tissue).abs() < 1.0, "{rim} {tissue}");
    }
}

fn own_len(head: &Head) -> usize {
    head.labels.voxels().len()
}

/// A satellite toward the patient's right lies toward the left of a mirrored graft.
#[test]
fn a_mirrored_graft_is_mirrored() {
    let (head, mut source) = (recipient_head(), donor_head());
    let geometry = *source.image.geometry();
    let satellite = geometry.offset([12, 35, 66]);
    let middle = source.labels.centroid_mm(&[1, 3]).unwrap();
    source.labels.voxels_mut()[satellite] = 1;
    source.image.voxels_mut()[satellite] = 90.0;
    let donor = source.donor();
    let planted = |flip| {
        let drawn = DrawnTransplant { donor_case_id: "case-donor".into(), flip, to: [12, 30, 40] };
        apply(&drawn, &donor, &head).unwrap()
    };
    // Voxels from the middle, which the satellite hardly moves.
    let off = 66 - ((middle[0] + 70.0) / 2.0).round() as usize;
    for (flip, w) in [(false, 40 + off), (true, 40 - off)] {
        let out = planted(flip);
        let bright = (0..70).filter(|w| {
            (25..36).any(|h| {
                let place = geometry.offset([12, h, *w]);
                out.image.voxels()[place] > 85.0 && out.labels.voxels()[place] == 1
            })
        });
        let bright: Vec<usize> = bright.collect();
        assert!(
            bright.iter().all(|found| found.abs_diff(w) <= 1) && !bright.is_empty(),
            "{bright:?} {w}"
        );
    }
}

#[test]
fn a_draw_is_the_same_again_and_its_record_is_exact() {
    let (head, donor) = (recipient_head(), donor_head().donor());
    let policy = policy();
    let draw = || {
        let open = policy.open_voxels(&head.view()).unwrap();
        placed(policy.draw(&key(1), &head.view(), &open, std::slice::from_ref(&donor)))
    };
    let drawn = draw();
    assert_eq!(drawn, draw());
    let out = apply(&drawn, &donor, &head).unwrap();
    let text = serde_json::to_string(&out.provenance).unwrap();
    let read: hemex_augment::TransplantProvenance = serde_json::from_str(&text).unwrap();
    assert_eq!(read, out.provenance);
    assert_eq!(apply(&read.drawn, &donor, &head).unwrap(), out);
    for name in ["case-donor", "patient-donor", "case-recipient", "patient-recipient"] {
        assert!(text.contains(name), "{text}");
    }
}

#[test]
fn the_outcome_is_that_of_both_where_both_are_known() {
    let (mut head, mut source) = (recipient_head(), donor_head());
    let recipient = |head: &Head, donor: &Donor| {
        let policy = policy();
        let open = policy.open_voxels(&head.view()).unwrap();
        let drawn = placed(policy.draw(&key(0), &head.view(), &open, std::slice::from_ref(donor)));
        let out = apply(&drawn, donor, head).unwrap();
        (out.volumes_ml, out.grew(&RULE))
    };
    (head.volumes_ml, source.volumes_ml) = ([Some(8.0), Some(10.0)], [Some(4.0), Some(5.5)]);
    assert_eq!(recipient(&head, &source.donor()), (Some([12.0, 15.5]), Some(false)));
    // 4 mL of 7.
    source.volumes_ml = [Some(4.0), Some(7.0)];
    assert_eq!(recipient(&head, &source.donor()), (Some([12.0, 17.0]), Some(true)));
    source.volumes_ml = [Some(4.0), None];
    assert_eq!(recipient(&head, &source.donor()), (None, None));
    (head.volumes_ml[0], source.volumes_ml) = (None, [Some(4.0), Some(7.0)]);
    assert_eq!(recipient(&head, &source.donor()), (None, None));
}

#[test]
fn a_donor_of_the_same_patient_is_refused() {
    let (head, mut source) = (recipient_head(), donor_head());
    let policy = policy();
    let open = policy.open_voxels(&head.view()).unwrap();
    let other = source.donor();
    let drawn = placed(policy.draw(&key(0), &head.view(), &open, std::slice::from_ref(&other)));
    source.patient_id = head.patient_id.clone();
    let own = source.donor();
    assert_eq!(
        policy.draw(&key(0), &head.view(), &open, std::slice::from_ref(&own)),
        TransplantDraw::NoDonor
    );
    assert_eq!(policy.draw(&key(0), &head.view(), &open, &[]), TransplantDraw::NoDonor);
    let error = apply(&drawn, &own, &head).unwrap_err().to_string();
    assert!(error.contains("one patient"), "{error}");
    // Of several the other patient's alone is drawn.
    let donors = [
        own,
        Donor::cut(&Head::new("third", 26.0, [30.0, -10.0, 50.0], 6.0).view()).unwrap().unwrap(),
    ];
    for repeat in 0..30 {
        let drawn = placed(policy.draw(&key(repeat), &head.view(), &open, &donors));
        assert_eq!(drawn.donor_case_id, "case-third");
    }
    let error = apply(&drawn, &donors[1], &head).unwrap_err().to_string();
    assert!(error.contains("another donor"), "{error}");
}

#[test]
fn where_there_is_no_place_the_caller_is_told() {
    let (mut head, donor) = (recipient_head(), donor_head().donor());
    let policy = policy();
    // All fluid.
    head.image.voxels_mut().iter_mut().for_each(|hu| *hu = hu.min(5.0));
    let open = policy.open_voxels(&head.view()).unwrap();
    let draw = policy.draw(&key(0), &head.view(), &open, std::slice::from_ref(&donor));
    assert_eq!(draw, TransplantDraw::NoPlace { donor_case_id: "case-donor".to_owned() });
    // No brain.
    head.brain = LabelMap::empty(*head.image.geometry());
    let open = policy.open_voxels(&head.view()).unwrap();
    let draw = policy.draw(&key(0), &head.view(), &open, std::slice::from_ref(&donor));
    assert!(matches!(draw, TransplantDraw::NoPlace { .. }));
    let never = TransplantPolicy::try_from(RawTransplant::NOTHING).unwrap();
    assert!(!never.is_on());
    assert_eq!(never.draw(&key(0), &head.view(), &open, &[donor]), TransplantDraw::None);
}

#[test]
fn what_cannot_be_cut_or_planted_is_refused() {
    let mut source = donor_head();
    let place = source.labels.voxels().iter().position(|label| *label == 1).unwrap();
    source.labels.voxels_mut()[place] = 2;
    assert_eq!(Donor::cut(&source.view()).unwrap(), None, "it broke into the ventricles");
    source
        .labels
        .voxels_mut()
        .iter_mut()
        .for_each(|label| *label = if *label == 3 { 3 } else { 0 });
    assert_eq!(Donor::cut(&source.view()).unwrap(), None, "edema alone");
    let (head, donor) = (recipient_head(), donor_head().donor());
    let at = |to| DrawnTransplant { donor_case_id: "case-donor".to_owned(), flip: false, to };
    let problem = |to| apply(&at(to), &donor, &head).unwrap_err().to_string();
    assert!(problem([0, 0, 0]).contains("no tissue"), "{}", problem([0, 0, 0]));
    assert!(problem([10, 50, 20]).contains("labelled"), "{}", problem([10, 50, 20]));
}
