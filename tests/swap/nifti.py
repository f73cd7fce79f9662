"""The little of NIfTI-1 that these stages need: one little-endian volume along the axes of space."""

import array
import gzip
import struct

CODES = {2: "B", 4: "h", 16: "f"}


def read(path):
    """Numbers of voxels (x, y, z), the three rows of the affine, the voxels with x fastest."""
    with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
        data = file.read()
    shape = struct.unpack_from("<3h", data, 42)
    voxels = array.array(CODES[struct.unpack_from("<h", data, 70)[0]])
    offset = int(struct.unpack_from("<f", data, 108)[0])
    size = shape[0] * shape[1] * shape[2] * voxels.itemsize
    if len(data) < offset + size:
        raise ValueError("cut short")
    voxels.frombytes(data[offset : offset + size])
    affine = struct.unpack_from("<12f", data, 280)
    return shape, [affine[0:4], affine[4:8], affine[8:12]], voxels


def write(path, shape, affine, voxels):
    """Writes an array.array of type B, h or f; gzip if the name ends in .gz."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *shape, 1, 1, 1, 1)
    datatype = next(number for number, code in CODES.items() if code == voxels.typecode)
    struct.pack_into("<2h", header, 70, datatype, 8 * voxels.itemsize)
    spacing = [sum(row[axis] ** 2 for row in affine) ** 0.5 for axis in range(3)]
    struct.pack_into("<8f", header, 76, 1, *spacing, 1, 1, 1, 1)
    struct.pack_into("<2f", header, 108, 352, 1)
    header[123] = 2  # mm
    struct.pack_into("<h", header, 254, 1)
    struct.pack_into("<12f", header, 280, *affine[0], *affine[1], *affine[2])
    header[344:348] = b"n+1\0"
    with gzip.GzipFile(path, "wb", 4, mtime=0) if path.endswith(".gz") else open(path, "wb") as file:
        file.write(bytes(header) + voxels.tobytes())
