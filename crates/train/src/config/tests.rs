#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use super::*;

/// The config of the demo with a value changed.
fn checked(table: &str, key: &str, value: &str) -> Result<Config, ConfigError> {
    let text = include_str!("../../../../configs/train.toml");
    let mut document: toml::Table = toml::from_str(text).unwrap();
    let value: toml::Table = toml::from_str(&format!("value = {value}")).unwrap();
    let place = if table.is_empty() {
        &mut document
    } else {
        document.get_mut(table).unwrap().as_table_mut().unwrap()
    };
    place.insert(key.to_owned(), value["value"].clone());
    Config::try_from(document.try_into::<RawConfig>().unwrap())
}

#[test]
fn growth_is_told_from_signs_where_there_is_a_mask() {
    let refused = |table: &str, key: &str, value: &str| {
        checked(table, key, value).map(|_| ()).unwrap_err().to_string()
    };
    let signs = "{ scan = \"signs\", clinical = [\"gcs\"] }";
    assert!(checked("growth_from", "joint", signs).is_ok());
    let error = refused("growth_from", "vgg", signs);
    assert!(error.contains("growth_from.vgg.scan") && error.contains("no mask"), "{error}");
    let error = refused("growth_from", "joint", "{ scan = \"signs\", clinical = [\"gsc\"] }");
    assert!(error.contains("growth_from.joint.clinical") && error.contains("gcs"), "{error}");
    let error = refused("growth_from", "vgg", "{ scan = \"network\", clinical = [\"gcs\"] }");
    assert!(error.contains("growth_from.vgg.clinical"), "{error}");
    let network = "{ scan = \"network\", clinical = [] }";
    let error = refused("growth_from", "jiont", network);
    assert!(error.contains("growth_from.jiont") && error.contains("joint"), "{error}");
    let error = refused("", "growth_from", &format!("{{ joint = {network}, vgg = {network} }}"));
    assert!(error.contains("growth_from.two_stage"), "{error}");
}

#[test]
fn what_is_established_are_features_and_held_back_no_more_than_the_rest() {
    let refused = |key: &str, value: &str| {
        checked("growth_regression", key, value).map(|_| ()).unwrap_err().to_string()
    };
    assert!(checked("growth_regression", "established", "[]").is_ok());
    let error = refused("established", "[\"ln_volume\"]");
    assert!(error.contains("growth_regression.established"), "{error}");
    assert!(error.contains("ln_volume_ml"), "{error}");
    for penalty in ["0.0", "1.5"] {
        let error = refused("established_penalty", penalty);
        assert!(error.contains("growth_regression.established_penalty"), "{error}");
    }
}

#[test]
fn an_arm_has_what_is_changed_for_it_alone() {
    let sampler = "{ sampler = { kind = \"instance\", shift_weights = false, by = \"resampling\" }, augmented = false }";
    let config = checked("", "change", &format!("{{ vgg = {sampler} }}")).unwrap();
    let (vgg, joint) = (&config.arms["vgg"], &config.arms["joint"]);
    assert_eq!((vgg.sampler.kind, vgg.sampler.shift_weights), (SamplerKind::Instance, false));
    assert_eq!(joint.sampler.kind, SamplerKind::ClassBalanced);
    let nothing = Policy::try_from(RawPolicy::NOTHING).unwrap();
    let [vgg, joint, nothing] = [&vgg.augment, &joint.augment, &nothing].map(|p| format!("{p:?}"));
    assert!(vgg == nothing && joint != nothing);
    let refused = |value: &str| checked("", "change", value).map(|_| ()).unwrap_err().to_string();
    let error = refused(
        "{ vgg = { sampler = { kind = \"instance\", beta = 0.9, shift_weights = true, by = \"resampling\" } } }",
    );
    assert!(error.contains("change.vgg.sampler.beta"), "{error}");
    assert!(refused("{ vgh = {} }").contains("vgg"));
}

