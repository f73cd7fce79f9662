//! How much is believed of files that other people made: what lies beyond is refused by name, before it
//! costs memory or time.

/// The largest file that is opened, bytes.
pub const MAX_FILE_BYTES: u64 = 4 << 30;

/// The most voxels of a volume: 1,024 slices of 512 × 512, 1 GiB as 32-bit floats.
pub const MAX_VOXELS: usize = 1 << 28;

/// The most bytes of a NIfTI file's extensions, which are skipped.
pub const MAX_EXTENSION_BYTES: u64 = 64 << 20;

/// Bytes that a byte of a deflated stream can become at most: one bit may stand for 129 of the longest
/// repeats, 258 bytes each (RFC 1951), so 1,032 and some for its frame.
pub const MAX_DEFLATE_RATIO: u64 = 1040;

/// The largest DICOM file that is opened, bytes: an Enhanced CT of a head has some hundred megabytes.
pub const MAX_DICOM_BYTES: u64 = 1 << 30;

/// The longest element of a DICOM file's meta group, bytes.
pub const MAX_META_BYTES: u32 = 1 << 20;

/// The most rows or columns of a DICOM image.
pub const MAX_MATRIX: usize = 8192;

/// The most files of a DICOM case.
pub const MAX_DICOM_FILES: usize = 100_000;

/// How deep sequences of a DICOM file may lie in each other; Enhanced CT needs 4.
pub const MAX_NESTING: usize = 16;

/// What a process that parses DICOM may take, bytes of address space.
pub const MAX_WORKER_BYTES: u64 = 6 << 30;

/// How long it may take for a case, s.
pub const MAX_WORKER_SECONDS: u64 = 300;
