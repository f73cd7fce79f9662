use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::part::part_of;
use crate::{ModelError, Network};

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
    load(module, path, None)
}

/// Reads some [parts](Network::parts) of a network from a file that [`save_weights`] wrote of another, which may be of
/// another kind; all else stays as it is.
///
/// # Errors
/// [`ModelError::Weights`] as [`load_weights`], for these parts, and if the file holds none of that name.
pub fn load_parts(network: Network, path: &Path, parts: &[String]) -> Result<Network, ModelError> {
    load(network, path, Some(parts))
}

fn load<M: Module>(module: M, path: &Path, parts: Option<&[String]>) -> Result<M, ModelError> {
    let error = |problem: String| ModelError::Weights { path: path.to_owned(), problem };
    let bytes = std::fs::read(path).map_err(|e| error(e.to_string()))?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|e| error(format!("no sound safetensors file: {e}")))?;
    let names = file.names();
    if let Some(missing) = parts
        .unwrap_or_default()
        .iter()
        .find(|part| !names.iter().any(|name| part_of(name.split('.')) == Some(part.as_str())))
    {
        let known: BTreeSet<&str> = names.iter().filter_map(|n| part_of(n.split('.'))).collect();
        let known = known.into_iter().map(|part| format!("`{part}`")).collect::<Vec<_>>();
        return Err(error(format!("it has no part `{missing}`; it has {}", known.join(", "))));
    }
    let kind = parts.and_then(|_| names.first()?.split('.').next());
    let mut loader =
        Loader { file: &file, parts, kind, path: Vec::new(), problems: Vec::new(), n_loaded: 0 };
    let module = module.map(&mut loader);
    let n = names.iter().filter(|name| is_wanted(parts, name.split('.'))).count();
    if loader.n_loaded < n && loader.problems.is_empty() {
        let n = n - loader.n_loaded;
        loader.problems.push(format!("{n} tensors that the network does not have"));
    }
    match loader.problems.as_slice() {
        [] => Ok(module),
        [first, rest @ ..] => Err(error(format!("{first} (and {} more problems)", rest.len()))),
    }
}

/// Whether a weight is to be read, by its path; without a choice of parts all are.
fn is_wanted<'a>(parts: Option<&[String]>, path: impl IntoIterator<Item = &'a str>) -> bool {
    parts.is_none_or(|parts| {
        part_of(path).is_some_and(|part| parts.iter().any(|wanted| wanted == part))
    })
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
    /// Those that are read; `None` for all.
    parts: Option<&'a [String]>,
    /// What the file's network is called, where it may be another than the module.
    kind: Option<&'a str>,
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
        if !is_wanted(self.parts, self.path.iter().map(String::as_str)) {
            return param;
        }
        let name = match (self.kind, self.path.as_slice()) {
            (Some(kind), [_, within @ ..]) => format!("{kind}.{}", within.join(".")),
            _ => self.path.join("."),
        };
        let dims = param.dims();
        match read(self.file, &name, &dims) {
            Ok(values) => {
                self.n_loaded += 1;
                param.map(|tensor| {
                    let read = Tensor::from_data(TensorData::new(values, dims), &tensor.device());
                    if tensor.is_require_grad() { read.require_grad() } else { read }
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
    use crate::{Dims, NetworkKind, NetworkSpec};

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
    /// The weights of a file by their name, without that of the network.
    fn weights(path: &Path) -> BTreeMap<String, Vec<u8>> {
        let bytes = std::fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let weight = |(name, view): (&str, TensorView<'_>)| {
            (name.split_once('.').unwrap().1.to_owned(), view.data().to_vec())
        };
        file.iter().map(weight).collect()
    }

    fn parts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn parts_of_another_network_are_copied_to_the_bit_and_the_rest_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let [pretrained, own, found] = ["a", "b", "c"].map(|name| folder.path().join(name));
        for (from, to, copied) in [
            (NetworkKind::Unet, NetworkKind::JointUnet, &["encoder", "decoder", "segment"][..]),
            (NetworkKind::JointUnet, NetworkKind::Vgg, &["encoder"]),
        ] {
            save_weights(&network(from, 1), &pretrained).unwrap();
            save_weights(&network(to, 2), &own).unwrap();
            let network = load_parts(network(to, 2), &pretrained, &parts(copied)).unwrap();
            save_weights(&network, &found).unwrap();
            let [pretrained, own, found] = [&pretrained, &own, &found].map(|path| weights(path));
            assert_eq!(found.len(), own.len());
            let (mut n_copied, mut n_left) = (0, 0);
            for (name, values) in &found {
                let is_copied = copied.contains(&name.split('.').next().unwrap());
                let expected = if is_copied { &pretrained[name] } else { &own[name] };
                assert!(values == expected, "{name}");
                // What is not drawn is the same in both.
                let differs = is_copied && pretrained[name] != own[name];
                n_copied += usize::from(differs);
                n_left += usize::from(!is_copied);
            }
            assert!(n_copied > 5 && n_left > 1, "{n_copied} {n_left}");
        }
    }

    #[test]
    fn a_part_that_is_not_there_or_has_another_shape_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        save_weights(&network(NetworkKind::Vgg, 1), &path).unwrap();
        let refused = |network: Network, names: &[&str]| {
            load_parts(network, &path, &parts(names)).unwrap_err().to_string()
        };
        let error = refused(network(NetworkKind::JointUnet, 1), &["encoder", "decoder"]);
        for part in ["no part `decoder`", "`classify`, `encoder`, `hidden`"] {
            assert!(error.contains(part), "{error}");
        }
        let error = refused(network(NetworkKind::JointUnet, 1), &["classify"]);
        assert!(
            error.contains("`Vgg.classify.weight` is F32 [8, 2], expected F32 [16, 1]"),
            "{error}"
        );
        let mut spec = raw(NetworkKind::JointUnet, Dims::Slices);
        spec.channels = vec![4, 8];
        let spec = NetworkSpec::try_from(spec).unwrap();
        let error = refused(Network::new(&spec, 1, &Device::flex()), &["encoder"]);
        assert!(error.contains("tensors that the network does not have"), "{error}");
    }
}
