use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::ModelError;

/// Writes every weight as a safetensors file of 32-bit floats, named by its path in the module.
///
/// The same weights give the same bytes.
///
/// # Errors
/// [`ModelError::Weights`] if the file cannot be written.
pub fn save_weights<M: Module>(module: &M, path: &Path) -> Result<(), ModelError> {
    let error = |problem: String| ModelError::Weights { path: path.to_owned(), problem };
    let mut collector = Collector::default();
    module.visit(&mut collector);
    if let Some(problem) = collector.problem {
        return Err(error(problem));
    }
    let views = collector.tensors.iter().map(|(name, (dims, bytes))| {
        TensorView::new(Dtype::F32, dims.clone(), bytes).map(|view| (name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(|e| error(e.to_string()))?;
    let bytes = safetensors::serialize(views, None).map_err(|e| error(e.to_string()))?;
    std::fs::write(path, bytes).map_err(|e| error(e.to_string()))
}

/// Reads the weights that [`save_weights`] wrote into a module of the same spec.
///
/// # Errors
/// [`ModelError::Weights`] if the file cannot be read, a weight is missing, has another shape or is
/// not finite, or the file holds one too many.
pub fn load_weights<M: Module>(module: M, path: &Path) -> Result<M, ModelError> {
    let error = |problem: String| ModelError::Weights { path: path.to_owned(), problem };
    let bytes = std::fs::read(path).map_err(|e| error(e.to_string()))?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|e| error(format!("no sound safetensors file: {e}")))?;
    let mut loader = Loader { file: &file, path: Vec::new(), problems: Vec::new(), n_loaded: 0 };
    let module = module.map(&mut loader);
    if loader.n_loaded < file.len() && loader.problems.is_empty() {
        let n = file.len() - loader.n_loaded;
        loader.problems.push(format!("{n} tensors that the network does not have"));
    }
    match loader.problems.as_slice() {
        [] => Ok(module),
        [first, rest @ ..] => Err(error(format!("{first} (and {} more problems)", rest.len()))),
    }
}

#[derive(Default)]
struct Collector {
    path: Vec<String>,
    tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)>,
    problem: Option<String>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.join(".");
        match param.val().into_data().try_into_vec::<f32>() {
            Ok(values) => {
                let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                self.tensors.insert(name, (param.dims().to_vec(), bytes));
            }
            Err(e) => self.problem = Some(format!("`{name}` cannot be read: {e:?}")),
        }
    }
}

struct Loader<'a> {
    file: &'a SafeTensors<'a>,
    path: Vec<String>,
    problems: Vec<String>,
    n_loaded: usize,
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        let dims = param.dims();
        match read(self.file, &name, &dims) {
            Ok(values) => {
                self.n_loaded += 1;
                param.map(|tensor| {
                    Tensor::from_data(TensorData::new(values, dims), &tensor.device())
                })
            }
            Err(problem) => {
                self.problems.push(problem);
                param
            }
        }
    }
}

fn read(file: &SafeTensors<'_>, name: &str, dims: &[usize]) -> Result<Vec<f32>, String> {
    let view = file.tensor(name).map_err(|_| format!("`{name}` is missing"))?;
    if view.dtype() != Dtype::F32 || view.shape() != dims {
        let (found, dtype) = (view.shape(), view.dtype());
        return Err(format!("`{name}` is {dtype:?} {found:?}, expected F32 {dims:?}"));
    }
    let values: Vec<f32> =
        view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    if values.iter().any(|v| !v.is_finite()) {
        return Err(format!("`{name}` holds a value that is not finite"));
    }
    Ok(values)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::spec::tests::raw;
    use crate::{Dims, Network, NetworkKind, NetworkSpec};

    fn network(kind: NetworkKind, seed: u64) -> Network {
        let spec = NetworkSpec::try_from(raw(kind, Dims::Slices)).unwrap();
        Network::new(&spec, seed, &Device::flex())
    }

    #[test]
    fn weights_come_back_and_the_same_seed_gives_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| folder.path().join(name));
        let trained = network(NetworkKind::JointUnet, 1);
        save_weights(&trained, &a).unwrap();
        save_weights(&network(NetworkKind::JointUnet, 1), &b).unwrap();
        assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
        save_weights(&network(NetworkKind::JointUnet, 2), &c).unwrap();
        assert_ne!(std::fs::read(&a).unwrap(), std::fs::read(&c).unwrap());

        let x = Tensor::random([2, 1, 1, 16, 24], Distribution::Default, &Device::flex());
        let loaded = load_weights(network(NetworkKind::JointUnet, 2), &a).unwrap();
        let [one, other] =
            [&trained, &loaded].map(|n| n.forward(x.clone()).growth_logit.unwrap().into_data());
        assert_eq!(one, other);
    }

    #[test]
    fn weights_of_another_network_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        save_weights(&network(NetworkKind::JointUnet, 1), &path).unwrap();
        let error = load_weights(network(NetworkKind::Vgg, 1), &path).unwrap_err().to_string();
        assert!(
            error.contains("`hidden.weight` is missing") || error.contains("missing"),
            "{error}"
        );
    }
}
