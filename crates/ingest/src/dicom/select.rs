//! Which series of a case is read.
//!
//! 1. Files that are no axial CT slice of a head are out, each for a reason that is counted.
//! 2. Of a series that covers each position several times, each acquisition counts as a series.
//! 3. A series that covers less than [`COVERED`] of the longest one is out.
//! 4. Of those left, the one of the wanted kernel; then of the wanted thickness; then the one with the
//!    most slices; then with the lowest number; then UID.

use std::collections::{BTreeMap, BTreeSet};

use hemex_volume::vector::{cross, dot};
use serde::{Deserialize, Serialize};

use super::header::{Content, Other, Slice};
use super::stack::SAME_MM;
use crate::kernel::{self, Sharpness};
use crate::{DicomSettings, SliceThickness, Unusable};

/// Part of the longest series' extent that a series must cover.
const COVERED: f64 = 0.8;

/// Slices with steps below it are thin, mm.
const THIN_MM: f64 = 2.5;

/// A series that was looked at, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its number, if it has one.
    pub series_number: Option<i64>,
    /// Its UID; for the private artifact alone.
    pub series_instance_uid: String,
    /// Images or other objects of it.
    pub n_objects: usize,
    /// Whether it was taken.
    pub taken: bool,
    /// Why, or why not.
    pub reason: String,
}

/// The series that stands for the case, and all that were looked at.
#[derive(Debug)]
pub(super) struct Chosen {
    /// Ordered by position along the normal.
    pub(super) slices: Vec<Slice>,
    pub(super) candidates: Vec<Candidate>,
}

/// Slices of one series, or of one acquisition of it.
struct Group {
    slices: Vec<Slice>,
    /// `true` where the series had several acquisitions.
    is_part: bool,
}

