"""Stands in for hemex-train: logistic regression of growth on the logarithm of the lesion volume.

The model is this script's own format, which swap/predict.py reads.
"""

import csv
import json
import math
import sys

request = json.load(open(sys.argv[1]))
labels, splits = (request["inputs"][name][0]["path"] for name in ["labels", "splits"])
axes, regime = request["axes"], request["config"]["regime"]
train = {
    row["case_id"]
    for row in csv.DictReader(open(f"{splits}/splits.csv"))
    if (row["regime"], row["fold"], row["role"]) == (regime, str(axes["fold"]), "train")
}
cases = [
    (math.log(float(row["baseline_volume_ml"])), int(row["growth"]))
    for row in csv.DictReader(open(f"{labels}/labels.csv"))
    if row["case_id"] in train
]
if len({growth for _, growth in cases}) < 2:
    sys.exit("error: the training cases are of one class")  # the last lines of stderr say why
mean = sum(volume for volume, _ in cases) / len(cases)
intercept = slope = 0.0
for step in range(2000):
    errors = [(y - 1 / (1 + math.exp(-intercept - slope * (v - mean))), v - mean) for v, y in cases]
    intercept += 0.5 * sum(error for error, _ in errors) / len(cases)
    # A small penalty keeps the slope finite where volume parts the classes.
    slope += 0.5 * (sum(error * v for error, v in errors) / len(cases) - 0.01 * slope)
model = {"format": "example-logistic-regression/1", "arm": axes["arm"], "regime": regime,
         "fold": axes["fold"], "seed": axes["seed"], "mean": mean, "intercept": intercept, "slope": slope}
json.dump(model, open(f"{request['outputs']['model']['path']}/model.json", "w"))
