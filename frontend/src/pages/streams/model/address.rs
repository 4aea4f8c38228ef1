//! What is open on the Streams page, and its form in the query of the address: a link restores all of it.

use tailwater_protocol::Technique;

use crate::app::query::Query;

/// What is open on the Streams page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamsAddress {
    /// What the names have to contain; all when empty.
    pub search: String,
    /// The page of the list begins behind this name.
    pub after: Option<String>,
    /// The open stream.
    pub stream: Option<String>,
    /// The technique by which it is followed, if it is not the default.
    pub technique: Option<Technique>,
}

impl StreamsAddress {
    /// Parses a query.
    pub fn from_query(query: &Query) -> Self {
        let mut address = Self::default();
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        for (name, value) in query.pairs() {
            match name {
                "search" => value.clone_into(&mut address.search),
                "after" => address.after = some(value),
                "stream" => address.stream = some(value.trim_matches('/')),
                "live" => address.technique = value.parse().ok(),
                _ => {}
            }
        }
        address
    }

    /// The query of this address.
    pub fn to_query(&self) -> Query {
        let search = Some(&*self.search).filter(|search| !search.is_empty());
        Query::default()
            .with_some("search", search)
            .with_some("after", self.after.as_deref())
            .with_some("stream", self.stream.as_deref())
            .with_some("live", self.technique.map(Technique::name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_round_trips_through_the_query() {
        let open = StreamsAddress {
            search: "a b&c=ü".to_owned(),
            after: Some("logs/z".to_owned()),
            stream: Some("logs/a b?".to_owned()),
            technique: Some(Technique::LongPoll),
        };
        for address in [StreamsAddress::default(), open] {
            let query = Query::parse(&address.to_query().to_string());
            assert_eq!(StreamsAddress::from_query(&query), address);
        }
    }

    #[test]
    fn unknown_query_values_are_ignored() {
        let query = Query::parse("stream=/logs/a/&live=carrier-pigeon&interval=250&after=");
        let address = StreamsAddress::from_query(&query);
        assert_eq!(address.to_query().to_string(), "stream=logs/a");
    }
}
