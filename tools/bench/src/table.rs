//! A table of the medians of several rounds, with ratios to LIMIT and to the best peer.

use crate::target::Role;
use std::collections::BTreeMap;
use std::fmt;

/// Whether a lower or a higher figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// One figure of a run.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// Its name, with the unit.
    pub(crate) what: &'static str,
    pub(crate) better: Better,
    pub(crate) value: f64,
}

/// A figure of which a lower value is better.
pub(crate) fn lower(what: &'static str, value: f64) -> Figure {
    Figure {
        what,
        better: Better::Lower,
        value,
    }
}

/// A figure of which a higher value is better.
pub(crate) fn higher(what: &'static str, value: f64) -> Figure {
    Figure {
        what,
        better: Better::Higher,
        value,
    }
}

/// Figures of several targets in several cases, from any number of runs.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    columns: Vec<(String, Role)>,
    cases: Vec<String>,
    figures: Vec<(&'static str, Better)>,
    /// By figure, case and column.
    cells: BTreeMap<(usize, usize, usize), Vec<f64>>,
    /// By case and column: the number of lost messages of each void run.
    voids: BTreeMap<(usize, usize), Vec<u64>>,
}

impl Table {
    /// - `columns`: the names and roles of the targets.
    /// - `cases`: the names of the cases.
    pub(crate) fn new(title: String, columns: Vec<(String, Role)>, cases: Vec<String>) -> Self {
        Self {
            title,
            columns,
            cases,
            figures: Vec::new(),
            cells: BTreeMap::new(),
            voids: BTreeMap::new(),
        }
    }

    /// Adds a run.
    pub(crate) fn add(&mut self, case: usize, column: usize, figures: Vec<Figure>) {
        for Figure {
            what,
            better,
            value,
        } in figures
            .into_iter()
            .filter(|figure| figure.value.is_finite())
        {
            let row = self
                .figures
                .iter()
                .position(|(known, _)| *known == what)
                .unwrap_or_else(|| {
                    self.figures.push((what, better));
                    self.figures.len() - 1
                });
            self.cells
                .entry((row, case, column))
                .or_default()
                .push(value);
        }
    }

    /// Adds a void run.
    ///
    /// - `lost`: number of lost messages; zero if it is void for another reason.
    pub(crate) fn add_void(&mut self, case: usize, column: usize, lost: u64) {
        self.voids.entry((case, column)).or_default().push(lost);
    }

    fn median(&self, figure: usize, case: usize, column: usize) -> Option<f64> {
        let valid = !self.voids.contains_key(&(case, column));
        self.cells
            .get(&(figure, case, column))
            .filter(|_| valid)
            .map(|figures| median(figures))
    }

    /// The column that others are compared with: the last variant of LIMIT, or else the first column.
    fn base(&self) -> usize {
        self.columns
            .iter()
            .rposition(|(_, role)| *role == Role::Limit)
            .unwrap_or(0)
    }

    fn cell(&self, figure: usize, case: usize, column: usize) -> String {
        if let Some(lost) = self.voids.get(&(case, column)) {
            return match lost.iter().max() {
                Some(most) if *most > 0 => format!("**lost {most}**"),
                _ => "**void**".into(),
            };
        }
        let base = self.median(figure, case, self.base());
        match (self.median(figure, case, column), base) {
            (Some(own), Some(base)) if column != self.base() => {
                format!("{} ({:.2})", shown(own), own / base)
            }
            (Some(own), _) => shown(own),
            (None, _) => "-".into(),
        }
    }

    fn columns_of(&self, role: Role) -> impl Iterator<Item = usize> {
        self.columns
            .iter()
            .enumerate()
            .filter(move |(_, (_, own))| *own == role)
            .map(|(column, _)| column)
    }

    /// The ratio of the first Tailwater to the best peer, with the name of the peer.
    fn to_best_peer(&self, figure: usize, case: usize) -> Option<String> {
        let ours = self.columns_of(Role::Tailwater).next()?;
        let figures = self
            .columns_of(Role::Peer)
            .filter_map(|peer| Some((self.median(figure, case, peer)?, peer)));
        let (best, peer) = match self.figures[figure].1 {
            Better::Lower => figures.min_by(|one, other| one.0.total_cmp(&other.0))?,
            Better::Higher => figures.max_by(|one, other| one.0.total_cmp(&other.0))?,
        };
        Some(format!(
            "{:.2} ({})",
            self.median(figure, case, ours)? / best,
            self.columns[peer].0
        ))
    }

