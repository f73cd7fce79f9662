//! Flat folders and tables of paths; NIfTI in every shape.

use std::path::Path;

use crate::support::{UNLABELLED, config, grid, head, lesion, marked, run, series};
use hemex_artifacts::nifti;
use hemex_ingest::layout::{self, ImageFiles};
use hemex_ingest::{LayoutChoice, canonical_grid};
use hemex_volume::Image;

fn discovered(root: &Path) -> (&'static str, Vec<layout::Source>) {
    layout::discover(root, LayoutChoice::Auto).unwrap()
}

#[test]
fn a_flat_folder_holds_nifti_and_dicom_side_by_side() {
    let raw = tempfile::tempdir().unwrap();
    let file = |name: &str| raw.path().join(name);
    nifti::write_image_i16(&file("first.nii"), &head(grid(), 10.0)).unwrap();
    nifti::write_label_map(&file("first_mask.nii.gz"), &lesion(grid(), 10.0)).unwrap();
    nifti::write_image_i16(&file("second.nii.gz"), &head(grid(), 5.0)).unwrap();
    nifti::write_label_map(&file("second_dseg.nii"), &lesion(grid(), 5.0)).unwrap();
    series::write(&file("third"), &marked(head(grid(), 10.0), "3"), &series::Series::default());
    std::fs::write(file("README.txt"), "notes").unwrap();

    let (name, sources) = discovered(raw.path());
    let ids: Vec<&str> = sources.iter().map(|s| s.id.as_str()).collect();
    assert_eq!((name, ids), ("flat", vec!["first", "second", "third"]));
    let scans: Vec<_> = sources.iter().map(|s| s.scan.clone().unwrap()).collect();
    assert_eq!(scans[0].baseline_mask, Some(file("first_mask.nii.gz")));
    assert_eq!(scans[1].baseline_mask, Some(file("second_dseg.nii")));
    assert!(matches!(&scans[2].image, ImageFiles::Dicom(files) if files.len() == 34));

    let outputs = run(raw.path(), &config(&[]), &UNLABELLED).unwrap();
    let [first, third] = ["first", "third"].map(|id| outputs.image(id));
    let n_marks = first.voxels().iter().zip(third.voxels()).filter(|(a, b)| a != b).count();
    assert!((1..=8).contains(&n_marks), "{n_marks}");
}

#[test]
fn loose_dicom_files_are_one_case() {
    let raw = tempfile::tempdir().unwrap();
    series::write(raw.path(), &head(grid(), 10.0), &series::Series::default());
    let (_, sources) = discovered(raw.path());
    assert_eq!(sources.len(), 1);
    assert_eq!(sources[0].path, ".");
}

#[test]
fn a_table_of_paths_joins_files_and_columns() {
    let raw = tempfile::tempdir().unwrap();
    std::fs::create_dir(raw.path().join("scans")).unwrap();
    nifti::write_image_i16(&raw.path().join("scans/a.nii.gz"), &head(grid(), 10.0)).unwrap();
    nifti::write_image_i16(&raw.path().join("scans/c.nii"), &head(grid(), 9.0)).unwrap();
    nifti::write_label_map(&raw.path().join("scans/b.nii"), &lesion(grid(), 10.0)).unwrap();
    let rows = "case,patient,image,mask,growth,site,weight\n\
                one,p1,scans/a.nii.gz,scans/b.nii,1,\"Old Town, A\",70\n\
                two,p1,scans/c.nii,,,B,\n\
                three,,../outside.nii.gz,,0,B,\n\
                four,,scans/none.nii.gz,,0,B,\n\
                five,,,,0,B,\n";
    std::fs::write(raw.path().join("cases.csv"), rows).unwrap();
    let (name, sources) = discovered(raw.path());
    assert_eq!(name, "table");
    let by_id = |id: &str| sources.iter().find(|s| s.id == id).unwrap();
    let one = by_id("one").scan.clone().unwrap();
    assert_eq!(one.clinical.site.as_deref(), Some("Old Town, A"));
    assert_eq!(
        (one.clinical.growth, by_id("two").scan.clone().unwrap().clinical.growth),
        (Some(true), None)
    );
    assert_eq!((by_id("two").patient.as_str(), by_id("three").patient.as_str()), ("p1", "three"));
    let outside = by_id("three").scan.clone().unwrap_err().to_string();
    assert!(
        outside.starts_with("cases.csv line 4, column `image`: expected a path below"),
        "{outside}"
    );

    let outputs = run(raw.path(), &config(&[]), &UNLABELLED).unwrap();
    assert!(outputs.exclusion("four").contains("the file does not exist"));
    assert!(outputs.exclusion("five").contains("no baseline CT found"));
}

