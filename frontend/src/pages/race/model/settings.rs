//! The settings of the Race page, and their form in the query of its URL: a link restores all of them.

use tailwater_protocol::Technique;
use tailwater_protocol::lab::{GeneratorRequest, HostPattern, HostRequest, Pattern};

use crate::app::query::Query;
use crate::numbers;

/// The source of the stream's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RaceSource {
    /// Measurements of the server's machine.
    Host,
    /// Generated events at a chosen rate.
    Generator,
    /// A stream of the server, by its name.
    Named(String),
}

impl RaceSource {
    /// The stream of the host source.
    pub const HOST_STREAM: &'static str = "lab/host";
}

/// Inclusive limits of a setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumberLimits {
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

impl NumberLimits {
    /// Limits `value`; NaN becomes the least.
    pub fn clamp(self, value: f64) -> f64 {
        value.max(self.min).min(self.max)
    }
}

/// Events per second of the generator.
pub const RATE: NumberLimits = NumberLimits {
    min: 0.1,
    max: 2_000.0,
};
/// Bytes per event of the generator.
pub const SIZE: NumberLimits = NumberLimits {
    min: 96.0,
    max: 65_536.0,
};
/// Milliseconds between two polls.
pub const INTERVAL_MS: NumberLimits = NumberLimits {
    min: 20.0,
    max: 60_000.0,
};
/// Seconds that a long-poll may be held.
pub const HOLD_S: NumberLimits = NumberLimits {
    min: 1.0,
    max: 60.0,
};
/// Milliseconds of delay added in each direction.
pub const DELAY_MS: NumberLimits = NumberLimits {
    min: 0.0,
    max: 500.0,
};
/// Seconds that the drawings show.
pub const WINDOW_S: NumberLimits = NumberLimits {
    min: 2.0,
    max: 60.0,
};

/// The settings.
#[derive(Debug, Clone, PartialEq)]
pub struct RaceSettings {
    /// The source of the stream's events.
    pub source: RaceSource,
    /// Which lanes are on, in the order of [`Technique::ALL`].
    pub lanes: [bool; Technique::COUNT],
    /// The pattern of the due times; bursts are only for the generator.
    pub pattern: Pattern,
    /// The generator's events per second, within [`RATE`].
    pub rate: f64,
    /// The generator's bytes per event, within [`SIZE`].
    pub size: f64,
    /// Milliseconds between two polls, within [`INTERVAL_MS`].
    pub interval_ms: f64,
    /// Seconds a long-poll may be held, within [`HOLD_S`].
    pub hold_s: f64,
    /// Milliseconds of delay added towards the server, within [`DELAY_MS`].
    pub up_ms: f64,
    /// Milliseconds of delay added towards the client, within [`DELAY_MS`].
    pub down_ms: f64,
    /// Seconds that the drawings show, within [`WINDOW_S`].
    pub window_s: f64,
    /// Whether latencies are shown on a logarithmic axis.
    pub log: bool,
}

impl Default for RaceSettings {
    fn default() -> Self {
        Self {
            source: RaceSource::Host,
            lanes: [true; Technique::COUNT],
            pattern: Pattern::Poisson,
            rate: 4.0,
            size: 200.0,
            interval_ms: 1_000.0,
            hold_s: 25.0,
            // Without a delay the latencies of the techniques hardly differ.
            up_ms: 20.0,
            down_ms: 20.0,
            window_s: 8.0,
            log: false,
        }
    }
}

impl RaceSettings {
    /// Parses a query; missing and invalid values have their defaults.
    pub fn from_query(query: &Query) -> Self {
        let mut settings = Self::default();
        for (name, value) in query.pairs() {
            settings.take(name, value);
        }
        settings
    }

    /// The same with another stream.
    pub fn with_stream(self, name: &str) -> Self {
        Self {
            source: RaceSource::Named(name.to_owned()),
            ..self
        }
    }

