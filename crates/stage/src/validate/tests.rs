use std::fs;

use super::*;

fn splits(rows: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let header = "case_id,slice_idx,patient_id,site,regime,fold,role\n";
    fs::write(folder.path().join("splits.csv"), format!("{header}{rows}")).unwrap();
    validate(Kind::Splits, folder.path()).map_err(|e| e.to_string())
}

#[test]
fn a_patient_in_two_roles_is_an_error_except_same_patient() {
    splits("a,,p,s,patient,0,train\nb,,p,s,patient,0,train\na,,p,s,patient,1,test\n").unwrap();
    let error = splits("a,,p,s,patient,0,train\nb,,p,s,patient,0,test\n").unwrap_err();
    assert!(error.contains("line 3") && error.contains("two roles"), "{error}");
    splits("a,0,p,s,same_patient,0,train\na,1,p,s,same_patient,0,test\n").unwrap();
    let error = splits("a,0,p,s,same_patient,0,train\na,0,p,s,same_patient,0,test\n").unwrap_err();
    assert!(error.contains("two roles"), "{error}");
}

#[test]
fn an_unknown_role_names_line_and_choices() {
    let error = splits("a,,p,s,patient,0,trian\n").unwrap_err();
    assert!(error.contains("line 2") && error.contains("`train`"), "{error}");
}

#[test]
fn a_probability_without_ok_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("predictions.json"), "{}").unwrap();
    let table = |rows: &str| {
        let header = "case_id,status,reason,probability,logit,volume_ml,uncertainty\n";
        fs::write(folder.path().join("predictions.csv"), format!("{header}{rows}")).unwrap();
        validate(Kind::Predictions, folder.path()).map_err(|e| e.to_string())
    };
    table("a,ok,,0.5,0,1,\nb,no_lesion,,,,0,\nc,refused,oblique,,,,\n").unwrap();
    assert!(table("a,ok,,,0,1,\n").is_err());
    assert!(table("a,ok,,1.5,0,1,\n").is_err());
    assert!(table("a,ok,,NaN,0,1,\n").is_err());
    assert!(table("a,no_lesion,,0.5,,0,\n").is_err());
    assert!(table("a,refused,,,,,\n").is_err());
    assert!(table("a,ok,,0.5,0,1,\na,ok,,0.5,0,1,\n").is_err());
    for (cells, column) in [("0.5,inf,1,", "logit"), ("0.5,0,1,NaN", "uncertainty")] {
        let error = table(&format!("a,ok,,{cells}\n")).unwrap_err();
        assert!(error.contains(&format!("`{column}`")) && error.contains("finite"), "{error}");
    }
    let error = table("a,ok,,0.5,0,-1,\n").unwrap_err();
    assert!(error.contains("line 2: `volume_ml` is negative"), "{error}");
    assert!(table("a,ok,,0.5,0,inf,\n").is_err());
    let with_followup = |ml: &str| {
        let header = "case_id,status,reason,probability,volume_ml,predicted_followup_ml\n";
        let rows = format!("{header}a,ok,,0.5,3,{ml}\nb,no_lesion,,,0,\n");
        fs::write(folder.path().join("predictions.csv"), rows).unwrap();
        validate(Kind::Predictions, folder.path()).map_err(|e| e.to_string())
    };
    with_followup("4.5").unwrap();
    let error = with_followup("-4.5").unwrap_err();
    assert!(error.contains("line 2: `predicted_followup_ml` is negative"), "{error}");
}

#[test]
fn a_native_spacing_is_a_number_above_0() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("geometry.json"), "{}").unwrap();
    let header = "case_id,patient_id,site,age_years,sex,onset_to_ct_h,source_format,\
                  native_spacing_d_mm,native_spacing_h_mm,native_spacing_w_mm\n";
    for spacing in ["5,1,0", "5,1,-1", "5,1,inf", "5,1,"] {
        let row = format!("a,p,s,,,,nifti,{spacing}\n");
        fs::write(folder.path().join("cases.csv"), format!("{header}{row}")).unwrap();
        let error = validate(Kind::Cases, folder.path()).unwrap_err().to_string();
        assert!(error.contains("line 2: `native_spacing_w_mm`"), "{error}");
    }
}

