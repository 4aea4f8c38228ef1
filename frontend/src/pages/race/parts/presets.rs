//! Predefined paths between browser and server. Their delays are explained in docs/dashboard.md.

/// A path between browser and server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathPreset {
    /// Browser and server on one machine.
    Machine,
    /// A few kilometres and an access network.
    City,
    /// One to two thousand kilometres of cable.
    Country,
    /// Across an ocean.
    Continent,
    /// A 4G network, which is slower towards the server.
    Mobile,
}

impl PathPreset {
    /// All paths, the shortest first.
    pub const ALL: [Self; 5] = [
        Self::Machine,
        Self::City,
        Self::Country,
        Self::Continent,
        Self::Mobile,
    ];

    /// The delays that are added to and from the server, ms.
    pub fn delays_ms(self) -> (f64, f64) {
        match self {
            Self::Machine => (0.0, 0.0),
            Self::City => (5.0, 5.0),
            Self::Country => (20.0, 20.0),
            Self::Continent => (75.0, 75.0),
            Self::Mobile => (25.0, 15.0),
        }
    }

    /// The path with these delays to and from the server, if there is one.
    pub fn with_delays_ms(delays: (f64, f64)) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.delays_ms() == delays)
    }

    /// The machine-readable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::City => "city",
            Self::Country => "country",
            Self::Continent => "continent",
            Self::Mobile => "mobile",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::race::model::settings::{DELAY_MS, RaceSettings};

    #[test]
    fn the_default_delays_are_a_preset() {
        let RaceSettings { up_ms, down_ms, .. } = RaceSettings::default();
        let preset = PathPreset::with_delays_ms((up_ms, down_ms));
        assert_eq!(preset, Some(PathPreset::Country));
    }

    #[test]
    fn every_preset_is_found_by_its_delays() {
        for preset in PathPreset::ALL {
            let (up_ms, down_ms) = preset.delays_ms();
            assert_eq!(PathPreset::with_delays_ms((up_ms, down_ms)), Some(preset));
            assert_eq!(
                (DELAY_MS.clamp(up_ms), DELAY_MS.clamp(down_ms)),
                (up_ms, down_ms)
            );
        }
    }
}
