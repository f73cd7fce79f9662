//! A shift whose answer is known: men of the National Supported Work demonstration, and of the Current Population
//! Survey, weighted to be as they are (LaLonde, Am Econ Rev 76, 1986, 604–620; Dehejia and Wahba, J Am Stat Assoc 94,
//! 1999, 1053–1062). The experiment says that the programme raised the earnings of 1978 by 1,794 dollars; the survey's
//! men as they are say that it lowered them by 8,498.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::path::Path;

use hemex_shift::{Estimator, Method, effective_sample_size, standardised_difference};
use hemex_tests::real_data;

/// A man: what was known before the programme, and what he earned after it.
struct Man {
    is_treated: bool,
    /// Age, years of education, black, Hispanic, married, no degree, earnings of 1974 and 1975.
    known: [f64; 8],
    earned: f64,
}

fn men(path: &Path) -> Vec<Man> {
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().skip(1).map(|line| {
        let cells: Vec<f64> = line.split(',').skip(1).map(|cell| cell.parse().unwrap()).collect();
        Man {
            is_treated: cells[0] == 1.0,
            known: cells[1..9].try_into().unwrap(),
            earned: cells[9],
        }
    });
    rows.collect()
}

/// The terms of Dehejia and Wahba's propensity score for this survey.
fn terms(man: &Man) -> Vec<f64> {
    let [age, education, .., earned_1974, earned_1975] = man.known;
    let none = |earned: f64| if earned == 0.0 { 1.0 } else { 0.0 };
    let mut terms = man.known.to_vec();
    terms.extend([age.powi(2), age.powi(3), education.powi(2)]);
    terms.extend([earned_1974.powi(2), earned_1975.powi(2), none(earned_1974), none(earned_1975)]);
    terms.push(education * earned_1974);
    terms
}

/// Every term with mean 0 and standard deviation 1 over all men.
fn standardised(rows: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let n = rows.len() as f64;
    let columns = (0..rows[0].len()).map(|j| {
        let mean = rows.iter().map(|row| row[j]).sum::<f64>() / n;
        (mean, (rows.iter().map(|row| (row[j] - mean).powi(2)).sum::<f64>() / n).sqrt())
    });
    let columns: Vec<(f64, f64)> = columns.collect();
    let row = |row: Vec<f64>| row.iter().zip(&columns).map(|(x, (m, sd))| (x - m) / sd).collect();
    rows.into_iter().map(row).collect()
}

#[test]
fn weights_find_the_effect_that_the_experiment_found() {
    let Some(data) = real_data("weights_find_the_effect_that_the_experiment_found") else { return };
    let folder = data.join("tabular");
    let (experiment, survey) =
        (men(&folder.join("nsw_mixtape.csv")), men(&folder.join("cps_mixtape.csv")));
    let (treated, controls): (Vec<&Man>, Vec<&Man>) =
        experiment.iter().partition(|man| man.is_treated);
    let mean = |men: &[&Man]| men.iter().map(|man| man.earned).sum::<f64>() / men.len() as f64;
    let known_effect = mean(&treated) - mean(&controls);
    assert!((known_effect - 1794.34).abs() < 0.01, "{known_effect}");
    let unweighted = mean(&treated) - mean(&survey.iter().collect::<Vec<_>>());
    assert!((unweighted + 8497.52).abs() < 0.01, "{unweighted}");

    let rows = survey.iter().chain(treated.iter().copied()).map(terms).collect();
    let rows = standardised(rows);
    let (of_survey, of_treated) = rows.split_at(survey.len());
    let estimator =
        Estimator { method: Method::Logistic, l2: 1e-7, alpha: 0.0, max_ratio: 1e6, n_folds: 5 };
    let weights = estimator.ratios(of_survey, of_treated, 1).unwrap();
    let sum: f64 = weights.iter().sum();
    let weighted = survey.iter().zip(&weights).map(|(man, w)| man.earned * w).sum::<f64>() / sum;
    let effect = mean(&treated) - weighted;
    let differences = (0..8).map(|j| {
        let column = |rows: &[Vec<f64>]| rows.iter().map(|row| row[j]).collect::<Vec<_>>();
        standardised_difference(&column(of_survey), &weights, &column(of_treated)).unwrap().abs()
    });
    let largest = differences.fold(0.0, f64::max);
    let n_effective = effective_sample_size(&weights);
    println!(
        "effect {effect:.0}, largest difference {largest:.3}, effective sample size {n_effective:.0}"
    );
    assert!((effect - known_effect).abs() < 1000.0, "{effect}");
    assert!(largest <= 0.1, "{largest}");
    // scikit-learn on the same terms and penalty: 1709.66, 0.0592 and 79.7.
    assert!((effect - 1709.66).abs() < 1.0, "{effect}");
    assert!((largest - 0.0592).abs() < 1e-3 && (n_effective - 79.7).abs() < 0.5);
}
