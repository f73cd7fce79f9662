use crate::evaluate::SaliencyFigures;
use crate::html::Page;
use crate::html::text::{fixed, swatch, table};
use crate::saliency::RIM_MM;

/// Where what the arms' logits rest on lies; empty without maps of it.
pub(super) fn saliency(page: &Page) -> String {
    let figures = &page.findings.saliency;
    if figures.is_empty() {
        return String::new();
    }
    let row = |of: &SaliencyFigures| {
        vec![
            swatch(page.color(&of.arm), &of.arm),
            in_percent(of.lesion_quartiles),
            in_percent(of.rim_quartiles),
            in_percent(of.brain_quartiles),
            in_percent(of.even_quartiles),
            of.n.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = figures.iter().map(row).collect();
    let rim = format!("Rim of {} mm", fixed(RIM_MM, 0));
    let head = ["Arm", "Lesion", &rim, "Rest of the brain", "Lesion, if even", "Cases"];
    format!(
        "<h3>What the logit rests on</h3><p>Each voxel's value times the gradient of the growth logit with respect to \
         it, without its sign, shared out among the reference lesion, a rim around it and the rest of the brain: \
         median and quartiles over test cases. Beside them the lesion's share of the brain's voxels, which is what a \
         map that favours no place has there.</p>{}<p class=\"note\">After Simonyan et al. (ICLR workshop 2014) and \
         Shrikumar et al. (2016); values are counted from the lower end of the window of HU. Such maps show what a \
         small change would change, not why a network decides as it does, and they are noisy (Adebayo et al., NeurIPS \
         2018): read them beside the heads without hematoma, not in their place.</p>",
        table(&head, 1, &rows)
    )
}

/// `12.0 % (8.1 to 20.4)`.
fn in_percent([low, median, high]: [f64; 3]) -> String {
    let [low, median, high] = [low, median, high].map(|share| fixed(100.0 * share, 1));
    format!("{median} % <span class=\"ci\">({low} to {high})</span>")
}
