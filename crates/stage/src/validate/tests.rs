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
