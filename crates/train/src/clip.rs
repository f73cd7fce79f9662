use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Scales the gradient of all weights together down to `max_norm`, and gives its norm before.
///
/// Burn's own clipping by norm is per tensor, which changes the gradient's direction (Pascanu et al.,
/// ICML 2013, section 3.2, clip the whole). A norm that is not finite is passed on unscaled.
pub fn clip_gradients<M: Module>(
    module: &M,
    gradients: GradientsParams,
    max_norm: f64,
) -> (GradientsParams, f64) {
    let mut visitor = Clip { gradients, sum_of_squares: 0.0, scale: None };
    module.visit(&mut visitor);
    let norm = visitor.sum_of_squares.sqrt();
    if norm > max_norm && norm.is_finite() {
        visitor.scale = Some(max_norm / norm);
        module.visit(&mut visitor);
    }
    (visitor.gradients, norm)
}

struct Clip {
    gradients: GradientsParams,
    sum_of_squares: f64,
    /// `None` while measuring.
    scale: Option<f64>,
}

impl ModuleVisitor for Clip {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        match self.scale {
            None => {
                if let Some(gradient) = self.gradients.get::<D>(param.id) {
                    let sum: f32 = gradient.square().sum().into_scalar();
                    self.sum_of_squares += f64::from(sum);
                }
            }
            Some(scale) => {
                if let Some(gradient) = self.gradients.remove::<D>(param.id) {
                    self.gradients.register::<D>(param.id, gradient.mul_scalar(scale));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_whole_gradient_is_scaled_to_the_norm() {
        let device = Device::flex().autodiff();
        let layer = LinearConfig::new(2, 1).init(&device);
        let gradients = || {
            // d/dw of sum(10 · (w·x + b)) is 10 x and 10.
            let x = Tensor::<2>::from_data([[3.0, 4.0]], &device);
            GradientsParams::from_grads(layer.forward(x).mul_scalar(10.0).sum().backward(), &layer)
        };
        let expected = 10.0 * (9.0f64 + 16.0 + 1.0).sqrt();
        let (clipped, norm) = clip_gradients(&layer, gradients(), 1.0);
        assert!((norm - expected).abs() < 1e-4, "{norm}");
        let (_, after) = clip_gradients(&layer, clipped, 1.0);
        assert!((after - 1.0).abs() < 1e-5, "{after}");
        let (untouched, _) = clip_gradients(&layer, gradients(), 1e3);
        let (_, after) = clip_gradients(&layer, untouched, 1e3);
        assert!((after - expected).abs() < 1e-4, "{after}");
    }
}