#[test]
fn what_is_no_dataset_is_named() {
    let problem = |files: &[(&str, &str)]| {
        let raw = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(raw.path().join(name), text).unwrap();
        }
        layout::discover(raw.path(), LayoutChoice::Auto).unwrap_err().to_string()
    };
    assert!(problem(&[]).contains("layout `flat`: it holds no scan"));
    let both = [("cases.csv", "case,image\n"), ("participants.tsv", "participant_id\n")];
    assert!(problem(&both).contains("set `layout`"));
    let column = problem(&[("cases.csv", "case,imagee\nMiller,b\n")]);
    assert!(column.contains("no column `image`; is `imagee` meant?"), "{column}");
    let headless = problem(&[("cases.csv", "Miller,b.nii\nSmith,b.nii\n")]);
    assert!(headless.contains("no column `case`") && !headless.contains("Miller"), "{headless}");
    let twice = problem(&[("cases.csv", "case,image\na,b\na,c\n")]);
    assert!(twice.contains("two cases share one name"), "{twice}");
}

#[test]
fn two_rows_of_one_participant_exclude_it() {
    let raw = tempfile::tempdir().unwrap();
    crate::support::write_bids(raw.path(), "sub-1", 10.0, None);
    std::fs::write(raw.path().join("participants.tsv"), "participant_id\tage\nsub-1\t5\n1\t6\n")
        .unwrap();
    let (_, sources) = discovered(raw.path());
    let reason = sources[0].scan.clone().unwrap_err().to_string();
    assert_eq!(reason, "participants.tsv has two rows for it, lines 2 and 3");
}

#[test]
fn a_subject_without_sessions_is_a_baseline() {
    let raw = tempfile::tempdir().unwrap();
    let ct = raw.path().join("sub-1/ct");
    std::fs::create_dir_all(&ct).unwrap();
    nifti::write_image_i16(&ct.join("sub-1_ct.nii.gz"), &head(grid(), 10.0)).unwrap();
    let (name, sources) = discovered(raw.path());
    assert_eq!((name, sources[0].scan.is_ok()), ("bids", true));
    nifti::write_image_i16(&ct.join("sub-1_run-2_ct.nii.gz"), &head(grid(), 10.0)).unwrap();
    let reason = discovered(raw.path()).1[0].scan.clone().unwrap_err().to_string();
    assert_eq!(reason, "2 files could be its baseline CT, expected one");
}

/// The bytes of an int16 NIfTI-1 file in big-endian order.
fn big_endian(image: &Image) -> Vec<u8> {
    let geometry = image.geometry();
    let [d, h, w] = geometry.shape();
    let mut header = vec![0u8; 352];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &348i32.to_be_bytes());
    for (i, n) in [3, w, h, d, 1, 1, 1, 1].into_iter().enumerate() {
        put(40 + 2 * i, &(n as i16).to_be_bytes());
    }
    put(70, &4i16.to_be_bytes());
    put(72, &16i16.to_be_bytes());
    let [d_mm, h_mm, w_mm] = geometry.spacing_mm();
    for (i, mm) in [1.0, w_mm, h_mm, d_mm].into_iter().enumerate() {
        put(76 + 4 * i, &(mm as f32).to_be_bytes());
    }
    put(108, &352f32.to_be_bytes());
    put(112, &1f32.to_be_bytes());
    put(254, &1i16.to_be_bytes());
    for (r, row) in geometry.affine().rows().into_iter().enumerate() {
        for (c, value) in row.into_iter().enumerate() {
            put(280 + 16 * r + 4 * c, &(value as f32).to_be_bytes());
        }
    }
    put(344, b"n+1\0");
    header.extend(image.voxels().iter().flat_map(|hu| (*hu as i16).to_be_bytes()));
    header
}

#[test]
fn byte_order_and_orientation_change_nothing() {
    let image = head(grid(), 10.0);
    // The same head stored from left to right, from above to below, axes exchanged.
    let affine = image.geometry().affine();
    let [d, h, w] = affine.axes_mm();
    let [n_d, n_h, n_w] = image.geometry().shape();
    let corner = affine.point_mm([(n_d - 1) as f64, 0.0, (n_w - 1) as f64]);
    let rows = [0, 1, 2].map(|r| [-d[r], h[r], -w[r], corner[r]]);
    let stored =
        hemex_volume::Geometry::new([n_w, n_h, n_d], hemex_volume::Affine::new(rows).unwrap())
            .unwrap();
    let turned = image.resample(&stored, 0.0);
    assert_ne!(turned.voxels(), image.voxels());
    assert!(canonical_grid(&stored, [5.0, 2.0, 2.0]).unwrap().is_same_grid(image.geometry()));
    let ingested = |file: &str, write: &dyn Fn(&Path)| {
        let raw = tempfile::tempdir().unwrap();
        write(&raw.path().join(file));
        let outputs = run(raw.path(), &config(&[]), &UNLABELLED).unwrap();
        (outputs.image("scan"), outputs.brain("scan"))
    };
    let plain = ingested("scan.nii.gz", &|path| nifti::write_image_i16(path, &image).unwrap());
    let big = ingested("scan.nii", &|path| std::fs::write(path, big_endian(&image)).unwrap());
    let turned = ingested("scan.nii", &|path| nifti::write_image_i16(path, &turned).unwrap());
    for (name, other) in [("big", big), ("turned", turned)] {
        assert!(other.0.geometry().is_same_grid(plain.0.geometry()), "{name}");
        assert_eq!(other.0.voxels(), plain.0.voxels(), "{name}");
        assert_eq!(other.1.voxels(), plain.1.voxels(), "{name}");
    }
}
