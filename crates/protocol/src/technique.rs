//! The techniques to follow a stream, with their names, letters and query values.

use serde::{Deserialize, Serialize};

/// A technique with which a reader follows a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Technique {
    /// Polling: repeated plain reads at an interval.
    Poll,
    /// Long-polling: the server delays each response until there is data, or until a timeout.
    LongPoll,
    /// One request with an unbounded response of newline-delimited JSON.
    Ndjson,
    /// One request with an unbounded response of server-sent events.
    Sse,
    /// A WebSocket connection, on which both sides can send at any time.
    Websocket,
}

/// What techniques have in common: how a reader requests data and how it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TechniqueKind {
    /// A request for each page, answered at once.
    Polling,
    /// A request for each page, answered when there is data.
    LongPolling,
    /// One request, whose response stays open.
    Streaming,
    /// One connection on which both sides send.
    Websocket,
}

impl Technique {
    /// The number of techniques.
    pub const COUNT: usize = 5;

    /// All techniques, in display order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Poll,
        Self::LongPoll,
        Self::Ndjson,
        Self::Sse,
        Self::Websocket,
    ];

    /// The index in [`Technique::ALL`], for arrays with one element per technique.
    pub fn index(self) -> usize {
        match self {
            Self::Poll => 0,
            Self::LongPoll => 1,
            Self::Ndjson => 2,
            Self::Sse => 3,
            Self::Websocket => 4,
        }
    }

    /// How a reader requests data with it.
    pub fn kind(self) -> TechniqueKind {
        match self {
            Self::Poll => TechniqueKind::Polling,
            Self::LongPoll => TechniqueKind::LongPolling,
            Self::Ndjson | Self::Sse => TechniqueKind::Streaming,
            Self::Websocket => TechniqueKind::Websocket,
        }
    }

    /// Whether a reader sends a request for each response, and not one for a response that stays open.
    pub fn repeats_requests(self) -> bool {
        match self.kind() {
            TechniqueKind::Polling | TechniqueKind::LongPolling => true,
            TechniqueKind::Streaming | TechniqueKind::Websocket => false,
        }
    }

    /// The techniques whose requests wait for data: all except polling.
    pub fn waiting() -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(|technique| technique.live().is_some())
    }

    /// The name in URLs, on the command line and in exports: `poll`, `long-poll`, `ndjson`, `sse`, `websocket`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::LongPoll => "long-poll",
            Self::Ndjson => "ndjson",
            Self::Sse => "sse",
            Self::Websocket => "websocket",
        }
    }

    /// The letter in the dashboard: P, L, N, S, W.
    pub fn letter(self) -> char {
        match self {
            Self::Poll => 'P',
            Self::LongPoll => 'L',
            Self::Ndjson => 'N',
            Self::Sse => 'S',
            Self::Websocket => 'W',
        }
    }

    /// The value of the `live` query parameter; `None` for polling, which is the plain read.
    pub fn live(self) -> Option<&'static str> {
        match self {
            Self::Poll => None,
            live => Some(live.name()),
        }
    }
}

impl std::fmt::Display for Technique {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The error for a name that is not a technique.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a technique, expected one of {all}", all = Technique::ALL.map(Technique::name).join(", "))]
pub struct UnknownTechnique(pub String);

impl std::str::FromStr for Technique {
    type Err = UnknownTechnique;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|technique| technique.name() == name)
            .ok_or_else(|| UnknownTechnique(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_back() {
        for technique in Technique::ALL {
            assert_eq!(technique.name().parse(), Ok(technique));
        }
        let unknown = "fax"
            .parse::<Technique>()
            .map_err(|error| error.to_string());
        let expected =
            "`fax` is not a technique, expected one of poll, long-poll, ndjson, sse, websocket";
        assert_eq!(unknown, Err(expected.to_owned()));
    }

    #[test]
    fn the_index_of_each_technique_is_its_place_in_the_list() {
        for (at, technique) in Technique::ALL.into_iter().enumerate() {
            assert_eq!(technique.index(), at, "{technique}");
        }
        assert_eq!(Technique::waiting().count(), Technique::COUNT - 1);
    }
}
