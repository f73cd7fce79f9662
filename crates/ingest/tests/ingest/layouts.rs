//! Flat folders and tables of paths; NIfTI in every shape.

use std::fs::File;
use std::path::Path;

use crate::support::{UNLABELLED, config, grid, head, lesion, marked, run, series};
use hemex_artifacts::nifti;
use hemex_ingest::layout::{self, ImageFiles};
use hemex_ingest::{LayoutChoice, canonical_grid};
use hemex_stage::Kind;
use hemex_volume::Image;
use polars_core::df;
use polars_io::prelude::ParquetWriter;

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
fn a_table_of_paths_may_be_parquet_and_name_dicom_files() {
    let raw = tempfile::tempdir().unwrap();
    let image = head(grid(), 10.0);
    nifti::write_image_i16(&raw.path().join("a.nii.gz"), &head(grid(), 9.0)).unwrap();
    let medium = raw.path().join("medium");
    series::write(&medium.join("IMAGES"), &image, &series::Series::default());
    std::fs::write(medium.join("DICOMDIR"), "").unwrap();
    let mut frame = df!(
        "case" => ["007", "8", "9"],
        "image" => ["a.nii.gz", "medium/DICOMDIR", "medium/IMAGES/2-001"],
        "age" => [Some(71.5), None, Some(f64::NAN)],
        "growth" => [Some(1_i64), Some(0), None],
        "ivh" => [Some(true), Some(false), None],
    )
    .unwrap();
    let path = raw.path().join("cases.parquet");
    ParquetWriter::new(File::create(&path).unwrap()).finish(&mut frame).unwrap();
    let (name, sources) = discovered(raw.path());
    assert_eq!(name, "table");
    let scan = |id: &str| sources.iter().find(|s| s.id == id).unwrap().scan.clone().unwrap();
    let clinical = scan("007").clinical;
    assert_eq!(
        (clinical.age_years, clinical.growth, clinical.ivh),
        (Some(71.5), Some(true), Some(true))
    );
    assert_eq!((scan("8").clinical.growth, scan("8").clinical.age_years), (Some(false), None));
    assert_eq!((scan("9").clinical.growth, scan("9").clinical.age_years), (None, None));
    let n_files = |id: &str| match scan(id).image {
        ImageFiles::Dicom(files) => files.len(),
        ImageFiles::Nifti(_) => 0,
    };
    assert_eq!((n_files("8"), n_files("9")), (image.geometry().shape()[0] + 1, 1));
    let outputs = run(raw.path(), &config(&[]), &UNLABELLED).unwrap();
    assert_eq!(outputs.row("cases/cases.csv", "8")["source_format"], "dicom");

    std::fs::write(raw.path().join("cases.csv"), "case,image\n").unwrap();
    let two = layout::discover(raw.path(), LayoutChoice::Auto).unwrap_err().to_string();
    assert!(two.contains("cases.csv and cases.parquet; keep one"), "{two}");
    std::fs::remove_file(raw.path().join("cases.csv")).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for n in [0, 4, 20, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..n]).unwrap();
        let cut = layout::discover(raw.path(), LayoutChoice::Auto).unwrap_err().to_string();
        assert!(cut.contains("cases.parquet of the dataset: it cannot be read"), "{cut}");
    }
}

