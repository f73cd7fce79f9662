use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The name of one random draw: its generator is seeded by all of it and by nothing else.
///
/// An oversampled case gets a new draw at each repeat, any sample of any run can be drawn again alone,
/// and neither the order of work nor the number of threads changes a bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawKey {
    seed: u64,
    purpose: &'static str,
    epoch: u64,
    case: String,
    slice: u64,
    repeat: u64,
}

impl DrawKey {
    /// A draw for `purpose` (`stage.what`, for instance `train.sampler`) under the task's seed.
    pub fn new(seed: u64, purpose: &'static str) -> Self {
        Self { seed, purpose, epoch: 0, case: String::new(), slice: 0, repeat: 0 }
    }

    /// In this epoch.
    #[must_use]
    pub fn epoch(mut self, epoch: usize) -> Self {
        self.epoch = epoch as u64;
        self
    }

    /// For this case.
    #[must_use]
    pub fn case(mut self, case: &str) -> Self {
        case.clone_into(&mut self.case);
        self
    }

    /// For this slice of the case.
    #[must_use]
    pub fn slice(mut self, slice_idx: usize) -> Self {
        self.slice = slice_idx as u64;
        self
    }

    /// The how-manieth time, from 0.
    #[must_use]
    pub fn repeat(mut self, repeat: usize) -> Self {
        self.repeat = repeat as u64;
        self
    }

    /// The draw's own generator: ChaCha8 seeded with the SHA-256 of the key's fields.
    pub fn rng(&self) -> ChaCha8Rng {
        let mut hash = Sha256::new();
        for number in [self.seed, self.epoch, self.slice, self.repeat] {
            hash.update(number.to_le_bytes());
        }
        // Lengths keep ("ab", "c") apart from ("a", "bc").
        for text in [self.purpose, &self.case] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        ChaCha8Rng::from_seed(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn every_field_names_another_draw() {
        let key = DrawKey::new(1, "test");
        let first = |key: &DrawKey| key.rng().next_u64();
        assert_eq!(first(&key), first(&key.clone()));
        let others = [
            DrawKey::new(2, "test"),
            DrawKey::new(1, "tess"),
            key.clone().epoch(1),
            key.clone().case("a"),
            key.clone().slice(1),
            key.clone().repeat(1),
        ];
        for (i, other) in others.iter().enumerate() {
            assert_ne!(first(&key), first(other), "field {i} does not count");
        }
    }

    #[test]
    fn the_generator_never_changes() {
        // Published cohorts and splits depend on these bits.
        assert_eq!(DrawKey::new(1, "test").case("a").rng().next_u64(), 8_677_103_062_591_704_490);
    }
}
