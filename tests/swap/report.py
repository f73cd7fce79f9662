"""Stands in for hemex-report: AUROC of each arm, a mean over its models."""

import csv
import json
import sys

request = json.load(open(sys.argv[1]))
labels, splits = (request["inputs"][name][0]["path"] for name in ["labels", "splits"])
out = request["outputs"]["report"]["path"]
growth = {row["case_id"]: row["growth"] for row in csv.DictReader(open(f"{labels}/labels.csv"))}
roles = {
    (row["regime"], row["fold"], row["case_id"]): row["role"]
    for row in csv.DictReader(open(f"{splits}/splits.csv"))
}


def auroc(scores):
    """How often a case that grew scores above one that did not; None if there is but one class."""
    pairs = [(a > b) + (a == b) / 2 for a, grew in scores for b, other in scores if grew > other]
    return sum(pairs) / len(pairs) if pairs else None


arms = {}
for predictions in request["inputs"]["predictions"]:  # a list: this stage lacks the matrix's axes
    card = json.load(open(f"{predictions['path']}/predictions.json"))
    tested = [
        (float(row["probability"] or -1), int(growth[row["case_id"]]))
        for row in csv.DictReader(open(f"{predictions['path']}/predictions.csv"))
        if roles[card["regime"], str(card["fold"]), row["case_id"]] == "test" and row["status"] != "refused"
    ]
    arms.setdefault(card["arm"], []).append({"auroc": auroc(tested), "n": len(tested)})
metrics, rows = {}, ""
for arm, models in arms.items():
    defined = [model["auroc"] for model in models if model["auroc"] is not None]
    mean = sum(defined) / len(defined) if defined else None
    n = sum(model["n"] for model in models)
    metrics[arm] = {"auroc": {"value": mean, "n": n}, "models": models}
    rows += f"<tr><td>{arm}<td>{mean}<td>{n}"
json.dump({"arms": metrics}, open(f"{out}/metrics.json", "w"), indent=1)
html = f"<!doctype html><title>AUROC</title><table><tr><th>arm<th>AUROC<th>cases{rows}</table>"
open(f"{out}/report.html", "w").write(html)
