//! Every figure of the cases FIRST to LAST (without LAST), one `seed,name,value` a line, for
//! `tests/reference/metrics.py --full` to hold against its own.
#![expect(clippy::unwrap_used, reason = "a failed figure may panic")]

#[path = "../tests/reference_cases/mod.rs"]
mod reference_cases;

fn main() {
    let range: Vec<u64> = std::env::args().skip(1).map(|arg| arg.parse().unwrap()).collect();
    for seed in range[0]..range[1] {
        for (name, value) in reference_cases::figures(seed) {
            println!(
                "{seed},{name},{}",
                value.map_or("undefined".to_owned(), |v| format!("{v:?}"))
            );
        }
    }
}