    fn take(&mut self, key: &str, value: &str) {
        let number = |limits: NumberLimits, now: f64| {
            numbers::parse(value).map_or(now, |wanted| limits.clamp(wanted))
        };
        match key {
            "source" => match value {
                "host" => self.source = RaceSource::Host,
                "generator" => self.source = RaceSource::Generator,
                _ => {}
            },
            "stream" => match value.trim_matches('/') {
                "" => {}
                RaceSource::HOST_STREAM => self.source = RaceSource::Host,
                name => self.source = RaceSource::Named(name.to_owned()),
            },
            "lanes" => {
                self.lanes = Technique::ALL.map(|technique| value.contains(technique.letter()));
            }
            "pattern" => self.pattern = pattern_from_name(value).unwrap_or(self.pattern),
            "rate" => self.rate = number(RATE, self.rate),
            "size" => self.size = number(SIZE, self.size).round(),
            "interval" => self.interval_ms = number(INTERVAL_MS, self.interval_ms).round(),
            "hold" => self.hold_s = number(HOLD_S, self.hold_s).round(),
            "up" => self.up_ms = number(DELAY_MS, self.up_ms),
            "down" => self.down_ms = number(DELAY_MS, self.down_ms),
            "window" => self.window_s = number(WINDOW_S, self.window_s),
            "scale" => self.log = value == "log",
            _ => {}
        }
    }

    /// The query of these settings, without the defaults.
    pub fn to_query(&self) -> Query {
        let usual = Self::default();
        let source = (self.source == RaceSource::Generator).then_some("generator");
        let stream = match &self.source {
            RaceSource::Named(name) => Some(name.as_str()),
            RaceSource::Host | RaceSource::Generator => None,
        };
        let lanes = (self.lanes != usual.lanes)
            .then(|| self.lanes_on().map(Technique::letter).collect::<String>());
        let pattern = (self.pattern != usual.pattern).then(|| pattern_name(self.pattern));
        let query = Query::default()
            .with_some("source", source)
            .with_some("stream", stream)
            .with_some("lanes", lanes)
            .with_some("pattern", pattern);
        let numbers = [
            ("rate", self.rate, usual.rate),
            ("size", self.size, usual.size),
            ("interval", self.interval_ms, usual.interval_ms),
            ("hold", self.hold_s, usual.hold_s),
            ("up", self.up_ms, usual.up_ms),
            ("down", self.down_ms, usual.down_ms),
            ("window", self.window_s, usual.window_s),
        ];
        numbers
            .into_iter()
            .filter(|(_, now, by_default)| now != by_default)
            .fold(query, |query, (name, now, _)| {
                query.with(name, numbers::shortest(now))
            })
            .with_some("scale", self.log.then_some("log"))
    }

    /// The techniques whose lanes are on.
    pub fn lanes_on(&self) -> impl Iterator<Item = Technique> {
        Technique::ALL
            .into_iter()
            .zip(self.lanes)
            .filter_map(|(technique, on)| on.then_some(technique))
    }

    /// Whether a change from `before` to these settings makes measurements before and after it incomparable.
    pub fn changes_the_run(&self, before: &Self) -> bool {
        self.changes_the_stream(before)
            || self.interval_ms != before.interval_ms
            || self.hold_s != before.hold_s
            || self.up_ms != before.up_ms
            || self.down_ms != before.down_ms
    }

    /// Whether the stream or its events differ from `before`.
    pub fn changes_the_stream(&self, before: &Self) -> bool {
        let generates = self.source == RaceSource::Generator;
        self.source != before.source
            || (self.source == RaceSource::Host && self.host() != before.host())
            || (generates && self.generator(0) != before.generator(0))
    }

    /// Whether events fall due periodically while a lane polls.
    pub fn is_periodic(&self) -> bool {
        let named = matches!(self.source, RaceSource::Named(_));
        self.pattern == Pattern::Periodic && !named && self.lanes[Technique::Poll.index()]
    }

    /// The request for the host source.
    pub fn host(&self) -> HostRequest {
        let pattern = match self.pattern {
            Pattern::Periodic => HostPattern::Periodic,
            Pattern::Poisson | Pattern::Burst => HostPattern::Poisson,
        };
        HostRequest { pattern }
    }

