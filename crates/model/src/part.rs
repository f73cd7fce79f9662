use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::{ModelError, Network, NetworkSpec};

/// The part that a weight belongs to, by its path: below the name of the network.
pub(crate) fn part_of<'a>(path: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    path.into_iter().nth(1)
}

impl Network {
    /// The network's parts by name, such as `encoder`, `decoder` and `segment`: what another may take over from it.
    pub fn parts(&self) -> Vec<String> {
        let mut parts = Parts::default();
        self.visit(&mut parts);
        parts.found
    }

    /// The network of which only parts are trained, on a device that differentiates: weights of the others get no
    /// gradient, and no optimizer moves them.
    #[must_use]
    pub fn with_trained(self, is_trained: impl Fn(&str) -> bool) -> Self {
        self.map(&mut Hold { is_trained, path: Vec::new() })
    }
}

impl NetworkSpec {
    /// Fails unless weights of a network of the `other` spec mean in this one what they mean there, as far as their
    /// shapes do not tell.
    ///
    /// # Errors
    /// [`ModelError::Spec`] with the first key that differs.
    pub fn check_same_layers(&self, other: &NetworkSpec) -> Result<(), ModelError> {
        let check = |key, own: String, found: String| match own == found {
            true => Ok(()),
            false => Err(ModelError::Spec { key, expected: own, found }),
        };
        let pair = |of: &dyn Fn(&NetworkSpec) -> String| (of(self), of(other));
        let keys: [(_, (String, String)); 5] = [
            ("dims", pair(&|spec| format!("{:?}", spec.dims()))),
            ("n_planar_levels", pair(&|spec| spec.n_planar_levels().to_string())),
            ("n_groups", pair(&|spec| spec.n_groups().to_string())),
            ("attention", pair(&|spec| format!("{:?}", spec.attention()))),
            ("input", pair(&|spec| format!("{:?}", spec.input()))),
        ];
        keys.into_iter().try_for_each(|(key, (own, found))| check(key, own, found))
    }
}

#[derive(Default)]
struct Parts {
    path: Vec<String>,
    found: Vec<String>,
}

impl ModuleVisitor for Parts {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
        let part = part_of(self.path.iter().map(String::as_str));
        self.found
            .extend(part.filter(|part| !self.found.iter().any(|p| p == part)).map(str::to_owned));
    }
}

struct Hold<F> {
    is_trained: F,
    path: Vec<String>,
}

impl<F: Fn(&str) -> bool> ModuleMapper for Hold<F> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let part = part_of(self.path.iter().map(String::as_str)).unwrap_or_default();
        let is_trained = (self.is_trained)(part);
        param.set_require_grad(is_trained)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use burn::optim::GradientsParams;
    use burn::tensor::Device;

    use super::*;
    use crate::spec::tests::raw;
    use crate::{Dims, NetworkKind, RawNetworkSpec};

    fn spec(change: impl FnOnce(&mut RawNetworkSpec)) -> NetworkSpec {
        let mut raw = raw(NetworkKind::JointUnet, Dims::Slices);
        change(&mut raw);
        NetworkSpec::try_from(raw).unwrap()
    }

    #[test]
    fn parts_are_the_fields_that_hold_weights() {
        let parts = |spec: &NetworkSpec| Network::new(spec, 1, &Device::flex()).parts();
        let joint = ["encoder", "up", "decoder", "segment", "classify"];
        assert_eq!(parts(&spec(|_| ())), joint);
        assert_eq!(parts(&spec(|raw| raw.kind = NetworkKind::Unet)), joint[..4]);
        let reconstructs = spec(|raw| raw.reconstructs = true);
        assert_eq!(parts(&reconstructs), [&joint[..], &["reconstruct"]].concat());
        let followup = spec(|raw| raw.followup = true);
        let with_followup = [&joint[..4], &["segment_followup"], &joint[4..]].concat();
        assert_eq!(parts(&followup), with_followup);
        assert_eq!(
            parts(&spec(|raw| raw.kind = NetworkKind::Vgg)),
            ["encoder", "hidden", "classify"]
        );
        assert_eq!(parts(&spec(|raw| raw.kind = NetworkKind::Resnet)), ["levels", "classify"]);
    }

    /// The parts of which any weight has a gradient.
    struct Reached {
        gradients: GradientsParams,
        path: Vec<String>,
        n: std::collections::BTreeMap<String, [usize; 2]>,
    }

    impl ModuleVisitor for Reached {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let is_reached = self.gradients.get::<D>(param.id).is_some();
            self.n.entry(self.path[1].clone()).or_default()[usize::from(is_reached)] += 1;
        }
    }

    #[test]
    fn parts_that_are_held_have_no_gradient_and_have_one_again_once_they_are_not() {
        let device = Device::flex().autodiff();
        let spec = spec(|_| ());
        let reached = |network: &Network| {
            let output = network.forward(Tensor::ones([1, 1, 1, 16, 24], &device));
            let loss = output.growth_logit.unwrap().sum() + output.mask_logits.unwrap().sum();
            let gradients = GradientsParams::from_grads(loss.backward(), network);
            let mut reached = Reached { gradients, path: Vec::new(), n: Default::default() };
            network.visit(&mut reached);
            reached.n
        };
        let held = |part: &str| part == "encoder" || part == "up";
        let network = Network::new(&spec, 1, &device).with_trained(|part| !held(part));
        for (part, [n_held, n_trained]) in reached(&network) {
            assert_eq!(if held(&part) { n_trained } else { n_held }, 0, "{part}");
        }
        let network = network.with_trained(|_| true);
        for (part, [n_held, n_trained]) in reached(&network) {
            assert!(n_held == 0 && n_trained > 0, "{part}");
        }
    }

    #[test]
    fn networks_with_other_layers_of_the_same_shapes_are_told_apart() {
        let own = spec(|_| ());
        let key = |change: fn(&mut RawNetworkSpec)| match own.check_same_layers(&spec(change)) {
            Err(ModelError::Spec { key, .. }) => key,
            Ok(()) => "",
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(key(|raw| raw.n_groups = 2), "n_groups");
        assert_eq!(key(|raw| raw.input.brain_only = false), "input");
        assert_eq!(key(|raw| raw.input.windows_hu = vec![[0.0, 80.0]]), "input");
        // Heads and windows may differ, and shapes speak for themselves.
        assert_eq!(key(|raw| raw.kind = NetworkKind::Vgg), "");
        assert_eq!(key(|raw| raw.window = [1, 32, 32]), "");
        assert_eq!(key(|raw| raw.channels = vec![8, 8, 16]), "");
    }
}
