//! Golden figures of seeded networks and of reading a case; `cargo xtask regress -p model`.
#![expect(clippy::unwrap_used, reason = "a failed figure may panic")]

use burn::module::Module;
use burn::tensor::Device;
use hemex_model::{
    CaseInput, CaseOutput, Decision, Dims, Extent, InputSpec, Network, NetworkKind, NetworkSpec,
    Passes, Pooling, RawNetworkSpec, WindowOutput, plan_windows, predict_case, read_case,
};
use hemex_volume::{Affine, Geometry, Image, LabelMap};

fn spec(kind: NetworkKind, dims: Dims, pooling: Pooling) -> NetworkSpec {
    let volumes = dims == Dims::Volumes;
    let raw = RawNetworkSpec {
        kind,
        dims,
        channels: vec![4, 8, 12],
        n_groups: 2,
        n_planar_levels: usize::from(volumes),
        pooling,
        reconstructs: false,
        deep_supervision: false,
        followup: false,
        signs: Vec::new(),
        slice_attention: None,
        attention: None,
        window: if volumes { [4, 16, 16] } else { [1, 16, 16] },
        input: InputSpec { windows_hu: vec![[-10.0, 90.0]], brain_only: true, n_neighbours: 0 },
    };
    NetworkSpec::try_from(raw).unwrap()
}

fn geometry() -> Geometry {
    let affine = Affine::from_spacing([5.0, 2.0, 2.0], [0.0; 3]).unwrap();
    Geometry::new([6, 24, 20], affine).unwrap()
}

/// The networks' word on a textured head with a bright disc; the brain is all but its first columns.
fn seeded_networks() {
    let hu = |i: usize| {
        let [d, h, w] = [i / 480, i / 20 % 24, i % 20];
        let blood = (2..5).contains(&d) && h.abs_diff(12).pow(2) + w.abs_diff(11).pow(2) < 30;
        (d * 5 + h * 17 + w * 7) as f32 % 23.0 + if blood { 60.0 } else { 20.0 }
    };
    let image = Image::new(geometry(), (0..2880).map(hu).collect()).unwrap();
    let brain = (0..2880).map(|i| u8::from(i % 20 > 2)).collect();
    let brain = LabelMap::new(geometry(), brain).unwrap();
    let device = Device::flex();
    for (name, spec) in [
        ("joint", spec(NetworkKind::JointUnet, Dims::Slices, Pooling::MeanMax)),
        ("vgg", spec(NetworkKind::Vgg, Dims::Slices, Pooling::MeanMax)),
        ("joint_3d", spec(NetworkKind::JointUnet, Dims::Volumes, Pooling::Mean)),
    ] {
        let network = Network::new(&spec, 3, &device);
        println!("{name}_n_parameters {}", network.num_params());
        let input = CaseInput::new(&image, &brain, spec.input());
        let passes = Passes { batch_size: 3, mirrored: false };
        let output = predict_case(&network, &spec, &input, passes, &device).unwrap();
        // Windows count differently, so that their order shows.
        let mean = |value: &dyn Fn(&WindowOutput) -> f64| {
            let terms = output.windows.iter().enumerate();
            let n = output.windows.len() as f64;
            terms.map(|(i, window)| (i % 7) as f64 / 3.0 * value(window)).sum::<f64>() / n
        };
        println!("{name}_growth_logit {}", mean(&|window| window.growth_logit.unwrap()));
        if let Some(probability) = output.lesion_probability.as_ref() {
            let terms = probability.iter().enumerate();
            let sum: f64 = terms.map(|(i, p)| (i % 101) as f64 / 50.0 * f64::from(*p)).sum();
            println!("{name}_lesion_probability {}", sum / probability.len() as f64);
        } else {
            println!("{name}_presence_logit {}", mean(&|window| window.presence_logit.unwrap()));
        }
    }
}

/// How windows and lesion probabilities become a statement, network aside.
fn reading() {
    let spec = spec(NetworkKind::JointUnet, Dims::Slices, Pooling::Mean);
    let windows = plan_windows(Extent::whole(geometry().shape()), spec.window());
    let window = |(i, start): (usize, &[i64; 3])| WindowOutput {
        start: *start,
        growth_logit: Some((i * 5 % 11) as f64 / 4.0 - 1.0),
        presence_logit: Some((i * 3 % 7) as f64 - 3.0),
        attention: None,
    };
    let windows: Vec<WindowOutput> = windows.iter().enumerate().map(window).collect();
    println!("n_windows {}", windows.len());
    // Strips of 22 voxels, some joined; one part lies alone and is too small.
    let probability = |i: usize| if i % 480 < 300 { (i / 22 % 4) as f32 / 3.0 } else { 0.1 };
    let mut probability: Vec<f32> = (0..2880).map(probability).collect();
    probability[470] = 0.9;
    let decision =
        Decision { mask_threshold: 0.5, min_lesion_ml: 0.1, min_focus_ml: 0.1, min_presence: 0.4 };
    let unmasked = CaseOutput { windows, lesion_probability: None, followup_probability: None };
    let masked = CaseOutput { lesion_probability: Some(probability), ..unmasked.clone() };
    for (name, output) in [("mask", masked), ("presence", unmasked)] {
        let reading = read_case(&output, &spec, &decision, &geometry());
        println!("reading_by_{name}_logit {}", reading.growth_logit.unwrap());
        println!("reading_by_{name}_uncertainty {}", reading.uncertainty.unwrap());
        if let Some(mask) = reading.mask {
            println!("reading_lesion_ml {}", mask.volume_ml(&[1]));
        }
    }
}

fn main() {
    seeded_networks();
    reading();
}
