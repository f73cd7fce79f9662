use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rayon::{Scope, Yield};

use crate::TrainError;
use crate::sample::{Sample, WindowSource};

/// Steps whose windows are made while the network is at work on another.
const N_AHEAD: usize = 2;

/// Makes the windows of an epoch ahead of their steps, on whatever thread has nothing else to do.
///
/// Every window has its own key, so neither the order nor the threads change a bit.
pub(crate) struct Feed<'scope> {
    source: &'scope WindowSource<'scope>,
    epoch: usize,
    n_steps: usize,
    /// Steps begun and not yet taken, the next first.
    begun: VecDeque<Arc<Step>>,
    n_begun: usize,
    waited: Duration,
}

/// The windows of a step as far as they are made.
struct Step {
    samples: Mutex<Vec<Option<Result<Sample, TrainError>>>>,
    n_missing: AtomicUsize,
}

/// One window that is being made; it is missing no longer once this is dropped, be it by a panic.
struct Made<'a>(&'a AtomicUsize);

impl Drop for Made<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl<'scope> Feed<'scope> {
    pub(crate) fn new(source: &'scope WindowSource<'scope>, epoch: usize, n_steps: usize) -> Self {
        Self { source, epoch, n_steps, begun: VecDeque::new(), n_begun: 0, waited: Duration::ZERO }
    }

    /// How long [`next`](Self::next) has kept its caller waiting in all.
    pub(crate) fn waited(&self) -> Duration {
        self.waited
    }

    /// The windows of the next step; `None` after the last, and where one could not be made for a panic, which the scope
    /// raises when it ends.
    pub(crate) fn next(
        &mut self,
        scope: &Scope<'scope>,
    ) -> Option<Result<Vec<Sample>, TrainError>> {
        self.begin_ahead(scope);
        let step = self.begun.pop_front()?;
        let begin = Instant::now();
        while step.n_missing.load(Ordering::Acquire) > 0 {
            // A thread of the pool makes windows itself; any other waits for those that do.
            if rayon::yield_now() != Some(Yield::Executed) {
                std::thread::sleep(Duration::from_micros(20));
            }
        }
        self.waited += begin.elapsed();
        // The next step's windows are made while this one is at work.
        self.begin_ahead(scope);
        let mut samples = step.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.drain(..).collect()
    }

    fn begin_ahead(&mut self, scope: &Scope<'scope>) {
        while self.begun.len() < N_AHEAD && self.n_begun < self.n_steps {
            let n = self.source.batch_size;
            let step = Arc::new(Step {
                samples: Mutex::new((0..n).map(|_| None).collect()),
                n_missing: AtomicUsize::new(n),
            });
            for i in 0..n {
                let (step, source, epoch) = (Arc::clone(&step), self.source, self.epoch);
                let index = self.n_begun * n + i;
                scope.spawn(move |_| {
                    let _made = Made(&step.n_missing);
                    let sample = source.sample(epoch, index);
                    step.samples.lock().unwrap_or_else(PoisonError::into_inner)[i] = Some(sample);
                });
            }
            self.begun.push_back(step);
            self.n_begun += 1;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_augment::{GrowthRule, Policy, RawPolicy};

    use super::*;
    use crate::cohort::tests::{fold, request, spec, transplant, write_cohort};
    use crate::cohort::{Cohort, TrainCase};
    use crate::{Sampler, SamplerKind};

    /// Takes and counts batches of windows of cases that are gone.
    fn take_from_nobody(n_taken: &AtomicUsize) {
        let folder = tempfile::tempdir().unwrap();
        write_cohort(folder.path());
        let (spec, transplant) = (spec(), transplant(0.0));
        let mut cohort = Cohort::read(&request(folder.path()), &fold(&spec, &transplant)).unwrap();
        let drawn: Vec<_> = cohort.train.iter().map(TrainCase::drawn).collect();
        let sampler = Sampler::new(SamplerKind::ClassBalanced, 0.0, &drawn).unwrap();
        cohort.train.clear();
        let source = WindowSource {
            cohort: &cohort,
            sampler: &sampler,
            policy: &Policy::try_from(RawPolicy::NOTHING).unwrap(),
            transplant: &transplant,
            growth: &GrowthRule { relative: 0.33, absolute_ml: 6.0 },
            spec: &spec,
            lesion_window_share: 0.5,
            seed: 5,
            batch_size: 4,
        };
        rayon::in_place_scope(|scope| {
            let mut feed = Feed::new(&source, 0, 3);
            while feed.next(scope).is_some() {
                n_taken.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    #[test]
    fn a_panic_where_a_window_is_made_ends_the_training() {
        let (n_taken, begin) = (Arc::new(AtomicUsize::new(0)), Instant::now());
        let counter = Arc::clone(&n_taken);
        let training = std::thread::spawn(move || take_from_nobody(&counter));
        while !training.is_finished() && begin.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(training.is_finished(), "the scope waits for a window that nobody makes");
        let panic = training.join().unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains("index out of bounds"), "{message}");
        assert_eq!(n_taken.load(Ordering::Relaxed), 0, "batches without all their windows");
    }
}
