//! Lines over time, drawn by charts-rs; no other file knows it.
//!
//! Invariant: the plot box stands where the pages expect it, colours are the agreed place holders, and there is neither
//! a style element nor a style attribute, which the pages' security policy would not apply.

use charts_rs::{AxisType, Box, Color, LineChart, Series, Symbol, svg_with_accessibility};

use crate::clock::Time;
use crate::http::error::{Code, Problem};

/// Height of the drawing, and the distances of the plot box from its edges.
const HEIGHT: f32 = 220.0;
const LEFT: f32 = 48.0;
const RIGHT: f32 = 12.0;
const TOP: f32 = 8.0;
const BOTTOM: f32 = 24.0;

const SERIES: [(u8, u8, u8); 4] = [(1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)];
const GRID: (u8, u8, u8) = (10, 10, 10);
const TEXT: (u8, u8, u8) = (11, 11, 11);
const FONT_SIZE: f32 = 11.0;
const STROKE: f32 = 1.5;
/// A value between two gaps has no line; a dot shows it.
const DOT_RADIUS: f32 = 1.5;

/// The axis has at most this many steps.
const MAX_STEPS: f64 = 4.0;
/// Up to here durations are written in milliseconds, which four digits and a unit have room for.
const LONGEST_IN_MS: f64 = 800.0;
/// Up to here durations are written in seconds.
const LONGEST_IN_S: f64 = 180_000.0;

/// What is drawn.
pub(super) struct Plot {
    pub(super) title: String,
    pub(super) description: String,
    /// Where each value stands.
    pub(super) times: Vec<Time>,
    /// Where the last bucket ends: a lone value stands at the left edge of it.
    pub(super) ends: Time,
    pub(super) unit: Unit,
    /// At most as many as there are colours.
    pub(super) lines: Vec<Line>,
}

/// One line; a value that is not there is a gap.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) values: Vec<Option<f64>>,
}

/// What the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Count,
    Milliseconds,
}

/// The vertical axis: whole steps of a round number.
#[derive(Debug, PartialEq)]
struct Axis {
    /// Values are divided by it.
    scale: f64,
    step: f64,
    steps: usize,
    suffix: &'static str,
}

impl Axis {
    fn over(unit: Unit, largest: f64) -> Self {
        let (scale, suffix) = match unit {
            Unit::Count => (1.0, ""),
            Unit::Milliseconds if largest <= LONGEST_IN_MS => (1.0, " ms"),
            Unit::Milliseconds if largest <= LONGEST_IN_S => (1_000.0, " s"),
            Unit::Milliseconds => (60_000.0, " min"),
        };
        let highest = largest / scale;
        let mut magnitude = 1.0;
        while magnitude * 5.0 * MAX_STEPS < highest {
            magnitude *= 10.0;
        }
        let round = [1.0, 2.0, 5.0].map(|factor| factor * magnitude);
        let step = round.into_iter().find(|step| step * MAX_STEPS >= highest).unwrap_or(10.0 * magnitude);
        Self { scale, step, steps: ((highest / step).ceil() as usize).max(2), suffix }
    }
}

impl Plot {
    /// The drawing.
    pub(super) fn svg(&self, width: u16) -> Result<String, Problem> {
        let largest = self.lines.iter().flat_map(|line| &line.values).flatten().copied().fold(0.0, f64::max);
        let axis = Axis::over(self.unit, largest);
        let mut chart = LineChart::new(self.series(axis.scale), Vec::new());
        chart.width = f32::from(width);
        chart.height = HEIGHT;
        chart.margin = Box { top: TOP, ..Box::default() };
        chart.background_color = Color::transparent();
        chart.font_family = "sans-serif".into();
        chart.compact = true;
        chart.tooltip.show = false;
        chart.legend.show = Some(false);
        chart.series.symbol = Some(Symbol::None);
        chart.series.colors = SERIES.map(Color::from).to_vec();
        chart.series.stroke_width = STROKE;
        chart.grid.stroke_color = GRID.into();
        chart.grid.left = Some(LEFT);
        chart.grid.right = Some(RIGHT);
        self.lay_time(&mut chart);
        chart.y_axis_configs.truncate(1);
        for vertical in &mut chart.y_axis_configs {
            vertical.width = Some(LEFT);
            vertical.font.size = FONT_SIZE;
            vertical.font.color = TEXT.into();
            vertical.stroke_color = Color::transparent();
            vertical.name_gap = 4.0;
            vertical.min = Some(0.0);
            vertical.max = Some((axis.step * axis.steps as f64) as f32);
            vertical.split_number = axis.steps;
            vertical.formatter = Some(format!("{{c}}{}", axis.suffix));
        }
        let svg = chart.svg().map_err(|error| {
            tracing::error!(%error, "a chart could not be drawn");
            Problem::new(Code::Internal, "the chart could not be drawn: the log says why")
        })?;
        // The crate writes colours in capitals; a stylesheet's attribute selectors are exact.
        let svg = svg.replace("#0A0A0A", "#0a0a0a").replace("#0B0B0B", "#0b0b0b");
        Ok(svg_with_accessibility(&svg, &self.title, &self.description))
    }

