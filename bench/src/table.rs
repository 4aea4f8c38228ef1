//! Medians of several rounds, side by side, with the ratio to the first column of figures.

use std::collections::BTreeMap;
use std::fmt;

/// Figures by row and column; each may be measured several times.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    columns: Vec<String>,
    rows: BTreeMap<(usize, String), BTreeMap<usize, Vec<f64>>>,
}

impl Table {
    /// - `columns`: what is compared; the first is what the others are held against.
    pub(crate) fn new(title: String, columns: Vec<String>) -> Self {
        Self { title, columns, rows: BTreeMap::new() }
    }

    /// Notes one measurement; rows are shown in the order of `row.0`.
    pub(crate) fn add(&mut self, row: (usize, String), column: usize, figure: f64) {
        self.rows.entry(row).or_default().entry(column).or_default().push(figure);
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[half],
        _ => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

fn shown(figure: f64) -> String {
    if figure >= 1000.0 { format!("{figure:.0}") } else { format!("{figure:.3}").chars().take(5).collect() }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.title)?;
        write!(f, "| {:<44} |", "")?;
        for column in &self.columns {
            write!(f, " {column:>14} |")?;
        }
        write!(f, "\n| {:-<44} |", "")?;
        for _ in &self.columns {
            write!(f, " {:->13}: |", "")?;
        }
        for ((_, name), cells) in &self.rows {
            write!(f, "\n| {name:<44} |")?;
            let first = cells.get(&0).map(|figures| median(figures));
            for at in 0..self.columns.len() {
                let cell = match (cells.get(&at).map(|figures| median(figures)), first) {
                    (Some(figure), Some(first)) if at > 0 => format!("{} ({:.2})", shown(figure), figure / first),
                    (Some(figure), _) => shown(figure),
                    (None, _) => String::new(),
                };
                write!(f, " {cell:>14} |")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_does_not_care_for_one_wild_round() {
        for (figures, middle) in [(&[3.0][..], 3.0), (&[9e9, 1.0, 2.0], 2.0), (&[4.0, 1.0, 2.0, 3.0], 2.5)] {
            assert!((median(figures) - middle).abs() < 1e-9, "{figures:?}");
        }
    }
}