#[test]
fn how_is_learnt_must_end_within_the_training() {
    let average = |value: &str| checked("optimizer", "average", value).map(|_| ());
    for fine in [
        "{ kind = \"none\" }",
        "{ kind = \"exponential\", decay = 0.9 }",
        "{ kind = \"stochastic\", from_epoch = 6 }",
    ] {
        assert!(average(fine).is_ok(), "{fine}");
    }
    let error = average("{ kind = \"stochastic\", from_epoch = 7 }").unwrap_err().to_string();
    assert!(error.contains("optimizer.average.from_epoch") && error.contains('7'), "{error}");
    let error = average("{ kind = \"stochastic\", from_epoch = 0 }").unwrap_err().to_string();
    assert!(error.contains("warm-up"), "{error}");
    let error = average("{ kind = \"exponential\", decay = 1.0 }").unwrap_err().to_string();
    assert!(error.contains("optimizer.average.decay"), "{error}");
    let error = checked("optimizer", "warmup_steps", "420").unwrap_err().to_string();
    assert!(error.contains("optimizer.warmup_steps") && error.contains("420"), "{error}");
    let error = checked("", "batches_per_step", "0").unwrap_err().to_string();
    assert!(error.contains("batches_per_step"), "{error}");
    let error = checked("loss", "task_rate", "2.0").unwrap_err().to_string();
    assert!(error.contains("loss.task_rate"), "{error}");
    assert!(checked("loss", "label_warmup_steps", "419").is_ok());
    let error = checked("loss", "label_warmup_steps", "420").unwrap_err().to_string();
    assert!(error.contains("loss.label_warmup_steps") && error.contains("420"), "{error}");
    let both = "[loss]\nlabel_warmup_steps = 5\ntask_rate = 0.1";
    let error = crate::cohort::tests::checked(both).unwrap_err();
    assert!(error.contains("loss.label_warmup_steps") && error.contains("task_rate"), "{error}");
}

