use std::fmt::{Display, Formatter};
use std::time::Duration;

/// Where the time of an epoch's steps went.
#[derive(Default)]
pub(crate) struct Profile {
    pub(crate) forward: Duration,
    pub(crate) backward: Duration,
    /// Clipping and the optimizer.
    pub(crate) update: Duration,
    /// For windows that were not made yet.
    pub(crate) waiting: Duration,
}

impl Display for Profile {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let all = (self.forward + self.backward + self.update + self.waiting).as_secs_f64();
        let share = |part: Duration| 100.0 * part.as_secs_f64() / all.max(f64::MIN_POSITIVE);
        write!(
            f,
            "steps took {all:.1} s, {:.1} % forward, {:.1} % backward, {:.1} % update, {:.1} % waiting for windows",
            share(self.forward),
            share(self.backward),
            share(self.update),
            share(self.waiting)
        )
    }
}