    /// The request for the generator.
    pub fn generator(&self, seed: u64) -> GeneratorRequest {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within SIZE"
        )]
        let size = SIZE.clamp(self.size) as usize;
        GeneratorRequest {
            pattern: self.pattern,
            rate: RATE.clamp(self.rate),
            size,
            seed,
        }
    }
}

/// The name of a pattern in the URL.
pub fn pattern_name(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::Poisson => "poisson",
        Pattern::Periodic => "periodic",
        Pattern::Burst => "burst",
    }
}

/// The pattern of that name.
pub fn pattern_from_name(name: &str) -> Option<Pattern> {
    [Pattern::Poisson, Pattern::Periodic, Pattern::Burst]
        .into_iter()
        .find(|pattern| pattern_name(*pattern) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> RaceSettings {
        RaceSettings::from_query(&Query::parse(query))
    }

    #[test]
    fn the_default_needs_no_query() {
        assert_eq!(RaceSettings::default().to_query(), Query::default());
        assert_eq!(asked(""), RaceSettings::default());
    }

    #[test]
    fn every_setting_round_trips_through_the_url() {
        let settings = RaceSettings {
            source: RaceSource::Named("logs/a b&c=ü".to_owned()),
            lanes: Technique::ALL.map(|technique| technique.index().is_multiple_of(2)),
            pattern: Pattern::Burst,
            rate: 0.5,
            size: 1_024.0,
            interval_ms: 250.0,
            hold_s: 5.0,
            up_ms: 50.0,
            down_ms: 12.5,
            window_s: 20.0,
            log: true,
        };
        assert_eq!(asked(&settings.to_query().to_string()), settings);
        let generated = RaceSettings {
            source: RaceSource::Generator,
            ..RaceSettings::default()
        };
        assert_eq!(asked(&generated.to_query().to_string()), generated);
    }

    #[test]
    fn out_of_range_and_invalid_numbers_are_harmless() {
        let settings =
            asked("?rate=1e9&up=-5&interval=NaN&hold=inf&theme=pink&lanes=&what=%zz&%&=");
        assert_eq!(settings.rate, RATE.max);
        assert_eq!(settings.up_ms, 0.0);
        assert_eq!(settings.interval_ms, RaceSettings::default().interval_ms);
        assert_eq!(settings.hold_s, RaceSettings::default().hold_s);
        assert_eq!(settings.lanes, [false; Technique::COUNT]);
    }

    #[test]
    fn a_deep_link_names_any_stream() {
        assert_eq!(
            asked("?stream=logs/demo").source,
            RaceSource::Named("logs/demo".to_owned())
        );
        assert_eq!(
            asked("?stream=logs%2Fdemo").source,
            RaceSource::Named("logs/demo".to_owned())
        );
        assert_eq!(asked("?stream=lab/host").source, RaceSource::Host);
        for (link, name) in [
            ("topic+one", "topic+one"),
            ("topic%2Bone", "topic+one"),
            ("disk%2090%25", "disk 90%"),
            ("90%", "90%"),
        ] {
            let source = RaceSource::Named(name.to_owned());
            assert_eq!(asked(&format!("?stream={link}")).source, source, "{link}");
            let written = RaceSettings {
                source: source.clone(),
                ..RaceSettings::default()
            }
            .to_query()
            .to_string();
            assert_eq!(asked(&written).source, source, "{written}");
        }
    }

    #[test]
    fn display_settings_do_not_restart_a_run_and_delays_do() {
        let before = RaceSettings::default();
        assert!(
            !RaceSettings {
                window_s: 30.0,
                log: true,
                ..before.clone()
            }
            .changes_the_run(&before)
        );
        assert!(
            !RaceSettings {
                rate: 9.0,
                ..before.clone()
            }
            .changes_the_run(&before),
            "the host has its own rate"
        );
        assert!(
            RaceSettings {
                pattern: Pattern::Periodic,
                ..before.clone()
            }
            .changes_the_run(&before)
        );
        assert!(
            RaceSettings {
                up_ms: 50.0,
                ..before.clone()
            }
            .changes_the_run(&before)
        );
    }
}
