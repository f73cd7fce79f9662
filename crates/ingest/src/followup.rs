//! The follow-up mask on the grid of the case: where the hematoma grew to.

use hemex_volume::{LabelMap, RigidMotion, dilate_mm, register};

use crate::case::{Found, Native, Tools};
use crate::guard::guarded;
use crate::layout::Scan;
use crate::masks::is_same_grid;
use crate::prepare::Prepared;
use crate::unusable::FOLLOWUP;
use crate::{FollowupMasks, Unusable};

/// Correlation of the two registered scans from which on they are believed to show one head in one place. Phantom heads in
/// slices of 8 mm reach 0.93 to 0.98 with themselves, and 0.46 to 0.96 with one another: what was not found is told, a
/// mix-up of two patients not always.
const LEAST_AGREEMENT: f64 = 0.9;

/// What is looked at: the brain and so much of the skull around it, mm. A jaw, a neck and a headrest keep no place to it.
const SKULL_MM: f64 = 10.0;

/// Why a follow-up mask stays where it was scanned. That costs the case nothing else.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Left {
    /// Nothing to register.
    #[error("it has no follow-up CT to register")]
    NoImage,
    /// The follow-up CT, or the mask on it, cannot be used.
    #[error("{0}")]
    Unusable(#[from] Unusable),
    /// The scans show two heads, or one that was not found back.
    #[error(
        "once registered, the follow-up CT correlates with the baseline CT by {agreement:.2}, expected \
         {} or more",
        LEAST_AGREEMENT
    )]
    Strangers {
        /// Their correlation.
        agreement: f64,
    },
}

/// The follow-up mask on the grid of the prepared image, by the way that the config says; `None` if it wants none.
pub(crate) fn carried(
    mask: &LabelMap,
    scan: &Scan,
    prepared: &Prepared,
    tools: &Tools<'_>,
    found: &mut Found,
) -> Option<Result<LabelMap, Left>> {
    let target = prepared.image.geometry();
    match tools.config.followup_masks {
        FollowupMasks::None => None,
        FollowupMasks::AsScanned => Some(Ok(mask.resample(target))),
        FollowupMasks::Registered => {
            let motion = motion(mask, scan, prepared, tools, found);
            Some(motion.map(|motion| mask.resample_moved(&motion, target)))
        }
    }
}

/// From points of the baseline scan to those of the follow-up scan.
fn motion(
    mask: &LabelMap,
    scan: &Scan,
    prepared: &Prepared,
    tools: &Tools<'_>,
    found: &mut Found,
) -> Result<RigidMotion, Left> {
    let files =
        scan.followup_image.as_ref().map_err(Clone::clone)?.as_ref().ok_or(Left::NoImage)?;
    // What it is a series of is its own affair; what is odd about it is not.
    let mut own = Found::default();
    let native = guarded(|| Native::read(files, tools, &mut own)).map_err(|e| e.of(FOLLOWUP))?;
    found.notes.extend(own.notes.iter().map(|note| format!("{FOLLOWUP}: {note}")));
    if !is_same_grid(&mask.geometry().to_ras(), &native.image.geometry().to_ras()) {
        let problem = "its grid is not that of its image".to_owned();
        return Err(Unusable::Volume { what: "follow-up mask", problem }.into());
    }
    // Seen within one window, as the prepared image is.
    let [low, high] = tools.config.preparation.window_hu;
    let moving = native.image.clip(low, high);
    let unsound = |error: hemex_volume::VolumeError| Unusable::Volume {
        what: FOLLOWUP,
        problem: error.to_string(),
    };
    let fixed = &prepared.image;
    let brain = prepared.brain.mask(&[1]);
    let skull = dilate_mm(&brain, fixed.geometry(), SKULL_MM).map_err(unsound)?;
    let skull = skull.into_iter().map(u8::from).collect();
    let region = LabelMap::new(*fixed.geometry(), skull).map_err(unsound)?;
    let registered = register(&moving, fixed, Some(&region)).map_err(unsound)?;
    let (motion, agreement) = (registered.motion, registered.agreement);
    if agreement < LEAST_AGREEMENT {
        return Err(Left::Strangers { agreement });
    }
    found.notes.push(format!(
        "{FOLLOWUP}: turned by {:.1}° against the baseline CT, correlation {agreement:.2}",
        motion.angle_deg()
    ));
    Ok(motion)
}
