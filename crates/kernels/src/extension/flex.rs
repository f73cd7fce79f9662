use burn::backend::Flex;
use burn_flex::FlexTensor;

use super::operations::{
    ConvInputs, Normalised, PatchInputs, Pooled, contiguous, losses, moments_of, numbers,
};
use super::{Layers, NormSettings, Step, Updates};
use crate::adamw;
use crate::loss::MaskSums;
use crate::plan::Plan;

impl Layers for Flex {
    fn moments(x: FlexTensor) -> FlexTensor {
        moments_of(&contiguous(x))
    }

    fn conv(x: FlexTensor, weight: FlexTensor) -> (FlexTensor, FlexTensor) {
        ConvInputs::new(vec![x], None, weight).forward()
    }

    fn conv_pair(x: FlexTensor, skip: FlexTensor, weight: FlexTensor) -> (FlexTensor, FlexTensor) {
        ConvInputs::new(vec![x, skip], None, weight).forward()
    }

    fn norm_conv(
        x: FlexTensor,
        moments: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        weight: FlexTensor,
        settings: NormSettings,
    ) -> (FlexTensor, FlexTensor) {
        let norm = Normalised::new(x, moments, gamma, &beta, settings);
        ConvInputs::new(vec![norm.x.clone()], Some(norm), weight).forward()
    }

    fn norm(
        x: FlexTensor,
        moments: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        settings: NormSettings,
    ) -> FlexTensor {
        Normalised::new(x, moments, gamma, &beta, settings).forward()
    }

    fn max_pool(x: FlexTensor, stride: [usize; 3]) -> FlexTensor {
        Pooled::new(x, stride).0
    }

    fn patch(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        stride: [usize; 3],
        is_pointwise: bool,
    ) -> FlexTensor {
        let inputs = PatchInputs::new(x, weight, stride, is_pointwise);
        inputs.forward(&contiguous(bias))
    }

    fn mask_losses(logits: FlexTensor, targets: FlexTensor) -> FlexTensor {
        let (logits, targets) = (contiguous(logits), contiguous(targets));
        losses(&MaskSums::new(Plan::current().level, numbers(&logits), numbers(&targets)))
    }
}

impl Updates for Flex {
    fn adamw(
        tensor: FlexTensor,
        gradient: FlexTensor,
        moment_1: FlexTensor,
        moment_2: FlexTensor,
        step: Step,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [tensor, gradient, moment_1, moment_2] =
            [tensor, gradient, moment_1, moment_2].map(contiguous);
        adamw::step(tensor, &gradient, moment_1, moment_2, step)
    }
}
