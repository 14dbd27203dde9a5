//! The picture of a replay: quality a month, with and without retraining.

use lw_core::{Error, Result};
use plotters::prelude::*;

use super::report::MonthQuality;

const SIZE: (u32, u32) = (960, 420);
const WITH: RGBColor = RGBColor(16, 122, 87);
const WITHOUT: RGBColor = RGBColor(180, 62, 38);

/// Two panels side by side as SVG: AUC (higher is better) and log loss (lower is better).
pub fn quality_svg(months: &[MonthQuality]) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(broken)?;
        let (left, right) = area.split_horizontally(SIZE.0 / 2);
        panel(&left, "AUC (higher is better)", months, |month| (month.auc, month.auc_frozen)).map_err(broken)?;
        panel(&right, "log loss (lower is better)", months, |month| (month.log_loss, month.log_loss_frozen)).map_err(broken)?;
        area.present().map_err(broken)?;
    }
    Ok(svg)
}

type Drawing<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Failed<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn panel<'a>(
    area: &Drawing<'a>,
    title: &str,
    months: &[MonthQuality],
    values: impl Fn(&MonthQuality) -> (f64, f64),
) -> Result<(), Failed<'a>> {
    let pairs: Vec<(f64, f64)> = months.iter().map(values).collect();
    let all = || pairs.iter().flat_map(|(with, without)| [*with, *without]).filter(|value| value.is_finite());
    let low = all().fold(f64::INFINITY, f64::min);
    let high = all().fold(f64::NEG_INFINITY, f64::max);
    let margin = ((high - low) * 0.15).max(0.005);
    let last = (months.len().max(2) - 1) as f64;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..last, (low - margin)..(high + margin))?;
    let month_label = |x: &f64| {
        months.get(x.round() as usize).map_or_else(String::new, |month| month.month.get(5..7).unwrap_or_default().to_owned())
    };
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(228, 228, 228))
        .x_labels(months.len())
        .x_label_formatter(&month_label)
        .y_label_formatter(&|y| format!("{y:.3}"))
        .draw()?;
    let series = [("with retraining", WITH, 0), ("first version kept", WITHOUT, 1)];
    for (name, color, which) in series {
        let points = pairs.iter().enumerate().map(move |(index, pair)| (index as f64, if which == 0 { pair.0 } else { pair.1 }));
        let points: Vec<(f64, f64)> = points.filter(|(_, y)| y.is_finite()).collect();
        chart
            .draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        chart.draw_series(points.into_iter().map(|point| Circle::new(point, 3, color.filled())))?;
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(200, 200, 200))
        .position(SeriesLabelPosition::LowerLeft)
        .draw()
}

fn broken<E: std::error::Error + Send + Sync + 'static>(error: E) -> Error {
    Error::bug("the plot of a replay could not be drawn").cause(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lines_and_all_months_are_drawn() {
        let months: Vec<MonthQuality> = ["2013-05", "2013-06", "2013-07"]
            .iter()
            .enumerate()
            .map(|(index, month)| MonthQuality {
                month: (*month).to_owned(),
                n_labels: 100,
                label_share: 0.2,
                auc: 0.7 + index as f64 / 100.0,
                log_loss: 0.5,
                auc_frozen: 0.68,
                log_loss_frozen: 0.55,
            })
            .collect();
        let svg = quality_svg(&months).unwrap();
        assert!(svg.starts_with("<svg"));
        for text in ["with retraining", "first version kept", "AUC", "log loss", "06"] {
            assert!(svg.contains(text), "{text}");
        }
    }
}
