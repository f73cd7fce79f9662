use burn::tensor::Device;

use crate::ModelError;

/// The device of that name: `cpu`, and with their features `cuda:N` and `wgpu`.
///
/// # Errors
/// [`ModelError::Device`] for a name that this build does not know.
pub fn parse_device(name: &str) -> Result<Device, ModelError> {
    if name == "cpu" {
        return Ok(Device::flex());
    }
    #[cfg(feature = "cuda")]
    if let Some(index) = name.strip_prefix("cuda:").and_then(|n| n.parse::<usize>().ok()) {
        return Ok(Device::cuda(index));
    }
    #[cfg(feature = "wgpu")]
    if name == "wgpu" {
        return Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice));
    }
    let cuda = if cfg!(feature = "cuda") { ", `cuda:N`" } else { "" };
    let wgpu = if cfg!(feature = "wgpu") { ", `wgpu`" } else { "" };
    let hint = "others need the features `cuda` or `wgpu`";
    Err(ModelError::Device { found: name.to_owned(), known: format!("`cpu`{cuda}{wgpu}; {hint}") })
}
