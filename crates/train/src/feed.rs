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

impl<'scope> Feed<'scope> {
    pub(crate) fn new(source: &'scope WindowSource<'scope>, epoch: usize, n_steps: usize) -> Self {
        Self { source, epoch, n_steps, begun: VecDeque::new(), n_begun: 0, waited: Duration::ZERO }
    }

    /// How long [`next`](Self::next) has kept its caller waiting in all.
    pub(crate) fn waited(&self) -> Duration {
        self.waited
    }

    /// The windows of the next step; `None` after the last.
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
        Some(samples.drain(..).flatten().collect())
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
                    let sample = source.sample(epoch, index);
                    step.samples.lock().unwrap_or_else(PoisonError::into_inner)[i] = Some(sample);
                    step.n_missing.fetch_sub(1, Ordering::Release);
                });
            }
            self.begun.push_back(step);
            self.n_begun += 1;
        }
    }
}
