//! Golden figures of draws, digests and cache keys; `cargo xtask regress -p stage`.
//!
//! If one moves, every seeded result or every published artifact of the past is lost.
#![expect(clippy::unwrap_used, reason = "a failed figure may panic")]

use hemex_stage::digest::{self, FileRecord};
use hemex_stage::{CONTRACT_VERSION, DrawKey, KeyParts};
use rand::RngExt;
use serde_json::json;

fn main() {
    let first = |key: DrawKey| key.rng().random::<f64>();
    let key = || DrawKey::new(1, "stage.regress");
    println!("draw {}", first(key()));
    println!("draw_of_seed {}", first(DrawKey::new(2, "stage.regress")));
    println!("draw_of_purpose {}", first(DrawKey::new(1, "stage.other")));
    println!("draw_of_epoch {}", first(key().epoch(3)));
    println!("draw_of_case {}", first(key().case("case-a")));
    println!("draw_of_slice {}", first(key().slice(3)));
    println!("draw_of_repeat {}", first(key().repeat(3)));
    let mut rng = key().rng();
    println!("index_drawn {}", (0..20).map(|_| rng.random_range(0..1000)).sum::<u32>());

    // 52 bits of a digest fit a float exactly.
    let number = |hex: &str| u64::from_str_radix(&hex[..13], 16).unwrap();
    println!("digest {}", number(&digest::bytes(b"hematoma expansion")));
    let record = |path: &str| FileRecord { path: path.into(), size: 9, sha256: "ab".repeat(32) };
    println!("folder_digest {}", number(&digest::of_records(&[record("a"), record("b/c")])));
    let mut parts = KeyParts::default();
    parts.insert("seed", 1);
    parts.insert_tree("config", &json!({ "optimizer": { "rate": 1e-3 }, "window": [1, 2.5] }));
    println!("key_digest {}", number(&parts.digest()));
    println!("contract_version {CONTRACT_VERSION}");
}
