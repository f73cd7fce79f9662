"""Stands in for hemex-predict, for models of swap/train.py: what is as bright as blood is the lesion."""

import csv
import json
import math
import sys

import nifti

BLOOD_HU, BONE_HU, SMALLEST_ML = 48, 90, 0.5

request = json.load(open(sys.argv[1]))
cases, splits, model = (request["inputs"][name][0]["path"] for name in ["cases", "splits", "model"])
out = request["outputs"]["predictions"]["path"]
model = json.load(open(f"{model}/model.json"))
unit = model["regime"], str(model["fold"])
# Each case once, since slices of one case may each have a row.
wanted = dict.fromkeys(
    row["case_id"]
    for row in csv.DictReader(open(f"{splits}/splits.csv"))
    if (row["regime"], row["fold"]) == unit and row["role"] in ("val", "test")
)
with open(f"{out}/predictions.csv", "w", newline="") as file:
    table = csv.writer(file)
    table.writerow("case_id,status,reason,probability,logit,volume_ml,uncertainty".split(","))
    for case in wanted:
        (n_x, _, _), affine, image = nifti.read(f"{cases}/images/{case}.nii")
        _, _, brain = nifti.read(f"{cases}/brain/{case}.nii")
        bright = [inside and BLOOD_HU < hu < BONE_HU for hu, inside in zip(image, brain)]
        # The corners of 3 x 3 voxels are all bright in blood, seldom in noise or the rim of the skull.
        corners = zip(bright, bright[2:], bright[2 * n_x :], bright[2 * n_x + 2 :])
        n = sum(map(all, corners))
        volume = n * affine[0][0] * affine[1][1] * affine[2][2] / 1000
        if volume < SMALLEST_ML:
            table.writerow([case, "no_lesion", "", "", "", volume, ""])
            continue
        logit = model["intercept"] + model["slope"] * (math.log(volume) - model["mean"])
        table.writerow([case, "ok", "", 1 / (1 + math.exp(-logit)), logit, volume, ""])
card = {name: model[name] for name in ["arm", "regime", "fold", "seed"]}
card.update(mask_threshold=0.5, has_masks=False)
json.dump(card, open(f"{out}/predictions.json", "w"))
