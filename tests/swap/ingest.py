"""Stands in for hemex-ingest: reads the NIfTI scans of a BIDS dataset, holds out one site a fold."""

import array
import csv
import glob
import hashlib
import json
import os
import sys

import nifti

request = json.load(open(sys.argv[1]))
raw = request["inputs"]["raw"][0]["path"]
out = {name: output["path"] for name, output in request["outputs"].items()}
config = request["config"]
low, high = config["window_hu"]


def resample(shape, affine, voxels):
    """Nearest neighbours on the canonical grid (RAS+, configured spacing): rows [z][y][x], affine."""
    maps, origin = [], []
    for axis, spacing in enumerate(reversed(config["spacing_mm"])):
        step, first = affine[axis][axis], affine[axis][3]
        n = int(shape[axis] * abs(step) / spacing)
        indices = [min(int((i + 0.5) * spacing / abs(step)), shape[axis] - 1) for i in range(n)]
        maps.append(indices if step > 0 else [shape[axis] - 1 - i for i in indices])
        origin.append(min(first, first + step * (shape[axis] - 1)) + (spacing - abs(step)) / 2)
    x, y, z = maps
    starts = [[(k * shape[1] + j) * shape[0] for j in y] for k in z]
    grid = [[[voxels[start + i] for i in x] for start in plane] for plane in starts]
    d, h, w = config["spacing_mm"]
    return grid, [[w, 0, 0, origin[0]], [0, h, 0, origin[1]], [0, 0, d, origin[2]]]


def between_bone(line):
    bone = [i for i, hu in enumerate(line) if hu > 300]
    return range(bone[0], bone[-1]) if bone else range(0)


def brain_of(plane):
    """Soft tissue with bone on all four sides."""
    rows, columns = [between_bone(row) for row in plane], [between_bone(c) for c in zip(*plane)]
    inside = lambda x, y, hu: x in rows[y] and y in columns[x] and -30 < hu < 150
    return [[int(inside(x, y, hu)) for x, hu in enumerate(row)] for y, row in enumerate(plane)]


def flat(grid, code):
    return array.array(code, (value for plane in grid for row in plane for value in row))


def volume_ml(shape, affine, voxels):
    return voxels.count(1) * abs(affine[0][0] * affine[1][1] * affine[2][2]) / 1000


def find(subject, session, ending):
    found = glob.glob(f"{raw}/{subject}/ses-{session}/ct/*_{ending}.nii.gz")
    return nifti.read(found[0]) if found else None


def table(output, name, columns, rows):
    with open(f"{out[output]}/{name}", "w", newline="") as file:
        csv.writer(file).writerows([columns.split(","), *rows])


for folder in ["cases/images", "cases/brain", "labels/masks"]:
    output, name = folder.split("/")
    os.makedirs(f"{out[output]}/{name}")
cases, exclusions, geometry, labels, mapping = [], [], {}, [], []
for row in csv.DictReader(open(f"{raw}/participants.tsv"), delimiter="\t"):
    subject = row["participant_id"]
    digits = hashlib.sha256(f"{request['seed']}{subject}".encode()).hexdigest()[:10]
    case, patient = f"case-{digits}", f"patient-{digits}"
    mapping.append([case, patient, subject, subject])
    scan, mask, followup = (
        find(subject, "baseline", "ct"),
        find(subject, "baseline", "dseg"),
        find(subject, "followup", "dseg"),
    )
    if scan is None or mask is None:
        exclusions.append([case, "no NIfTI image with a mask"])
        continue
    image, affine = resample(*scan)
    shape = len(image[0][0]), len(image[0]), len(image)
    brain = [brain_of(plane) for plane in image]
    clipped = [[[min(max(hu, low), high) for hu in line] for line in plane] for plane in image]
    nifti.write(f"{out['cases']}/images/{case}.nii", shape, affine, flat(clipped, "f"))
    nifti.write(f"{out['cases']}/brain/{case}.nii", shape, affine, flat(brain, "B"))
    nifti.write(f"{out['labels']}/masks/{case}.nii", shape, affine, flat(resample(*mask)[0], "B"))
    known = lambda column: "" if row.get(column) in (None, "n/a") else row[column]
    spacing = [abs(scan[1][axis][axis]) for axis in (2, 1, 0)]
    cases.append([case, patient, row["site"], known("age"), known("sex"), known("onset_to_ct_h"),
                  known("anticoagulation"), known("gcs"), known("ivh"), "nifti", *spacing, "", ""])
    geometry[case] = {"shape": scan[0][::-1], "affine": scan[1]}
    before, after = volume_ml(*mask), volume_ml(*followup) if followup else None
    growth, why = "", "no follow-up mask"
    if after is not None:
        growth, why = int(after > 1.33 * before or after > before + 6), ""
    labels.append([case, growth, why, before, after, known("followup_interval_h"),
                   f"masks/{case}.nii", "", ""])

# Fold i holds out the i-th site: every second of its patients is the unlabelled target of the weights.
growth_of = {label[0]: label[1] for label in labels}
splits = []
for fold, held_out in enumerate(sorted({case[2] for case in cases})):
    seen = {}
    for case, patient, site, *_ in sorted(cases, key=lambda case: case[0]):
        nth = seen[site == held_out, growth_of[case]] = seen.get((site == held_out, growth_of[case]), -1) + 1
        if growth_of[case] != "":
            roles = ["test", "target"] if site == held_out else ["train", "train", "train", "val"]
            splits.append([case, "", patient, site, "site", fold, roles[nth % len(roles)]])

table("cases", "cases.csv", "case_id,patient_id,site,age_years,sex,onset_to_ct_h,anticoagulation,gcs,"
      "ivh,source_format,native_spacing_d_mm,native_spacing_h_mm,native_spacing_w_mm,"
      "convolution_kernel,noise_hu", cases)
table("cases", "exclusions.csv", "case_id,reason", exclusions)
table("labels", "labels.csv", "case_id,growth,growth_undefined_reason,baseline_volume_ml,"
      "followup_volume_ml,followup_interval_h,mask,true_probability,true_probability_image_signs", labels)
table("splits", "splits.csv", "case_id,slice_idx,patient_id,site,regime,fold,role", splits)
table("private", "mapping.csv", "case_id,patient_id,source_id,source_path", mapping)
preparation = {"version": "example", "spacing_mm": config["spacing_mm"], "window_hu": [low, high]}
for path, content in [("cases/geometry.json", geometry), ("cases/preparation.json", preparation),
                      ("labels/labels.json", {"rule": {"relative_growth": 0.33}, "oracle": None})]:
    output, name = path.split("/")
    json.dump(content, open(f"{out[output]}/{name}", "w"))
if exclusions:
    print(json.dumps({"warning": f"{len(exclusions)} cases are excluded; exclusions.csv says why"}))
