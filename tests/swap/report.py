"""Stands in for hemex-report: AUROC of each arm, a mean over its models, undefined if it is for one of them."""

import csv
import html
import json
import sys

request = json.load(open(sys.argv[1]))
labels, splits = (request["inputs"][name][0]["path"] for name in ["labels", "splits"])
out = request["outputs"]["report"]["path"]
growth = {row["case_id"]: row["growth"] for row in csv.DictReader(open(f"{labels}/labels.csv"))}
tested = {
    (row["regime"], row["fold"], row["case_id"])
    for row in csv.DictReader(open(f"{splits}/splits.csv"))
    if row["role"] == "test"
}


def auroc(scores):
    """How often a case that grew scores above one that did not; None if there is but one class."""
    pairs = [(a > b) + (a == b) / 2 for a, grew in scores for b, other in scores if grew > other]
    return sum(pairs) / len(pairs) if pairs else None


arms = {}
for predictions in request["inputs"]["predictions"]:  # a list: this stage lacks the matrix's axes
    card = json.load(open(f"{predictions['path']}/predictions.json"))
    rows = [
        row
        for row in csv.DictReader(open(f"{predictions['path']}/predictions.csv"))
        if (card["regime"], str(card["fold"]), row["case_id"]) in tested and growth[row["case_id"]]
    ]
    # A case without a lesion ranks below all others.
    scores = [
        (float(row["probability"] or -1), int(growth[row["case_id"]]))
        for row in rows
        if row["status"] != "refused"
    ]
    model = {"auroc": auroc(scores), "n": len(scores), "n_refused": len(rows) - len(scores)}
    arms.setdefault(card["arm"], []).append(model)
metrics, rows = {}, ""
for arm, models in arms.items():
    values = [model["auroc"] for model in models]
    # A mean over the models in which it is defined would hide the others.
    mean = None if None in values else sum(values) / len(values)
    n, n_refused = (sum(model[count] for model in models) for count in ["n", "n_refused"])
    metrics[arm] = {"auroc": {"value": mean, "n": n, "n_refused": n_refused}, "models": models}
    shown = "not defined" if mean is None else f"{mean:.3f}"
    rows += f"<tr><td>{html.escape(arm)}<td>{shown}<td>{n}<td>{n_refused}"
json.dump({"arms": metrics}, open(f"{out}/metrics.json", "w"), indent=1)
head = "<tr><th>arm<th>AUROC<th>cases<th>refused"
page = f"<!doctype html><title>AUROC</title><table>{head}{rows}</table>"
open(f"{out}/report.html", "w").write(page)
