use std::path::PathBuf;

use hemex_volume::{Affine, Geometry, Image, LabelMap};

use super::*;

fn geometry() -> Geometry {
    let rows = [[-0.5, 0.1, 0.0, 90.0], [0.1, 0.5, 0.2, -100.0], [0.0, -0.1, 5.0, 12.0]];
    Geometry::new([3, 4, 5], Affine::new(rows).unwrap()).unwrap()
}

fn image() -> Image {
    Image::new(geometry(), (0..60).map(|i| i as f32 - 30.25).collect()).unwrap()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn images_and_labels_come_back_with_their_grid() {
    let folder = folder();
    for name in ["a.nii", "a.nii.gz"] {
        let path = folder.path().join(name);
        write_image(&path, &image()).unwrap();
        let back = read_image(&path).unwrap();
        assert_eq!(back.voxels(), image().voxels());
        assert!(back.geometry().is_same_grid(&geometry()));

        let labels = LabelMap::new(geometry(), (0..60).map(|i| i % 5).collect()).unwrap();
        write_label_map(&path, &labels).unwrap();
        assert_eq!(read_label_map(&path).unwrap().voxels(), labels.voxels());
    }
    let path = folder.path().join("i16.nii");
    write_image_i16(&path, &image()).unwrap();
    assert_eq!(read_image(&path).unwrap().voxels()[0], -30.0);
}

#[test]
fn the_same_volume_gives_the_same_bytes() {
    let folder = folder();
    let paths = ["a.nii.gz", "b.nii.gz"].map(|name| folder.path().join(name));
    for path in &paths {
        write_image(path, &image()).unwrap();
    }
    assert_eq!(std::fs::read(&paths[0]).unwrap(), std::fs::read(&paths[1]).unwrap());
}

/// The volume of [`image`] as a file whose header bytes were changed.
fn patched(patches: &[(usize, &[u8])]) -> (tempfile::TempDir, PathBuf) {
    let folder = folder();
    let path = folder.path().join("patched.nii");
    write_image(&path, &image()).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    for (at, patch) in patches {
        bytes[*at..*at + patch.len()].copy_from_slice(patch);
    }
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[test]
fn slope_and_intercept_are_applied() {
    let (_folder, path) = patched(&[(112, &2f32.to_le_bytes()), (116, &(-5f32).to_le_bytes())]);
    assert_eq!(read_image(&path).unwrap().voxels()[1], 2.0 * -29.25 - 5.0);
    // A slope of 0 means none.
    let (_folder, path) = patched(&[(112, &0f32.to_le_bytes()), (116, &(-5f32).to_le_bytes())]);
    assert_eq!(read_image(&path).unwrap().voxels()[1], -29.25);
}

#[test]
fn a_quaternion_gives_the_rotation() {
    // 90° about z: x of the grid runs along +y. b = c = 0, d = sin 45°; q_fac −1 flips the slices.
    let d = (0.5f32).sqrt();
    let (_folder, path) = patched(&[
        (254, &0i16.to_le_bytes()),
        (252, &1i16.to_le_bytes()),
        (264, &d.to_le_bytes()),
        (76, &(-1f32).to_le_bytes()),
        (80, &2f32.to_le_bytes()),
    ]);
    let affine = read_image(&path).unwrap().geometry().affine();
    let [slices, _, columns] = affine.axes_mm();
    assert!((columns[1] - 2.0).abs() < 1e-6 && columns[0].abs() < 1e-6, "{columns:?}");
    assert!(slices[2] < -4.9, "{slices:?}");
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let refused = |patches: &[(usize, &[u8])], word: &str| {
        let (_folder, path) = patched(patches);
        let error = read_image(&path).unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("patched.nii"), "{word}: {error}");
    };
    refused(&[(72, &8i16.to_le_bytes())], "bitpix");
    refused(&[(70, &128i16.to_le_bytes())], "RGB");
    refused(&[(70, &32i16.to_le_bytes())], "complex");
    refused(&[(254, &0i16.to_le_bytes())], "neither sform nor qform");
    refused(&[(108, &1e30f32.to_le_bytes())], "vox_offset");
    refused(&[(108, &f32::NAN.to_le_bytes())], "vox_offset");
    refused(&[(42, &32000i16.to_le_bytes())], "cut short");
    refused(
        &[
            (46, &32000i16.to_le_bytes()),
            (44, &32000i16.to_le_bytes()),
            (42, &32000i16.to_le_bytes()),
        ],
        "at most",
    );
    refused(&[(42, &(-3i16).to_le_bytes())], "axes");
    refused(&[(42, &0i16.to_le_bytes())], "axes");
    refused(&[(40, &4i16.to_le_bytes()), (48, &2i16.to_le_bytes())], "one volume");
    refused(&[(280, &f32::NAN.to_le_bytes())], "affine");
    refused(&[(344, b"ni1\0")], ".img");
    refused(&[(352, &f32::INFINITY.to_le_bytes())], "finite");
}

#[test]
fn every_cut_of_a_file_is_an_error() {
    let folder = folder();
    for name in ["cut.nii", "cut.nii.gz"] {
        let path = folder.path().join(name);
        write_image(&path, &image()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for n in 0..bytes.len() {
            std::fs::write(&path, &bytes[..n]).unwrap();
            assert!(read_image(&path).is_err(), "{name} of {n} bytes was read");
        }
    }
}

#[test]
fn a_fraction_is_no_label() {
    let (_folder, path) = patched(&[]);
    assert!(read_label_map(&path).unwrap_err().to_string().contains("labels"));
}
