"""The event file of the test in crates/train/src/curves.rs, as TensorBoard writes and reads it.

    python3 -m venv /tmp/curves-venv
    /tmp/curves-venv/bin/pip install tensorboard==2.21.0
    /tmp/curves-venv/bin/python tests/reference/curves.py

writes the test's two epochs by TensorBoard's own protocol buffers, reads them back with its loader, and prints the
SHA-256 of the bytes, which stands in the test.
"""

import hashlib
import struct
import tempfile

from tensorboard.backend.event_processing import event_file_loader
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

VALUES = [
    ("loss/train", 1.25),
    ("loss/train, label", 0.75),
    ("loss/validation", 0.875),
    ("validation/AUROC", 0.625),
    ("learning rate", 0.5),
]


def record(event):
    data = event.SerializeToString()
    length = struct.pack("<Q", len(data))
    crc = lambda part: struct.pack("<I", masked_crc32c(part))
    return length + crc(length) + data + crc(data)


def event(step, **what):
    return event_pb2.Event(wall_time=step, step=step, **what)


def epoch(step):
    values = [summary_pb2.Summary.Value(tag=tag, simple_value=value) for tag, value in VALUES]
    return event(step, summary=summary_pb2.Summary(value=values))


events = [event(0, file_version="brain.Event:2"), epoch(1), epoch(2)]
file = b"".join(record(event) for event in events)
with tempfile.NamedTemporaryFile(suffix=".tfevents") as handle:
    handle.write(file)
    handle.flush()
    for read in event_file_loader.EventFileLoader(handle.name).Load():
        print(read.step, [(v.tag, v.tensor.float_val[:] or v.simple_value) for v in read.summary.value])
print(len(file), hashlib.sha256(file).hexdigest())
