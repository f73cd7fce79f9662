//! SHA-256 of texts, files and folders.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// SHA-256 of bytes, in hex.
pub fn bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of a file's content, in hex.
///
/// # Errors
/// If the file cannot be read.
pub fn file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

/// A file of a folder: its path relative to the folder, its size and digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Path relative to the folder, `/` between parts.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 in hex.
    pub sha256: String,
}

/// Every file below a folder, sorted by path; links are followed.
///
/// # Errors
/// If a folder cannot be listed, or a link leads back to a folder that it lies in.
pub fn list_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next)? {
            let entry = entry?;
            let path = entry.path();
            if !path.is_dir() {
                files.push(path);
                continue;
            }
            if entry.file_type()?.is_symlink()
                && next.canonicalize()?.starts_with(path.canonicalize()?)
            {
                let problem = format!("{} is a link to a folder that it lies in", path.display());
                return Err(io::Error::other(problem));
            }
            folders.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Records of every file below a folder, sorted by path. `memory` spares the hashing of files that
/// have not changed since.
///
/// # Errors
/// If a file cannot be read.
pub fn folder(folder: &Path, mut memory: Option<&mut DigestMemory>) -> io::Result<Vec<FileRecord>> {
    list_files(folder)?
        .into_iter()
        .map(|path| {
            let size = path.metadata()?.len();
            let sha256 = match memory.as_deref_mut() {
                Some(memory) => memory.digest(&path)?,
                None => file(&path)?,
            };
            let relative = path.strip_prefix(folder).unwrap_or(&path);
            Ok(FileRecord { path: relative.to_string_lossy().into_owned(), size, sha256 })
        })
        .collect()
}

/// One digest of a folder from the records of its files.
pub fn of_records(records: &[FileRecord]) -> String {
    let mut hash = Sha256::new();
    for record in records {
        hash.update(format!("{}\0{}\0{}\n", record.path, record.size, record.sha256));
    }
    hex(&hash.finalize())
}

/// Digests of files remembered by path, size, time of change and inode.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct DigestMemory {
    files: BTreeMap<PathBuf, (u64, i64, i64, u64, String)>,
}

impl DigestMemory {
    /// The memory kept in a file; empty if there is none or it cannot be read, since it only spares work.
    pub fn load(path: &Path) -> Self {
        let text = std::fs::read(path).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Keeps the memory in a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let part = path.with_extension("part");
        std::fs::write(&part, serde_json::to_vec(self)?)?;
        std::fs::rename(part, path)
    }

    fn digest(&mut self, path: &Path) -> io::Result<String> {
        let meta = path.metadata()?;
        let stamp = (meta.len(), meta.mtime(), meta.mtime_nsec(), meta.ino());
        if let Some((size, s, ns, inode, sha256)) = self.files.get(path)
            && (*size, *s, *ns, *inode) == stamp
        {
            return Ok(sha256.clone());
        }
        let sha256 = file(path)?;
        let entry = (stamp.0, stamp.1, stamp.2, stamp.3, sha256.clone());
        self.files.insert(path.to_owned(), entry);
        Ok(sha256)
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
