//! A plot area with two axes, drawn as SVG.

use std::fmt::Write;

use super::text::{escape, fixed};

/// Colours of arms and folds, told apart by readers who see red and green alike (after Okabe & Ito).
pub(super) const COLORS: [&str; 6] =
    ["#1b5e9c", "#d0561d", "#00806a", "#8a5aa0", "#a07a00", "#5b6b7a"];
/// The colour of what is true: the oracle, the line of identity.
pub(super) const TRUTH: &str = "#6b7280";

const WIDTH: f64 = 440.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 46.0;

/// A linear axis with its ticks.
pub(super) struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
    label: String,
}

impl Axis {
    /// From `low` to `high`, widened to whole steps of 1, 2 or 5 times a power of ten.
    pub(super) fn new(label: &str, low: f64, high: f64) -> Self {
        let (low, high) = if high > low { (low, high) } else { (low - 0.5, low + 0.5) };
        let rough = (high - low) / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|factor| factor * power)
            .into_iter()
            .find(|step| *step >= rough * 0.999)
            .unwrap_or(10.0 * power);
        let (first, last) =
            ((low / step + 1e-9).floor() as i64, (high / step - 1e-9).ceil() as i64);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let ticks: Vec<(f64, String)> = (first..=last)
            .map(|i| i as f64 * step)
            .map(|value| (value, fixed(value, decimals)))
            .collect();
        Self { low: first as f64 * step, high: last as f64 * step, ticks, label: label.to_owned() }
    }

    /// From 0 to 1.
    pub(super) fn unit(label: &str) -> Self {
        Self::new(label, 0.0, 1.0)
    }

    /// Named places at 0, 1, 2, … from −0.5 on.
    pub(super) fn places(label: &str, names: &[String]) -> Self {
        Self {
            low: -0.5,
            high: names.len() as f64 - 0.5,
            ticks: names.iter().enumerate().map(|(i, name)| (i as f64, name.clone())).collect(),
            label: label.to_owned(),
        }
    }

    fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// How a line or mark is drawn.
#[derive(Clone, Copy)]
pub(super) struct Stroke<'a> {
    pub(super) color: &'a str,
    pub(super) width: f64,
    pub(super) opacity: f64,
    pub(super) dashed: bool,
}

impl<'a> Stroke<'a> {
    /// A full line.
    pub(super) fn new(color: &'a str, width: f64) -> Self {
        Self { color, width, opacity: 1.0, dashed: false }
    }

    pub(super) fn faint(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }

    pub(super) fn dashed(self) -> Self {
        Self { dashed: true, ..self }
    }

    fn attributes(&self) -> String {
        let Stroke { color, width, opacity, .. } = self;
        let dash = if self.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        format!(
            "stroke=\"{color}\" stroke-width=\"{width}\" stroke-opacity=\"{opacity}\" \
             fill=\"none\" stroke-linejoin=\"round\"{dash}"
        )
    }
}

/// A chart under construction. Marks are given in data coordinates.
pub(super) struct Chart {
    x: Axis,
    y: Axis,
    height: f64,
    marks: String,
}

impl Chart {
    /// An empty chart, `height` of its viewbox (the width is 440).
    pub(super) fn new(x: Axis, y: Axis, height: f64) -> Self {
        Self { x, y, height, marks: String::new() }
    }

    /// An empty chart with a square plot area.
    pub(super) fn square(x: Axis, y: Axis) -> Self {
        Self::new(x, y, WIDTH - LEFT - RIGHT + TOP + BOTTOM)
    }

    fn at(&self, [x, y]: [f64; 2]) -> (f64, f64) {
        let width = WIDTH - LEFT - RIGHT;
        let height = self.height - TOP - BOTTOM;
        (LEFT + width * self.x.share(x), TOP + height * (1.0 - self.y.share(y)))
    }

    /// A line through points.
    pub(super) fn line(&mut self, points: &[[f64; 2]], stroke: Stroke) {
        let mut path = String::new();
        for (i, point) in points.iter().enumerate() {
            let (x, y) = self.at(*point);
            let _ = write!(path, "{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" });
        }
        let _ = write!(self.marks, "<path d=\"{path}\" {}/>", stroke.attributes());
    }

    /// A filled dot of `radius` pixels with a tooltip.
    pub(super) fn dot(&mut self, at: [f64; 2], radius: f64, fill: Stroke, title: &str) {
        let (x, y) = self.at(at);
        let Stroke { color, opacity, .. } = fill;
        let title = if title.is_empty() {
            String::new()
        } else {
            format!("<title>{}</title>", escape(title))
        };
        let _ = write!(
            self.marks,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{color}\" \
             fill-opacity=\"{opacity}\" stroke=\"#fff\" stroke-width=\"0.6\">{title}</circle>"
        );
    }

    /// A word beside a point, `anchor` one of `start`, `middle`, `end`.
    pub(super) fn word(&mut self, at: [f64; 2], anchor: &str, color: &str, word: &str) {
        let (x, y) = self.at(at);
        let _ = write!(
            self.marks,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" style=\"fill:{color}\">{}</text>",
            y - 5.0,
            escape(word)
        );
    }

    /// The chart as an SVG element; `description` is for readers who do not see it.
    pub(super) fn svg(self, description: &str) -> String {
        let (left, bottom) = (LEFT, self.height - BOTTOM);
        let right = WIDTH - RIGHT;
        let mut frame = String::new();
        // A place without a name carries its mark alone.
        for (value, name) in self.y.ticks.iter().filter(|(_, name)| !name.is_empty()) {
            let (_, y) = self.at([self.x.low, *value]);
            let _ = write!(
                frame,
                "<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 7.0,
                y + 4.0,
                escape(name)
            );
        }
        for (value, name) in &self.x.ticks {
            let (x, _) = self.at([*value, self.y.low]);
            let _ = write!(
                frame,
                "<path class=\"axis\" d=\"M{x:.1} {bottom}v4\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 17.0,
                escape(name)
            );
        }
        let middle = TOP + (bottom - TOP) / 2.0;
        format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{}\">{frame}\
             <path class=\"axis\" d=\"M{left} {bottom}H{right}\"/>{}\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text x=\"12\" y=\"{middle:.1}\" text-anchor=\"middle\" \
             transform=\"rotate(-90 12 {middle:.1})\">{}</text></svg>",
            self.height,
            escape(description),
            self.marks,
            left + (right - left) / 2.0,
            self.height - 8.0,
            escape(&self.x.label),
            escape(&self.y.label),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_that_cover_the_data() {
        let names =
            |axis: &Axis| -> Vec<String> { axis.ticks.iter().map(|t| t.1.clone()).collect() };
        assert_eq!(names(&Axis::unit("")), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        let axis = Axis::new("", -13.0, 61.0);
        assert_eq!(names(&axis), ["−20", "0", "20", "40", "60", "80"]);
        assert!(axis.low <= -13.0 && axis.high >= 61.0);
        let flat = Axis::new("", 3.0, 3.0);
        assert!(flat.low < 3.0 && flat.high > 3.0);
    }

    #[test]
    fn words_in_a_chart_are_escaped() {
        let mut chart = Chart::square(Axis::unit("<x>"), Axis::places("y", &["<p>".to_owned()]));
        chart.dot([0.0, 0.0], 3.0, Stroke::new("#000", 1.0), "<t>");
        chart.word([0.0, 0.0], "start", "#000", "<w>");
        let svg = chart.svg("<d>");
        for raw in ["<x>", "<p>", "<t>", "<w>", "<d>"] {
            assert!(!svg.contains(raw), "{raw}");
        }
    }
}
