//! The route of a request to a reserved path, determined from its head.

use super::BODY_BYTES_MAX;
use super::refusal::SubscriptionRefusal;
use crate::api::{Headers, Refusal, STREAM_PREFIX, check_announced, single};
use crate::http::Methods;
use crate::http::streams::parse_query;
use crate::subscriptions::Refused;
use crate::subscriptions::definition::{self, DefinitionError, SubscriptionId};
use crate::subscriptions::state::DeliveryWay;
use actix_web::http::Method;
use actix_web::http::header::AUTHORIZATION;
use tailwater_core::{ListOrder, ListQuery, StreamName};
use tailwater_protocol::percent;

/// The last segments of paths that take a POST about a subscription.
const ACTIONS: [&str; 7] = [
    "streams", "pause", "resume", "claim", "callback", "ack", "release",
];

/// The resource and the operation of a request to a reserved path.
#[derive(Debug)]
pub(super) enum SubscriptionRoute {
    /// The methods of the path.
    Methods(Methods),
    /// The public keys of webhooks.
    Keys,
    /// A page of the list of subscriptions.
    List(ListQuery),
    /// An operation on a subscription.
    Subscription(SubscriptionId, SubscriptionTask),
}

/// An operation on a subscription.
#[derive(Debug)]
pub(super) enum SubscriptionTask {
    Put,
    Inspect,
    Delete,
    Add,
    Remove(StreamName),
    /// Pause it (true), or resume it.
    SetPaused(bool),
    Claim,
    /// With the wake's token.
    Report(DeliveryWay, String),
    /// With the wake's token.
    Release(String),
}

/// Whether what follows [`STREAM_PREFIX`] is a reserved path instead of a stream's name.
pub(in crate::http) fn is_reserved(rest: &str) -> bool {
    rest.split('/')
        .next()
        .is_some_and(|first| word(first) == "__ds")
}

impl SubscriptionRoute {
    /// Determines the route from the head, before the body is received.
    ///
    /// - `path`: not decoded.
    ///
    /// # Errors
    /// 404 and 405 for unknown paths and methods; 400 for an id, a name, a query or a repeated field; 401
    /// without a required token; 413 and 415 for a body that is not accepted.
    pub(super) fn of(
        method: &Method,
        path: &str,
        query: &str,
        map: &impl Headers,
    ) -> Result<Self, SubscriptionRefusal> {
        let no_route = || Refusal::NoRoute(path.to_owned());
        let parts = segments(path).ok_or_else(no_route)?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let otherwise = |allowed| Ok(Self::Methods(Methods::of(method, allowed)?));
        let with_body = |id, task| {
            check_announced(map, BODY_BYTES_MAX)?;
            Ok(Self::Subscription(id, task))
        };
        match (&parts[..], method) {
            (["jwks.json"], &(Method::GET | Method::HEAD)) => Ok(Self::Keys),
            (["jwks.json"], _) => otherwise("GET, HEAD, OPTIONS"),
            (["subscriptions"], &(Method::GET | Method::HEAD)) => {
                Ok(Self::List(list_query(query)?))
            }
            (["subscriptions"], _) => otherwise("GET, HEAD, OPTIONS"),
            (["subscriptions", "", ..] | ["subscriptions", _, "streams", ""], _) => {
                Err(no_route().into())
            }
            (["subscriptions", it], &Method::PUT) => with_body(id(it)?, SubscriptionTask::Put),
            (["subscriptions", it], &(Method::GET | Method::HEAD)) => {
                Ok(Self::Subscription(id(it)?, SubscriptionTask::Inspect))
            }
            (["subscriptions", it], &Method::DELETE) => {
                Ok(Self::Subscription(id(it)?, SubscriptionTask::Delete))
            }
            (["subscriptions", _], _) => otherwise("PUT, GET, HEAD, DELETE, OPTIONS"),
            (["subscriptions", it, "streams", name], &Method::DELETE) => {
                let (id, name) = (
                    id(it)?,
                    definition::name_in_path(name).map_err(Refused::from)?,
                );
                Ok(Self::Subscription(id, SubscriptionTask::Remove(name)))
            }
            (["subscriptions", _, "streams", _], _) => otherwise("DELETE, OPTIONS"),
            (["subscriptions", it, action], &Method::POST) if ACTIONS.contains(action) => {
                with_body(id(it)?, SubscriptionTask::posted(action, map)?)
            }
            (["subscriptions", _, action], _) if ACTIONS.contains(action) => {
                otherwise("POST, OPTIONS")
            }
            _ => Err(no_route().into()),
        }
    }
}

impl SubscriptionTask {
    /// The operation of a POST to one of [`ACTIONS`].
    ///
    /// # Errors
    /// 400 and 401 for a required token.
    fn posted(action: &str, map: &impl Headers) -> Result<Self, SubscriptionRefusal> {
        Ok(match action {
            "streams" => Self::Add,
            "pause" => Self::SetPaused(true),
            "resume" => Self::SetPaused(false),
            "claim" => Self::Claim,
            "callback" => Self::Report(DeliveryWay::Webhook, bearer(map)?),
            "ack" => Self::Report(DeliveryWay::PullWake, bearer(map)?),
            _ => Self::Release(bearer(map)?),
        })
    }
}

/// The segments after `__ds`, if the path has it: fixed ones decoded, ids and names between them not.
fn segments(path: &str) -> Option<Vec<String>> {
    let rest = path
        .strip_prefix(STREAM_PREFIX)
        .filter(|rest| is_reserved(rest))?;
    let parts = rest.splitn(5, '/').skip(1).enumerate();
    let decoded = parts.map(|(at, part)| {
        if at % 2 == 0 {
            word(part)
        } else {
            part.to_owned()
        }
    });
    Some(decoded.collect())
}

/// A fixed segment of a path, decoded; empty if it can't be.
fn word(part: &str) -> String {
    percent::decode(part).unwrap_or_default()
}

/// The query of the list, whose parameters are those of the list of streams.
fn list_query(query: &str) -> Result<ListQuery, Refusal> {
    let query = parse_query(query)?;
    if matches!(query.order, ListOrder::Newest(_)) {
        let expected = "sort=newest is not supported by the list of subscriptions, expected name";
        return Err(Refusal::Query(expected.to_owned()));
    }
    Ok(query)
}

fn id(part: &str) -> Result<SubscriptionId, SubscriptionRefusal> {
    let id = percent::decode(part).map_err(|_| DefinitionError::Id);
    Ok(id
        .and_then(|id| SubscriptionId::parse(&id))
        .map_err(Refused::from)?)
}

fn bearer(map: &impl Headers) -> Result<String, SubscriptionRefusal> {
    let value = single(map, &AUTHORIZATION)?.and_then(|value| std::str::from_utf8(value).ok());
    let token = value.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| token.trim().to_owned())
    });
    token
        .filter(|token| !token.is_empty())
        .ok_or(SubscriptionRefusal::Refused(Refused::Token))
}
