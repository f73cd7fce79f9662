"""Stands in for hemex-phantom: heads made of balls, at two sites; those with much blood bleed on.

Every stage works like this one: its argument is a request in JSON, which names the folders to read
and the empty folders to fill, the config, the seed and the place in the matrix. Exit code 0 is success.
"""

import array
import json
import os
import random
import sys

import nifti

SHAPE, SPACING = (76, 76, 26), (2.2, 2.2, 6.0)
AFFINE = [[-SPACING[0], 0, 0, 82.5], [0, -SPACING[1], 0, 82.5], [0, 0, SPACING[2], -75.0]]
HEAD = [(76, 40), (70, 1000), (64, 34)]  # radius in mm, HU within: skin, skull, brain
GRAIN = [-4, -3, -2, -1, 0, 0, 1, 2, 3, 4]


def fill(row, values, y, z, centre, radius):
    """Sets a row's part within a ball."""
    left = radius**2 - (y - centre[1]) ** 2 - (z - centre[2]) ** 2
    if left > 0:
        half = left**0.5
        first = round((82.5 - centre[0] - half) / SPACING[0])
        last = round((82.5 - centre[0] + half) / SPACING[0])
        row[first:last] = array.array(row.typecode, [values]) * (last - first)


def scan(rng, folder, name, blood, site):
    """Writes the CT and the mask of one session."""
    os.makedirs(folder)
    image, mask = array.array("h"), array.array("B")
    for z in (AFFINE[2][3] + SPACING[2] * i for i in range(SHAPE[2])):
        for y in (AFFINE[1][3] - SPACING[1] * i for i in range(SHAPE[1])):
            row, label = array.array("h", [-1000]) * SHAPE[0], array.array("B", [0]) * SHAPE[0]
            for radius, hu in HEAD:
                fill(row, hu + site, y, z, (0, 0, 0), radius)
            fill(row, 62 + site, y, z, *blood)
            fill(label, 1, y, z, *blood)
            image.extend(hu + grain for hu, grain in zip(row, rng.choices(GRAIN, k=SHAPE[0])))
            mask.extend(label)
    nifti.write(f"{folder}/{name}_ct.nii.gz", SHAPE, AFFINE, image)
    nifti.write(f"{folder}/{name}_dseg.nii.gz", SHAPE, AFFINE, mask)


request = json.load(open(sys.argv[1]))
raw = request["outputs"]["raw"]["path"]
rng = random.Random(request["seed"])
with open(f"{raw}/participants.tsv", "w") as table:
    table.write("participant_id\tsite\tage\tsex\tfollowup_interval_h\n")
    for i in range(12):
        subject, site, grows = f"sub-{i:02}", i % 2, i % 3 == 0
        age, radius = rng.randint(45, 85), rng.uniform(13, 18) + (4 if grows else 0)
        table.write(f"{subject}\t{'AB'[site]}\t{age}\t{'FM'[i // 2 % 2]}\t24\n")
        centre = (rng.choice([-25, 25]), rng.uniform(-10, 20), rng.uniform(-10, 10))
        for session, factor in [("baseline", 1), ("followup", 1.25 if grows else 1)]:
            folder = f"{raw}/{subject}/ses-{session}/ct"
            scan(rng, folder, f"{subject}_ses-{session}", (centre, radius * factor), site)
        progress = {"done": i + 1, "total": 12, "unit": "patient"}
        print(json.dumps({"progress": progress}))  # moves the progress bar