#[test]
fn a_medium_with_a_dicomdir_is_a_tree() {
    let raw = tempfile::tempdir().unwrap();
    series::write(&raw.path().join("A/B"), &head(grid(), 10.0), &series::Series::default());
    std::fs::write(raw.path().join("DICOMDIR"), "").unwrap();
    let (name, sources) = discovered(raw.path());
    assert_eq!((name, sources.len(), sources[0].scan.is_ok()), ("dicom", 1, true));
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

/// Writes a scan under this name and its mask, whose label is the dataset's own.
fn pair(root: &Path, image: &str, mask: Option<&str>, label: u8) {
    for file in [Some(image), mask].into_iter().flatten() {
        std::fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
    }
    nifti::write_image_i16(&root.join(image), &marked(head(grid(), 10.0), image)).unwrap();
    if let Some(mask) = mask {
        let mut labels = lesion(grid(), 10.0);
        labels.voxels_mut().iter_mut().for_each(|l| *l *= label);
        nifti::write_label_map(&root.join(mask), &labels).unwrap();
    }
}

/// Of a dataset in a public layout: the layout's name, the cases' names, and of the first the labels of
/// its prepared mask with its volume.
fn ingested(root: &Path) -> (&'static str, Vec<String>, Vec<u8>) {
    let (name, sources) = discovered(root);
    let ids: Vec<String> = sources.iter().map(|source| source.id.clone()).collect();
    let outputs = run(
        root,
        &config(&[]),
        &[("cases", Kind::Cases), ("labels", Kind::Labels), ("private", Kind::Private)],
    )
    .unwrap();
    let mask = outputs.mask(&ids[0]);
    let mut labels = mask.voxels().to_vec();
    labels.sort_unstable();
    labels.dedup();
    (name, ids, labels)
}

#[test]
fn public_layouts_are_recognised_and_their_labels_understood() {
    let nnunet = tempfile::tempdir().unwrap();
    pair(nnunet.path(), "imagesTr/a_0000.nii.gz", Some("labelsTr/a.nii.gz"), 2);
    pair(nnunet.path(), "imagesTs/b_0000.nii.gz", None, 0);
    let json = r#"{"labels": {"background": 0, "IVH": 1, "intraparenchymal hemorrhage": 2}}"#;
    std::fs::write(nnunet.path().join("dataset.json"), json).unwrap();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let table = "participant_id\tpatient\na\tp\nb\tp\n";
    std::fs::write(nnunet.path().join("participants.tsv"), table).unwrap();
    let (_, sources) = layout::discover(nnunet.path(), LayoutChoice::Auto).unwrap();
    assert!(sources.iter().all(|source| source.patient == "p"), "two scans of one patient");
    assert_eq!(ingested(nnunet.path()), ("nnunet", names(&["a", "b"]), vec![0, 1]));

    let msd = tempfile::tempdir().unwrap();
    pair(msd.path(), "imagesTr/a.nii.gz", Some("labelsTr/a.nii.gz"), 1);
    let json = r#"{"labels": {"0": "background", "1": "ivh"}}"#;
    std::fs::write(msd.path().join("dataset.json"), json).unwrap();
    std::fs::write(msd.path().join("participants.tsv"), "participant_id\tsite\na\tX\n").unwrap();
    assert_eq!(ingested(msd.path()), ("msd", names(&["a"]), vec![0, 2]));
    let (_, sources) = discovered(msd.path());
    assert_eq!(sources[0].scan.clone().unwrap().clinical.site.as_deref(), Some("X"));

    for (name, image, mask, label, meaning) in [
        ("ct_ich", "ct_scans/049.nii", "masks/049.nii", 255, 1),
        ("instance", "data/049.nii.gz", "label/049.nii.gz", 1, 1),
        ("bhsd", "images/049.nii.gz", "ground truths/049.nii.gz", 3, 2),
        ("bhsd", "images/049.nii.gz", "ground truths/049.nii.gz", 5, 4),
    ] {
        let root = tempfile::tempdir().unwrap();
        pair(root.path(), image, Some(mask), label);
        assert_eq!(ingested(root.path()), (name, names(&["049"]), vec![0, meaning]), "{label}");
    }

    let json = r#"{"labels": {"background": 0, "liver": 1}}"#;
    std::fs::write(nnunet.path().join("dataset.json"), json).unwrap();
    let error = layout::discover(nnunet.path(), LayoutChoice::Auto).unwrap_err().to_string();
    assert!(error.contains("the label 1 of dataset.json has an unknown name"), "{error}");
}

#[test]
fn a_tree_of_dicom_files_is_parted_into_studies() {
    let raw = tempfile::tempdir().unwrap();
    for (i, study) in ["1.2.9.1", "1.2.9.2"].into_iter().enumerate() {
        let one = series::Series { study, patient: "p", ..Default::default() };
        let image = marked(head(grid(), 10.0), study);
        series::write(&raw.path().join(format!("all/{i}")), &image, &one);
    }
    // As one case of a flat folder, two studies are refused.
    let flat = run(raw.path(), &config(&[]), &UNLABELLED).err().unwrap().to_string();
    assert!(flat.contains("its files are of 2 studies"), "{flat}");

    let (name, sources) = layout::discover(raw.path(), LayoutChoice::Dicom).unwrap();
    let ids: Vec<&str> = sources.iter().map(|source| source.id.as_str()).collect();
    assert_eq!((name, ids), ("dicom", vec!["1.2.9.1", "1.2.9.2"]));
    // Both are of one patient, whose row counts for either.
    std::fs::write(raw.path().join("participants.tsv"), "participant_id\tsite\np\tX\n").unwrap();
    let (_, sources) = layout::discover(raw.path(), LayoutChoice::Dicom).unwrap();
    for source in sources {
        assert_eq!(source.patient, "p");
        assert_eq!(source.scan.unwrap().clinical.site.as_deref(), Some("X"));
    }
    let chosen = config(&[("layout = \"auto\"", "layout = \"dicom\"")]);
    let outputs = run(raw.path(), &chosen, &UNLABELLED).unwrap();
    assert_eq!(outputs.table("cases/cases.csv").len(), 2);
}

#[test]
fn what_a_row_says_of_a_scan_goes_to_the_baseline_study() {
    let raw = tempfile::tempdir().unwrap();
    let image = head(grid().window([8, 20, 20], [2, 5, 5]).unwrap(), 10.0);
    for (study, date) in [("1.2.9.1", "20200301"), ("1.2.9.2", "20200229")] {
        let one = series::Series { study, date, patient: "p", ..Default::default() };
        series::write(&raw.path().join(study), &image, &one);
    }
    for (at, baseline) in
        [("n/a", "1.2.9.2"), ("2020/3/1 12:34", "1.2.9.1"), ("2020-03-02", "none of them")]
    {
        let columns = "participant_id\tage\tgrowth\tgcs\tbaseline_datetime";
        let table = format!("{columns}\np\t70\t1\t14\t{at}\n");
        std::fs::write(raw.path().join("participants.tsv"), table).unwrap();
        let (_, sources) = layout::discover(raw.path(), LayoutChoice::Dicom).unwrap();
        assert_eq!(sources.len(), 2);
        for source in sources {
            let clinical = source.scan.unwrap().clinical;
            let is_baseline = source.id == baseline;
            assert_eq!(clinical.age_years, Some(70.0));
            assert_eq!(clinical.growth, is_baseline.then_some(true), "{at}: {}", source.id);
            assert_eq!(clinical.gcs, is_baseline.then_some(14.0), "{at}: {}", source.id);
        }
    }
}

#[cfg(unix)]
#[test]
fn links_out_of_the_dataset_are_refused() {
    let outside = tempfile::tempdir().unwrap();
    let raw = tempfile::tempdir().unwrap();
    nifti::write_image_i16(&outside.path().join("a.nii"), &head(grid(), 10.0)).unwrap();
    nifti::write_image_i16(&raw.path().join("b.nii"), &head(grid(), 10.0)).unwrap();
    std::os::unix::fs::symlink(outside.path().join("a.nii"), raw.path().join("a.nii")).unwrap();
    let outputs = run(raw.path(), &config(&[]), &UNLABELLED).unwrap();
    assert!(outputs.exclusion("a").contains("a link out of the dataset's folder"));
    assert_eq!(outputs.table("cases/cases.csv").len(), 1);
    // A link to the folder it lies in would be followed for ever.
    std::fs::create_dir(raw.path().join("c")).unwrap();
    std::os::unix::fs::symlink(raw.path(), raw.path().join("c/again")).unwrap();
    assert!(hemex_stage::digest::list_files(raw.path()).is_err());
}
