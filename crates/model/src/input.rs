use hemex_volume::{Geometry, Image, LabelMap};

use crate::{Extent, InputSpec};

/// A case as a network sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseInput {
    voxels: Vec<f32>,
    geometry: Geometry,
    extent: Extent,
}

impl CaseInput {
    /// Normalises an image; `brain` is not 0 within the brain, on the image's grid.
    ///
    /// Channels are the windows of HU of the lowest neighbouring slice first, those of the slice itself in the middle.
    pub fn new(image: &Image, brain: &LabelMap, input: &InputSpec) -> Self {
        let geometry = *image.geometry();
        let extent = input.extent(brain);
        let pairs = image.voxels().iter().zip(brain.voxels());
        let own = input.normalise(pairs.map(|(hu, brain)| (*hu, *brain > 0)));
        if input.n_neighbours == 0 {
            return Self { voxels: own, geometry, extent };
        }
        let [depth, h, w] = geometry.shape();
        let slice = |channel: usize, at: Option<usize>| match at {
            Some(at) => own[(channel * depth + at) * h * w..][..h * w].to_vec(),
            None => vec![-1.0; h * w],
        };
        let mut voxels = Vec::with_capacity(own.len() * input.n_slices());
        for offset in 0..input.n_slices() {
            for channel in 0..input.windows_hu.len() {
                let at = |d: usize| (d + offset).checked_sub(input.n_neighbours);
                let places = (0..depth).map(|d| at(d).filter(|at| *at < depth));
                places.for_each(|place| voxels.extend(slice(channel, place)));
            }
        }
        Self { voxels, geometry, extent }
    }

    /// These slices alone, stacked; their places are those of the first ones.
    ///
    /// Slices beyond the volume are left out; without any left the input stays whole.
    #[must_use]
    pub fn keep_slices(&self, slices: &[usize]) -> Self {
        let [depth, h, w] = self.geometry.shape();
        let kept: Vec<usize> = slices.iter().copied().filter(|slice| *slice < depth).collect();
        let of_channel = |channel: &[f32]| -> Vec<f32> {
            kept.iter().flat_map(|d| channel[d * h * w..(d + 1) * h * w].iter().copied()).collect()
        };
        match self.geometry.window([0; 3], [kept.len(), h, w]) {
            Ok(geometry) => {
                let mut extent = self.extent;
                (extent.first[0], extent.shape[0]) = (0, kept.len());
                Self { voxels: self.channels().flat_map(of_channel).collect(), geometry, extent }
            }
            Err(_) => self.clone(),
        }
    }

    /// Normalised values of each channel, `[D, H, W]`.
    pub fn channels(&self) -> impl Iterator<Item = &[f32]> {
        self.voxels.chunks_exact(self.geometry.n_voxels())
    }

    /// Where there is something to see: the box of the brain, or all of the grid if more than the brain is shown.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// The grid.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::Affine;

    use super::*;

    #[test]
    fn neighbouring_slices_are_channels_beside_the_own() {
        let affine = Affine::from_spacing([5.0, 2.0, 2.0], [0.0; 3]).unwrap();
        let geometry = Geometry::new([3, 1, 2], affine).unwrap();
        let image = Image::new(geometry, vec![0.0, 10.0, 20.0, 30.0, 40.0, 50.0]).unwrap();
        let brain = LabelMap::new(geometry, vec![1; 6]).unwrap();
        let windows_hu = vec![[0.0, 100.0], [0.0, 50.0]];
        let input = InputSpec { windows_hu, brain_only: true, n_neighbours: 1 };
        let case = CaseInput::new(&image, &brain, &input);
        let channels: Vec<&[f32]> = case.channels().collect();
        assert_eq!(channels.len(), input.n_channels());
        // Below the slices themselves, then they, then above them; the first window of each.
        let close = |found: &[f32], expected: [f32; 6]| {
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6)
        };
        assert!(close(channels[0], [-1.0, -1.0, -1.0, -0.8, -0.6, -0.4]), "{channels:?}");
        assert!(close(channels[2], [-1.0, -0.8, -0.6, -0.4, -0.2, 0.0]), "{channels:?}");
        assert!(close(channels[3], [-1.0, -0.6, -0.2, 0.2, 0.6, 1.0]), "{channels:?}");
        assert!(close(channels[4], [-0.6, -0.4, -0.2, 0.0, -1.0, -1.0]), "{channels:?}");
        // Slices that are kept keep their neighbours.
        let kept = case.keep_slices(&[1]);
        assert!((kept.channels().next().unwrap()[1] + 0.8).abs() < 1e-6);
    }
}
