use std::cell::Cell;

use crate::simd::Level;

/// How a convolution goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// By shape.
    Auto,
    /// Every product of the definition.
    Direct,
    /// Winograd's F(4, 3) over planes: a quarter of the products, errors about ten times as large.
    Winograd,
}

/// Which of the paths the operations of this thread take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Vector instructions.
    pub level: Level,
    /// Of convolutions.
    pub algorithm: Algorithm,
}

thread_local! {
    static FORCED: Cell<Option<Plan>> = const { Cell::new(None) };
}

impl Plan {
    /// The plan of this thread: the fastest one unless [`Plan::force`] is at work.
    pub fn current() -> Plan {
        let fastest = || Plan { level: Level::current(), algorithm: Algorithm::Auto };
        FORCED.get().unwrap_or_else(fastest)
    }

    /// Does the work under this plan. For tests and benches, which must reach every path.
    pub fn force<R>(self, work: impl FnOnce() -> R) -> R {
        /// Puts the former plan back, also when the work panics.
        struct Former(Option<Plan>);
        impl Drop for Former {
            fn drop(&mut self) {
                FORCED.set(self.0);
            }
        }
        let _former = Former(FORCED.replace(Some(self)));
        work()
    }
}
