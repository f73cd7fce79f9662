"""Stands in for hemex-augment: every case once more, left and right exchanged."""

import csv
import json
import os
import shutil
import sys

import nifti

request = json.load(open(sys.argv[1]))
cases = request["inputs"]["cases"][0]["path"]
examples = request["outputs"]["examples"]["path"]
rows = list(csv.DictReader(open(f"{cases}/cases.csv")))
native = json.load(open(f"{cases}/geometry.json"))
for folder in ["images", "brain"]:
    os.makedirs(f"{examples}/{folder}")
    for row in rows:
        case = row["case_id"]
        shape, affine, voxels = nifti.read(f"{cases}/{folder}/{case}.nii")
        for start in range(0, len(voxels), shape[0]):
            line = voxels[start : start + shape[0]]
            line.reverse()
            voxels[start : start + shape[0]] = line
        nifti.write(f"{examples}/{folder}/{case}-mirrored.nii", shape, affine, voxels)
with open(f"{examples}/cases.csv", "w", newline="") as file:
    table = csv.DictWriter(file, rows[0].keys())
    table.writeheader()
    table.writerows({**row, "case_id": f"{row['case_id']}-mirrored"} for row in rows)
geometry = {f"{case}-mirrored": native[case] for case in native}
json.dump(geometry, open(f"{examples}/geometry.json", "w"))
open(f"{examples}/exclusions.csv", "w").write("case_id,reason\n")
shutil.copy(f"{cases}/preparation.json", examples)
