//! A last resort against panics in readers of other people's files.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::Unusable;

thread_local! {
    /// How many guarded calls this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Runs `work`; a panic within costs the case alone and is not reported on stderr, since its message
/// may hold what the file holds.
///
/// Work that is handed to other threads needs a guard of its own there.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Unusable>) -> Result<T, Unusable> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if DEPTH.get() == 0 {
                loud(info);
            }
        }));
    });
    DEPTH.set(DEPTH.get() + 1);
    // What a panic leaves half done belongs to the case, which is dropped.
    let result = catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    result.unwrap_or(Err(Unusable::Panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_reason() {
        let bytes: &[u8] = &[];
        assert_eq!(guarded(|| Ok(bytes[std::hint::black_box(7)])), Err(Unusable::Panic));
        assert_eq!(guarded(|| guarded(|| Ok(1))), Ok(1));
        assert_eq!(DEPTH.get(), 0);
    }
}
