use super::Comparison;
use super::markdown::remarks;
use crate::evaluate::PairedMean;
use crate::html::text::{escape, optional, p_value, table, with_interval};
use crate::html::{STYLE, document};

/// The comparison as one self-contained page.
pub fn page(comparison: &Comparison) -> String {
    let [first, second] =
        comparison.folders.each_ref().map(|folder| escape(&folder.display().to_string()));
    let rows: Vec<Vec<String>> = comparison
        .arms
        .iter()
        .flat_map(|arm| {
            let difference = &arm.difference;
            let [a, b] = arm.auroc.map(|value| optional(value, 3));
            let auroc = vec![
                escape(&arm.arm),
                "AUROC".to_owned(),
                a,
                b,
                with_interval(difference.auroc, difference.ci95, 3),
                difference.p.map_or_else(|| "–".to_owned(), p_value),
                difference.n.to_string(),
            ];
            let dice = mean_row(&arm.arm, "Mean Dice", &arm.dice, 3);
            let volume = mean_row(&arm.arm, "Volume error, mL", &arm.volume_error_ml, 2);
            std::iter::once(auroc).chain(dice).chain(volume)
        })
        .collect();
    let head = ["Arm", "Figure", "A", "B", "B minus A", "p", "Cases"];
    let remarks: String =
        remarks(comparison).iter().map(|line| format!("<li>{}</li>", escape(line))).collect();
    let remarks = if remarks.is_empty() { remarks } else { format!("<ul>{remarks}</ul>") };
    let body = format!(
        "<header><p class=\"kicker\">hemex</p><h1>Two runs</h1>\
         <p class=\"deck\">A <code>{first}</code><br>B <code>{second}</code></p></header>\
         <section id=\"differences\"><h2>B minus A</h2><p>On the test cases that both runs have, paired by \
         patient; 95 % intervals by the bootstrap over patients.</p>{}{remarks}</section>",
        table(&head, 2, &rows)
    );
    document("Two runs", STYLE, &body, &[])
}

fn mean_row(arm: &str, figure: &str, mean: &PairedMean, decimals: usize) -> Option<Vec<String>> {
    let [a, b] = mean.means.map(|value| optional(value, decimals));
    (mean.n > 0).then(|| {
        vec![
            escape(arm),
            figure.to_owned(),
            a,
            b,
            with_interval(mean.difference, mean.ci95, decimals),
            "–".to_owned(),
            mean.n.to_string(),
        ]
    })
}