    /// The ratio of each Tailwater to the second binary with the same store.
    fn to_against(&self, figure: usize, case: usize) -> Option<String> {
        let pairs = self
            .columns_of(Role::Tailwater)
            .zip(self.columns_of(Role::Against));
        let ratio = |(ours, before)| {
            Some(self.median(figure, case, ours)? / self.median(figure, case, before)?)
        };
        let ratios: Vec<String> = pairs
            .filter_map(ratio)
            .map(|ratio| format!("{ratio:.2}"))
            .collect();
        (!ratios.is_empty()).then(|| ratios.join(", "))
    }
}

/// The median; NaN if empty.
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

/// With three significant digits; without decimals from 100 on.
fn shown(figure: f64) -> String {
    let digits = match figure.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{figure:.digits$}")
}

/// A column of ratios: its heading, and its text for a figure and a case.
type Ratio = (&'static str, fn(&Table, usize, usize) -> Option<String>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ratios: Vec<Ratio> = Vec::new();
        if self.columns_of(Role::Against).next().is_some() {
            ratios.push(("Tailwater to against", Self::to_against));
        }
        if self.columns_of(Role::Peer).next().is_some() {
            ratios.push(("Tailwater to the best peer", Self::to_best_peer));
        }
        let names = self
            .columns
            .iter()
            .map(|(name, _)| &**name)
            .chain(ratios.iter().map(|(name, _)| *name));
        let names: Vec<&str> = names.collect();
        let rule = " ---: |".repeat(names.len());
        write!(
            f,
            "{}\n\n| | {} |\n| --- |{rule}",
            self.title,
            names.join(" | ")
        )?;
        for (figure, (what, _)) in self.figures.iter().enumerate() {
            for (case, name) in self.cases.iter().enumerate() {
                if (0..self.columns.len())
                    .all(|column| !self.cells.contains_key(&(figure, case, column)))
                {
                    continue;
                }
                write!(f, "\n| {name}: {what} |")?;
                for column in 0..self.columns.len() {
                    write!(f, " {} |", self.cell(figure, case, column))?;
                }
                for (_, ratio) in &ratios {
                    write!(
                        f,
                        " {} |",
                        ratio(self, figure, case).unwrap_or_else(|| "-".into())
                    )?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_outlier_does_not_move_the_median() {
        for (figures, middle) in [
            (&[3.0][..], 3.0),
            (&[9e9, 1.0, 2.0], 2.0),
            (&[4.0, 1.0, 2.0, 3.0], 2.5),
        ] {
            assert!((median(figures) - middle).abs() < 1e-9, "{figures:?}");
        }
    }

    #[test]
    fn ratios_compare_with_the_limit_and_the_best_peer() {
        let columns = [
            ("L", Role::Limit),
            ("T", Role::Tailwater),
            ("a", Role::Peer),
            ("b", Role::Peer),
            ("old", Role::Against),
        ];
        let columns = columns.map(|(name, role)| (name.to_owned(), role)).to_vec();
        let mut table = Table::new("T".into(), columns, vec!["x".into()]);
        let figures = [
            (2.0, 100.0),
            (3.0, 90.0),
            (4.0, 50.0),
            (6.0, 60.0),
            (4.0, 60.0),
        ];
        for (column, (cost, rate)) in figures.into_iter().enumerate() {
            table.add(0, column, vec![lower("cost", cost), higher("rate", rate)]);
        }
        let text = table.to_string();
        assert!(
            text.contains(
                "| x: cost | 2.00 | 3.00 (1.50) | 4.00 (2.00) | 6.00 (3.00) | 4.00 (2.00) | 0.75 | 0.75 (a) |"
            ),
            "{text}"
        );
        assert!(
            text.contains(
                "| x: rate | 100 | 90.0 (0.90) | 50.0 (0.50) | 60.0 (0.60) | 60.0 (0.60) | 1.50 | 1.50 (b) |"
            ),
            "{text}"
        );
        table.add_void(0, 2, 0);
        assert!(table.to_string().contains("| **void** |"), "{table}");
        table.add_void(0, 2, 7);
        let text = table.to_string();
        assert!(
            text.contains("| **lost 7** |") && text.contains("0.50 (b)"),
            "a void run has no figures: {text}"
        );
    }
}
