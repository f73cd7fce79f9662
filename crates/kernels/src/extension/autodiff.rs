use burn::backend::Flex;
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn_flex::FlexTensor;

use super::operations::{
    ConvInputs, Normalised, PatchInputs, Pooled, contiguous, losses, moments_of, numbers,
};
use super::{Layers, NormSettings};
use crate::loss::MaskSums;
use crate::plan::Plan;

/// A tensor with its place in the graph, the same type under every strategy of checkpointing.
type Node = FloatTensor<Autodiff<Flex>>;

/// A tracked operation: what is kept of the forward pass, and the gradients from it.
trait Gradient<const N: usize>: Clone + Send + std::fmt::Debug + 'static {
    /// The gradient to each parent that `wanted` marks; others may be `None`.
    fn backward(self, gradient: FlexTensor, wanted: [bool; N]) -> [Option<FlexTensor>; N];
}

/// Hands a [`Gradient`] to Burn.
#[derive(Debug)]
struct Tracked<G>(std::marker::PhantomData<G>);

impl<const N: usize, G: Gradient<N> + Sync> Backward<Flex, N> for Tracked<G> {
    type State = G;

    fn backward(self, ops: Ops<G, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = contiguous(gradients.consume::<Flex>(&ops.node));
        let wanted = ops.parents.each_ref().map(Option::is_some);
        for (parent, gradient) in ops.parents.iter().zip(ops.state.backward(gradient, wanted)) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// Runs `forward`, and tracks it if any parent is tracked.
fn track<const N: usize, C: CheckpointStrategy, G: Gradient<N> + Sync>(
    parents: [&Node; N],
    forward: impl FnOnce() -> (FlexTensor, G),
) -> Node {
    let nodes = parents.map(|parent| parent.node());
    let (y, state) = forward();
    match Tracked::<G>(std::marker::PhantomData).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(state, y),
        OpsKind::UnTracked(prep) => prep.finish(y),
    }
}

/// Tracks a convolution; its moments have no gradient.
fn track_conv<const N: usize, C: CheckpointStrategy>(
    parents: [&Node; N],
    inputs: impl FnOnce() -> ConvInputs,
) -> (Node, Node)
where
    ConvInputs: Gradient<N>,
{
    let inputs = inputs();
    let (y, moments) = inputs.forward();
    (track::<N, C, _>(parents, || (y, inputs)), Node::new(moments))
}

impl<C: CheckpointStrategy> Layers for Autodiff<Flex, C> {
    fn moments(x: FloatTensor<Self>) -> FloatTensor<Self> {
        Node::new(moments_of(&contiguous(take(&x))))
    }

    fn conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        track_conv::<2, C>([&x, &weight], || ConvInputs::new(vec![take(&x)], None, take(&weight)))
    }

    fn conv_pair(
        x: FloatTensor<Self>,
        skip: FloatTensor<Self>,
        weight: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        track_conv::<3, C>([&x, &skip, &weight], || {
            ConvInputs::new(vec![take(&x), take(&skip)], None, take(&weight))
        })
    }

    fn norm_conv(
        x: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        settings: NormSettings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        track_conv::<4, C>([&x, &gamma, &beta, &weight], || {
            let moments = take(&moments);
            let norm = Normalised::new(take(&x), moments, take(&gamma), beta.primitive(), settings);
            ConvInputs::new(vec![norm.x.clone()], Some(norm), take(&weight))
        })
    }

    fn norm(
        x: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        settings: NormSettings,
    ) -> FloatTensor<Self> {
        track::<3, C, _>([&x, &gamma, &beta], || {
            let moments = take(&moments);
            let norm = Normalised::new(take(&x), moments, take(&gamma), beta.primitive(), settings);
            (norm.forward(), norm)
        })
    }

    fn max_pool(x: FloatTensor<Self>, stride: [usize; 3]) -> FloatTensor<Self> {
        track::<1, C, _>([&x], || Pooled::new(take(&x), stride))
    }

    fn patch(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: [usize; 3],
        is_pointwise: bool,
    ) -> FloatTensor<Self> {
        track::<3, C, _>([&x, &weight, &bias], || {
            let inputs = PatchInputs::new(take(&x), take(&weight), stride, is_pointwise);
            (inputs.forward(&contiguous(take(&bias))), inputs)
        })
    }

    fn mask_losses(logits: FloatTensor<Self>, targets: FloatTensor<Self>) -> FloatTensor<Self> {
        track::<1, C, _>([&logits], || {
            let plan = Plan::current();
            let (logits, targets) = (contiguous(take(&logits)), contiguous(take(&targets)));
            let sums = MaskSums::new(plan.level, numbers(&logits), numbers(&targets));
            (losses(&sums), MaskLosses { logits, targets, sums, plan })
        })
    }
}

/// The tensor without its place in the graph.
fn take(tensor: &Node) -> FlexTensor {
    tensor.primitive().clone()
}

impl Gradient<2> for ConvInputs {
    fn backward(self, gradient: FlexTensor, wanted: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let weight = wanted[1].then(|| self.weight_gradient(&gradient));
        let x = if wanted[0] { self.input_gradients(&gradient).pop() } else { None };
        [x, weight]
    }
}

impl Gradient<3> for ConvInputs {
    fn backward(self, gradient: FlexTensor, wanted: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let weight = wanted[2].then(|| self.weight_gradient(&gradient));
        if !wanted[0] && !wanted[1] {
            return [None, None, weight];
        }
        let mut inputs = self.input_gradients(&gradient).into_iter();
        [inputs.next(), inputs.next(), weight]
    }
}

impl Gradient<4> for ConvInputs {
    fn backward(self, gradient: FlexTensor, wanted: [bool; 4]) -> [Option<FlexTensor>; 4] {
        let weight = wanted[3].then(|| self.weight_gradient(&gradient));
        let is_wanted = wanted[..3].contains(&true);
        let gradients = if is_wanted { self.norm_gradients(&gradient) } else { None };
        match gradients {
            Some([x, gamma, beta]) => [Some(x), Some(gamma), Some(beta), weight],
            None => [None, None, None, weight],
        }
    }
}

impl Gradient<3> for Normalised {
    fn backward(self, gradient: FlexTensor, _: [bool; 3]) -> [Option<FlexTensor>; 3] {
        Normalised::backward(&self, gradient, None).map(Some)
    }
}

impl Gradient<1> for Pooled {
    fn backward(self, gradient: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [Some(Pooled::backward(&self, &gradient))]
    }
}

impl Gradient<3> for PatchInputs {
    fn backward(self, gradient: FlexTensor, wanted: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let x = wanted[0].then(|| self.input_gradient(&gradient));
        if !wanted[1] && !wanted[2] {
            return [x, None, None];
        }
        let [weight, bias] = self.weight_gradients(&gradient);
        [x, Some(weight), Some(bias)]
    }
}

/// What the gradient of the losses needs.
#[derive(Clone, Debug)]
struct MaskLosses {
    logits: FlexTensor,
    targets: FlexTensor,
    sums: MaskSums,
    plan: Plan,
}

impl Gradient<1> for MaskLosses {
    fn backward(self, gradient: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let of_losses = numbers(&gradient);
        let result = self.sums.gradient(
            self.plan.level,
            numbers(&self.logits),
            numbers(&self.targets),
            [of_losses[0], of_losses[1]],
        );
        let shape: Vec<usize> = self.logits.layout().shape().to_vec();
        [Some(result.into_tensor(&shape))]
    }
}
