//! What is open on the Streams page, and its form in the query of the address: a link restores all of it.

use tailwater_protocol::Technique;

use crate::api::request::ListFilter;
use crate::app::query::Query;

/// What is open on the Streams page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamsAddress {
    /// The filter of the list.
    pub filter: ListFilter,
    /// The open stream.
    pub stream: Option<String>,
    /// The technique by which it is followed, if it is not the default.
    pub technique: Option<Technique>,
    /// The id of the subscription that is shown, if no stream is open.
    pub subscription: Option<String>,
}

impl StreamsAddress {
    /// Parses a query.
    pub fn from_query(query: &Query) -> Self {
        let mut address = Self::default();
        let filter = &mut address.filter;
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        for (name, value) in query.pairs() {
            match name {
                "search" | "prefix" => {
                    value.clone_into(&mut filter.text);
                    filter.is_prefix = name == "prefix";
                }
                "sort" => filter.newest = value == "newest",
                "lab" => filter.lab = value == "shown",
                "after" => filter.after = some(value),
                "stream" => address.stream = some(value.trim_matches('/')),
                "live" => address.technique = value.parse().ok(),
                "subscription" => address.subscription = some(value),
                _ => {}
            }
        }
        address
    }

    /// The query of this address.
    pub fn to_query(&self) -> Query {
        let filter = &self.filter;
        // The kind of search is kept while its text is empty.
        let (name, is_kept) = if filter.is_prefix {
            ("prefix", true)
        } else {
            ("search", !filter.text.is_empty())
        };
        let subscription = self.subscription.as_deref();
        let subscription = subscription.filter(|_| self.stream.is_none());
        Query::default()
            .with_some(name, is_kept.then_some(&*filter.text))
            .with_some("sort", filter.newest.then_some("newest"))
            .with_some("lab", filter.lab.then_some("shown"))
            .with_some("after", filter.after.as_deref())
            .with_some("stream", self.stream.as_deref())
            .with_some("live", self.technique.map(Technique::name))
            .with_some("subscription", subscription)
    }

    /// The title of the window: the name of the open stream, or `otherwise`.
    pub fn title(&self, otherwise: &str) -> String {
        match &self.stream {
            Some(name) => format!("{name} — Tailwater"),
            None => otherwise.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_round_trips_through_the_query() {
        let open = StreamsAddress {
            filter: ListFilter {
                text: "a b&c=ü".to_owned(),
                newest: true,
                lab: true,
                after: Some("7".to_owned()),
                ..ListFilter::default()
            },
            stream: Some("logs/a b?".to_owned()),
            technique: Some(Technique::LongPoll),
            subscription: None,
        };
        let beginning = StreamsAddress {
            filter: ListFilter {
                is_prefix: true,
                ..ListFilter::default()
            },
            subscription: Some("jobs".to_owned()),
            ..StreamsAddress::default()
        };
        for address in [StreamsAddress::default(), open, beginning] {
            let query = Query::parse(&address.to_query().to_string());
            assert_eq!(StreamsAddress::from_query(&query), address);
        }
    }

    #[test]
    fn unknown_query_values_are_ignored() {
        let query = Query::parse(
            "stream=/logs/a/&live=carrier-pigeon&interval=250&after=&sort=size&lab=1&subscription=",
        );
        let address = StreamsAddress::from_query(&query);
        assert_eq!(address.to_query().to_string(), "stream=logs/a");
        assert_eq!(address.title("Streams"), "logs/a — Tailwater");
        assert_eq!(StreamsAddress::default().title("Streams"), "Streams");
    }
}
