"""Stands in for hemex-shift: no correction, every training case weighs 1."""

import csv
import json
import sys

request = json.load(open(sys.argv[1]))
splits = request["inputs"]["splits"][0]["path"]
weights = request["outputs"]["weights"]["path"]
train, target = {}, {}
for row in csv.DictReader(open(f"{splits}/splits.csv")):
    fold = row["regime"], int(row["fold"])
    # A dict, since slices of one case may each have a row.
    train.setdefault(fold, {}).update({row["case_id"]: 1} if row["role"] == "train" else {})
    target.setdefault(fold, {}).update({row["case_id"]: 1} if row["role"] == "target" else {})
with open(f"{weights}/weights.csv", "w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["regime", "fold", "case_id", "weight"])
    for (regime, fold), cases in train.items():
        table.writerows([regime, fold, case, 1] for case in cases)
summaries = [
    {"regime": regime, "fold": fold, "n_train": len(cases), "n_target": len(target[regime, fold]),
     "effective_sample_size": len(cases), "domain_auroc": None, "overlap": None, "features": [],
     "features_reported_only": [], "n_clipped": 0}
    for (regime, fold), cases in train.items()
]
json.dump(summaries, open(f"{weights}/weights.json", "w"))
