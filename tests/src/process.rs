use std::collections::BTreeMap;
use std::fs;

/// Every process that this one started, and those that they started, by `/proc`.
pub fn descendants(process: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // `id (name) state parent …`, where the name may hold spaces.
        let parent =
            stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![process];
    while let Some(next) = open.pop() {
        let next = children.remove(&next).unwrap_or_default();
        found.extend(&next);
        open.extend(next);
    }
    found
}