    fn lay_time(&self, chart: &mut LineChart) {
        let seconds = |time: &Time| time.0 as f64 / 1_000.0;
        let axis = &mut chart.x_axis;
        axis.kind = AxisType::Time;
        axis.values = self.times.iter().map(seconds).collect();
        axis.min = self.times.first().map(seconds);
        axis.max = if self.times.len() > 1 { self.times.last().map(seconds) } else { Some(seconds(&self.ends)) };
        axis.height = BOTTOM;
        axis.font.size = FONT_SIZE;
        axis.font.color = TEXT.into();
        axis.stroke_color = GRID.into();
    }

    fn series(&self, scale: f64) -> Vec<Series> {
        let line = |(index, line): (usize, &Line)| {
            let values: Vec<_> = line.values.iter().map(|value| value.map(|value| (value / scale) as f32)).collect();
            let lone = lone(&values);
            let drawn = Series { index: Some(index), ..Series::new_nullable(line.name.to_owned(), values) };
            let dots = lone.iter().any(Option::is_some).then(|| Series {
                index: Some(index),
                symbol: Some(Symbol::Circle(DOT_RADIUS, Some(SERIES[index % SERIES.len()].into()))),
                ..Series::new_nullable(line.name.to_owned(), lone)
            });
            [Some(drawn), dots]
        };
        self.lines.iter().enumerate().flat_map(line).flatten().collect()
    }
}

/// The values with a gap on both sides.
fn lone(values: &[Option<f32>]) -> Vec<Option<f32>> {
    let is_there = |at: Option<usize>| at.and_then(|at| values.get(at)).is_some_and(Option::is_some);
    let has_neighbour = |at: usize| is_there(at.checked_sub(1)) || is_there(at.checked_add(1));
    values.iter().enumerate().map(|(at, value)| value.filter(|_| !has_neighbour(at))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(values: &[Option<f64>], unit: Unit) -> String {
        let hour = |at: usize| Time(1_699_999_200_000 + 3_600_000 * at as i64);
        let plot = Plot {
            title: "Messages <per> hour".into(),
            description: "d".into(),
            times: (0..values.len()).map(hour).collect(),
            ends: hour(values.len()),
            unit,
            lines: vec![Line { name: "accepted", values: values.to_vec() }],
        };
        plot.svg(720).expect("a drawing")
    }

    #[test]
    fn the_axis_has_few_whole_round_steps() {
        let axis = |unit, largest| {
            let Axis { scale, step, steps, suffix } = Axis::over(unit, largest);
            (scale, step, steps, suffix)
        };
        assert_eq!(axis(Unit::Count, 0.0), (1.0, 1.0, 2, ""));
        assert_eq!(axis(Unit::Count, 3.0), (1.0, 1.0, 3, ""));
        assert_eq!(axis(Unit::Count, 21.0), (1.0, 10.0, 3, ""));
        assert_eq!(axis(Unit::Count, 1_999_999.0), (1.0, 500_000.0, 4, ""));
        assert_eq!(axis(Unit::Milliseconds, 800.0), (1.0, 200.0, 4, " ms"));
        assert_eq!(axis(Unit::Milliseconds, 2_400.0), (1_000.0, 1.0, 3, " s"));
        assert_eq!(axis(Unit::Milliseconds, 3_600_000.0), (60_000.0, 20.0, 3, " min"));
    }

    #[test]
    fn a_drawing_has_its_box_its_colours_and_no_style() {
        let svg = plot(&[Some(1.0), Some(4.0), Some(2.0)], Unit::Count);
        assert!(svg.contains("<path d=\"M48 149L378 8l330 94\""), "from edge to edge of the plot box: {svg}");
        for wanted in ["stroke=\"#010101\"", "stroke=\"#0a0a0a\"", "fill=\"#0b0b0b\"", "role=\"img\"", ">22:00<"] {
            assert!(svg.contains(wanted), "{wanted} is not in {svg}");
        }
        assert!(svg.contains("<title>Messages &lt;per&gt; hour</title>"));
        assert!(!svg.contains("style") && !svg.contains("<script"));
    }

    #[test]
    fn nothing_at_all_is_an_empty_grid() {
        let svg = plot(&[None, None], Unit::Milliseconds);
        assert!(svg.contains("M48 8h660") && svg.contains(">2 ms<") && !svg.contains("#010101"), "{svg}");
    }

    #[test]
    fn a_value_between_gaps_is_a_dot() {
        let svg = plot(&[None, Some(4.0), None], Unit::Count);
        assert!(svg.contains("<circle cx=\"378\" cy=\"8\""), "{svg}");
        let alone = plot(&[Some(2.0)], Unit::Count);
        assert!(alone.contains("<circle cx=\"48\" cy=\"8\""), "{alone}");
    }
}