#[test]
fn domains_are_aligned_by_networks_that_classify() {
    let aligned = |align: &str, kind: &str, batch_size: i64| {
        let text = include_str!("../../../../configs/train.toml");
        let mut document: toml::Table = toml::from_str(text).unwrap();
        document.insert("batch_size".to_owned(), batch_size.into());
        let align: toml::Table = toml::from_str(&format!("align = {align}")).unwrap();
        document["loss"]["align"] = align["align"].clone();
        document["arm"]["joint"]["kind"] = kind.into();
        let scan = if kind == "unet" { "signs" } else { "network" };
        document["growth_from"]["joint"]["scan"] = scan.into();
        Config::try_from(document.try_into::<RawConfig>().unwrap()).map_err(|e| e.to_string())
    };
    let coral = "{ kind = \"coral\", weight = 1.0 }";
    assert!(aligned(coral, "joint_unet", 8).unwrap().arms["joint"].loss.align.is_on());
    assert!(aligned("{ kind = \"none\" }", "unet", 8).is_ok());
    assert!(aligned("{ kind = \"dann\", weight = 0.1, hidden = 16 }", "joint_unet", 1).is_ok());
    for (align, kind, batch_size, key) in [
        (coral, "unet", 8, "loss.align.kind"),
        (coral, "joint_unet", 1, "loss.align.kind"),
        ("{ kind = \"coral\", weight = 0.0 }", "joint_unet", 8, "loss.align.weight"),
        ("{ kind = \"dann\", weight = 0.1, hidden = 0 }", "joint_unet", 8, "loss.align.hidden"),
    ] {
        let error = aligned(align, kind, batch_size).unwrap_err();
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn signs_are_told_where_they_are_learnt() {
    let with_signs = |weight: f64, arm: &str, signs: &[&str]| {
        let text = include_str!("../../../../configs/train.toml");
        let mut document: toml::Table = toml::from_str(text).unwrap();
        document["loss"].as_table_mut().unwrap().insert("sign_weight".to_owned(), weight.into());
        let signs: Vec<toml::Value> = signs.iter().map(|name| (*name).into()).collect();
        document["arm"][arm].as_table_mut().unwrap().insert("signs".to_owned(), signs.into());
        let raw = document.try_into::<RawConfig>().map_err(|e| e.to_string())?;
        Config::try_from(raw).map(|_| ()).map_err(|e| e.to_string())
    };
    assert_eq!(with_signs(0.3, "vgg", &["blend", "swirl"]), Ok(()));
    assert_eq!(with_signs(0.3, "vgg", &[]), Ok(()), "as the weight of what is not reconstructed");
    let error = with_signs(0.0, "vgg", &["blend", "swirl"]).unwrap_err();
    assert!(error.contains("loss.sign_weight") && error.contains("blend, swirl"), "{error}");
    let error = with_signs(-1.0, "vgg", &[]).unwrap_err();
    assert!(error.contains("loss.sign_weight"), "{error}");
    let error = with_signs(0.3, "joint", &["blend", "blend"]).unwrap_err();
    assert!(error.contains("arm.joint.signs") && error.contains("blend, blend"), "{error}");
    let error = with_signs(0.3, "joint", &["bland"]).unwrap_err();
    assert!(error.contains("bland") && error.contains("black_hole"), "{error}");
}

#[test]
fn a_mask_at_follow_up_is_told_where_it_is_learnt() {
    let with_followup = |weight: f64, arm: &str| {
        let text = include_str!("../../../../configs/train.toml");
        let mut document: toml::Table = toml::from_str(text).unwrap();
        document["loss"].as_table_mut().unwrap().insert("followup_weight".into(), weight.into());
        document["arm"][arm].as_table_mut().unwrap().insert("followup".to_owned(), true.into());
        let raw = document.try_into::<RawConfig>().unwrap();
        Config::try_from(raw).map(|_| ()).map_err(|e| e.to_string())
    };
    assert_eq!(with_followup(0.5, "joint"), Ok(()));
    let error = with_followup(0.0, "joint").unwrap_err();
    assert!(
        error.contains("loss.followup_weight") && error.contains("`followup = true`"),
        "{error}"
    );
    let error = with_followup(-1.0, "joint").unwrap_err();
    assert!(error.contains("loss.followup_weight"), "{error}");
    let error = with_followup(0.5, "vgg").unwrap_err();
    assert!(error.contains("arm.vgg.followup") && error.contains("no mask"), "{error}");
}

/// The config of the demo with some of its loss and sampler otherwise.
fn with_loss(kind: &str, calibration: &str, changes: &[(&str, f64)]) -> Result<(), String> {
    let text = include_str!("../../../../configs/train.toml");
    let mut document: toml::Table = toml::from_str(text).unwrap();
    document.insert("calibration".to_owned(), calibration.into());
    let sampler = document["sampler"].as_table_mut().unwrap();
    sampler.insert("kind".to_owned(), kind.into());
    let loss = document["loss"].as_table_mut().unwrap();
    for (key, value) in changes {
        loss.insert((*key).to_owned(), (*value).into());
    }
    let raw = document.try_into::<RawConfig>().unwrap();
    Config::try_from(raw).map(|_| ()).map_err(|e| e.to_string())
}

#[test]
fn no_correction_of_the_prior_is_made_twice() {
    let (weights, adjustment) = (("effective_number_beta", 0.9), ("logit_adjustment", 1.0));
    for correction in [weights, adjustment] {
        assert_eq!(with_loss("instance", "temperature", &[correction]), Ok(()));
        for kind in ["square_root", "class_balanced", "site_class_balanced"] {
            let error = with_loss(kind, "temperature", &[correction]).unwrap_err();
            assert!(error.contains(correction.0) && error.contains("already"), "{error}");
        }
    }
    let error = with_loss("instance", "temperature", &[weights, adjustment]).unwrap_err();
    assert!(error.contains("loss.logit_adjustment"), "{error}");
    let error = with_loss("effective_number", "temperature", &[]).unwrap_err();
    assert!(error.contains("sampler.beta"), "{error}");
}

#[test]
fn a_loss_that_distorts_probabilities_is_recalibrated() {
    for change in [("focal_gamma", 2.0), ("ldam_margin", 0.5)] {
        for calibration in ["platt", "isotonic"] {
            assert_eq!(with_loss("instance", calibration, &[change]), Ok(()));
        }
        for calibration in ["none", "temperature"] {
            let error = with_loss("instance", calibration, &[change]).unwrap_err();
            assert!(error.contains(change.0) && error.contains("platt"), "{error}");
        }
    }
}

#[test]
fn group_dro_weighs_the_classes_alone_and_is_recalibrated() {
    let with = |top: &str, sampler: &str, loss: &str| {
        let dro = "across = \"group_dro\"\nacross_strength = 0.01";
        crate::cohort::tests::checked(&format!(
            "{top}\n[sampler]\n{sampler}\n[loss]\n{dro}\n{loss}"
        ))
        .map(|_| ())
    };
    let (platt, instance) = ("calibration = \"platt\"", "kind = \"instance\"");
    assert_eq!(with(platt, "", ""), Ok(()));
    assert_eq!(with("calibration = \"isotonic\"", instance, ""), Ok(()));
    for calibration in ["calibration = \"none\"", "calibration = \"temperature\""] {
        let error = with(calibration, "", "").unwrap_err();
        assert!(error.contains("loss.across") && error.contains("platt"), "{error}");
    }
    for (sampler, loss, key) in [
        ("by = \"reweighting\"", "", "sampler.by"),
        (instance, "effective_number_beta = 0.9", "loss.effective_number_beta"),
        (instance, "logit_adjustment = 1.0", "loss.logit_adjustment"),
    ] {
        let error = with(platt, sampler, loss).unwrap_err();
        assert!(error.contains(key) && error.contains("group_dro"), "{error}");
    }
}

#[test]
fn what_is_taken_over_are_parts_of_the_network() {
    let finetune =
        |value: &str| checked("", "finetune", value).map(|_| ()).map_err(|e| e.to_string());
    for fine in [
        "{}",
        r#"{ joint = { copied = ["encoder"], frozen = [] } }"#,
        r#"{ vgg = { copied = ["encoder", "hidden"], frozen = ["encoder"], thaw_from_epoch = 6 } }"#,
    ] {
        assert_eq!(finetune(fine), Ok(()), "{fine}");
    }
    let refused = |value: &str, parts: &[&str]| {
        let error = finetune(value).unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    let both = r#"copied = ["encoder"], frozen = ["encoder"]"#;
    refused(&format!("{{ jiont = {{ {both} }} }}"), &["finetune.jiont", "joint"]);
    refused(r#"{ joint = { copied = [], frozen = [] } }"#, &["finetune.joint.copied"]);
    let parts = "`encoder`, `up`, `decoder`, `segment`, `classify`";
    refused(
        r#"{ joint = { copied = ["encoder", "head"], frozen = [] } }"#,
        &["finetune.joint.copied", parts, "`head`"],
    );
    refused(
        r#"{ joint = { copied = ["encoder", "encoder"], frozen = [] } }"#,
        &["finetune.joint.copied", "once"],
    );
    refused(
        r#"{ joint = { copied = ["encoder"], frozen = ["segment"] } }"#,
        &["finetune.joint.frozen", "(`encoder`)", "`segment`"],
    );
    let all = r#"["encoder", "hidden", "classify"]"#;
    refused(
        &format!("{{ vgg = {{ copied = {all}, frozen = {all} }} }}"),
        &["finetune.vgg.frozen", "fewer than all"],
    );
    for epoch in [0, 7] {
        let value = format!("{{ joint = {{ {both}, thaw_from_epoch = {epoch} }} }}");
        refused(&value, &["finetune.joint.thaw_from_epoch", "7 epochs"]);
    }
    refused(
        r#"{ joint = { copied = ["encoder"], frozen = [], thaw_from_epoch = 2 } }"#,
        &["finetune.joint.thaw_from_epoch", "no part is frozen"],
    );
}