#[test]
fn a_case_has_one_label() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("labels.json"), "{}").unwrap();
    let header = "case_id,growth,growth_undefined_reason,baseline_volume_ml,followup_volume_ml,mask,\
                  true_probability\n";
    let table = |rows: &str| {
        fs::write(folder.path().join("labels.csv"), format!("{header}{rows}")).unwrap();
        validate(Kind::Labels, folder.path()).map_err(|e| e.to_string())
    };
    table("a,1,,,,,\nb,0,,,,,\n").unwrap();
    let error = table("a,1,,,,,\na,0,,,,,\n").unwrap_err();
    assert!(error.contains("line 3: `a` has a label already"), "{error}");
}

/// A label map of 2 × 3 × 4 voxels of this size, mm, all of them background.
fn label_map(spacing_mm: f32) -> Vec<u8> {
    let mut file = vec![0; 352 + 24];
    file[..4].copy_from_slice(&348_i32.to_le_bytes());
    for (i, short) in [3_i16, 4, 3, 2].into_iter().enumerate() {
        file[40 + 2 * i..][..2].copy_from_slice(&short.to_le_bytes());
    }
    file[72..74].copy_from_slice(&8_i16.to_le_bytes());
    file[108..112].copy_from_slice(&352_f32.to_le_bytes());
    for at in [280, 300, 320] {
        file[at..at + 4].copy_from_slice(&spacing_mm.to_le_bytes());
    }
    file[344..348].copy_from_slice(b"n+1\0");
    file
}

#[test]
fn a_follow_up_mask_lies_on_the_grid_of_the_mask() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("labels.json"), "{}").unwrap();
    let file = |name: &str, spacing_mm| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, label_map(spacing_mm)).unwrap();
    };
    file("masks/a.nii", 2.0);
    file("followup_masks/a.nii", 2.0);
    file("followup_masks/coarse.nii", 2.5);
    let table = |cells: &str| {
        let header = "case_id,growth,growth_undefined_reason,baseline_volume_ml,\
                      followup_volume_ml,mask,true_probability,followup_mask\n";
        fs::write(folder.path().join("labels.csv"), format!("{header}a,1,,,,{cells}\n")).unwrap();
        validate(Kind::Labels, folder.path()).map_err(|e| e.to_string())
    };
    table("masks/a.nii,,followup_masks/a.nii").unwrap();
    table("masks/a.nii,,").unwrap();
    table(",,followup_masks/coarse.nii").unwrap();
    let error = table("masks/a.nii,,followup_masks/coarse.nii").unwrap_err();
    assert!(error.contains("line 2: `followup_mask` does not lie on the grid"), "{error}");
    let error = table("masks/a.nii,,masks/a.nii").unwrap_err();
    assert!(error.contains("expected `followup_masks/…`"), "{error}");
    assert!(table("masks/a.nii,,followup_masks/b.nii").unwrap_err().contains("b.nii"));
}

#[test]
fn a_model_cut_short_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let header = br#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header);
    file.extend_from_slice(&[0; 8]);
    fs::write(folder.path().join("model.json"), "{}").unwrap();
    fs::write(folder.path().join("model.safetensors"), &file).unwrap();
    validate(Kind::Model, folder.path()).unwrap();
    fs::write(folder.path().join("model.safetensors"), &file[..file.len() - 1]).unwrap();
    assert!(validate(Kind::Model, folder.path()).is_err());
}

#[test]
fn folds_are_those_that_have_rows() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "regime,fold,role\nsite,2,test\nsite,0,train\npatient,0,val\nsite,2,train\n";
    std::fs::write(folder.path().join("splits.csv"), rows).unwrap();
    let found = folds(folder.path()).unwrap();
    let expected = [("patient".to_owned(), [0].into()), ("site".to_owned(), [0, 2].into())];
    assert_eq!(found, expected.into());
}