/// Chooses among what the files of a case are.
pub(super) fn choose(contents: Vec<Content>, settings: &DicomSettings) -> Result<Chosen, Unusable> {
    let mut series: BTreeMap<(Option<i64>, String), Vec<Slice>> = BTreeMap::new();
    let mut others: BTreeMap<(Option<i64>, String, &'static str), usize> = BTreeMap::new();
    let (mut n_files, mut n_damaged) = (0, 0);
    for content in contents {
        n_files += 1;
        match content {
            Content::Foreign => n_files -= 1,
            Content::Damaged => n_damaged += 1,
            Content::Other(Other { series_uid, series_number, what }) => {
                *others.entry((series_number, series_uid, what)).or_default() += 1;
            }
            Content::Slices(slices) => {
                for slice in slices {
                    let key = (slice.series.number, slice.series.uid.clone());
                    series.entry(key).or_default().push(slice);
                }
            }
        }
    }
    if n_files == 0 {
        return Err(Unusable::NoDicom);
    }
    // It may be a slice of the very series: without it the volume would have a gap.
    if n_damaged > 0 {
        return Err(Unusable::DamagedDicom { n: n_damaged, n_files });
    }
    let groups: Vec<Group> = series.into_values().flat_map(acquisitions).collect();
    if groups.is_empty() {
        let found: Vec<String> =
            others.iter().map(|((.., what), n)| format!("{n} {what}")).collect();
        return Err(Unusable::NoSeries { found: found.join(", ") });
    }
    let slices = groups.iter().flat_map(|group| &group.slices);
    let studies: BTreeSet<&str> = slices.map(|slice| slice.series.study_uid.as_str()).collect();
    if studies.len() > 1 {
        let problem = format!(
            "its files are of {} studies, expected one; part them, or set `layout = \"dicom\"`",
            studies.len()
        );
        return Err(Unusable::series(problem));
    }
    let (slices, mut candidates) = ranked(groups, settings);
    candidates.extend(others.into_iter().map(|((series_number, uid, what), n)| Candidate {
        series_number,
        series_instance_uid: uid,
        n_objects: n,
        taken: false,
        reason: what.to_owned(),
    }));
    Ok(Chosen { slices, candidates })
}

/// The slices in order; each acquisition apart where positions repeat and acquisitions are numbered.
fn acquisitions(mut slices: Vec<Slice>) -> Vec<Group> {
    sort_by_depth(&mut slices);
    let repeats = slices.windows(2).any(|pair| (depth(&pair[0]) - depth(&pair[1])).abs() < SAME_MM);
    let mut parts: BTreeMap<Option<i64>, Vec<Slice>> = BTreeMap::new();
    for slice in slices {
        let part = if repeats { slice.acquisition_number } else { None };
        parts.entry(part).or_default().push(slice);
    }
    let is_part = parts.len() > 1;
    parts.into_values().map(|slices| Group { slices, is_part }).collect()
}

/// Along the normal of the slice's own plane; of one position in the order of instances, so that the
/// order of files changes nothing.
fn sort_by_depth(slices: &mut [Slice]) {
    slices.sort_by(|a, b| {
        depth(a)
            .total_cmp(&depth(b))
            .then_with(|| a.sop_instance_uid.cmp(&b.sop_instance_uid))
            .then_with(|| a.frame_idx.cmp(&b.frame_idx))
    });
}

fn depth(slice: &Slice) -> f64 {
    dot(slice.position_mm, cross(slice.orientation[0], slice.orientation[1]))
}

impl Group {
    fn extent_mm(&self) -> f64 {
        match (self.slices.first(), self.slices.last()) {
            (Some(first), Some(last)) => depth(last) - depth(first),
            _ => 0.0,
        }
    }

    /// The median step, mm.
    fn step_mm(&self) -> f64 {
        let mut steps: Vec<f64> =
            self.slices.windows(2).map(|pair| depth(&pair[1]) - depth(&pair[0])).collect();
        steps.sort_by(f64::total_cmp);
        steps.get(steps.len() / 2).copied().unwrap_or_default()
    }

    fn thickness(&self) -> SliceThickness {
        if self.step_mm() < THIN_MM { SliceThickness::Thin } else { SliceThickness::Thick }
    }

    fn sharpness(&self) -> Option<Sharpness> {
        let name = self.slices.first()?.series.convolution_kernel.as_deref()?;
        kernel::sharpness(name)
    }

    /// What is compared, the better the larger.
    fn rank(&self, settings: &DicomSettings) -> [usize; 3] {
        let by_kernel = match self.sharpness() {
            Some(found) if found == settings.kernel => 2,
            None => 1,
            Some(_) => 0,
        };
        [by_kernel, usize::from(self.thickness() == settings.slices), self.slices.len()]
    }

    fn described(&self) -> String {
        let kernel = match self.sharpness() {
            Some(Sharpness::Soft) => "soft-tissue kernel",
            Some(Sharpness::Bone) => "bone kernel",
            None => "unknown kernel",
        };
        let part = if self.is_part { ", one of several acquisitions" } else { "" };
        let (n, step_mm) = (self.slices.len(), self.step_mm());
        format!("{n} axial slices every {step_mm:.2} mm, {kernel}{part}")
    }

    fn candidate(&self, taken: bool, why: &str) -> Candidate {
        let series = self.slices.first().map(|slice| &slice.series);
        Candidate {
            series_number: series.and_then(|series| series.number),
            series_instance_uid: series.map(|series| series.uid.clone()).unwrap_or_default(),
            n_objects: self.slices.len(),
            taken,
            reason: format!("{}: {why}", self.described()),
        }
    }
}

/// The slices of the best group, and all groups as candidates.
fn ranked(groups: Vec<Group>, settings: &DicomSettings) -> (Vec<Slice>, Vec<Candidate>) {
    let longest_mm = groups.iter().map(Group::extent_mm).fold(0.0, f64::max);
    let covers = |group: &Group| group.extent_mm() >= COVERED * longest_mm;
    // The first of equal ones: groups are ordered by number, then UID.
    let best = (0..groups.len())
        .rev()
        .filter(|i| covers(&groups[*i]))
        .max_by_key(|i| groups[*i].rank(settings))
        .unwrap_or_default();
    let rank = groups[best].rank(settings);
    let mut candidates = Vec::with_capacity(groups.len());
    let mut slices = Vec::new();
    for (i, group) in groups.into_iter().enumerate() {
        let (found, is_best) = (group.rank(settings), i == best);
        let why = match () {
            () if is_best => "taken",
            () if !covers(&group) => "covers too little of the head",
            () if found[0] < rank[0] => "not the wanted kernel",
            () if found[0] == rank[0] && found[1] < rank[1] => "not the wanted slice thickness",
            () if found[2] < rank[2] => "fewer slices",
            () => "a series of the same kind has a lower number",
        };
        candidates.push(group.candidate(is_best, why));
        if is_best {
            slices = group.slices;
        }
    }
    (slices, candidates)
}
