//! Each technique in a real browser with a real server: connections are dropped, changed and paused
//! at random, and no event is lost or repeated.
//!
//! These tests need a server at `TAILWATER_TEST_URL` (compiled in; by default
//! `http://127.0.0.1:4438`). Every failure prints its seed; `TAILWATER_TEST_SEED`, also compiled
//! in, repeats a run.
#![cfg(target_arch = "wasm32")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests and their helpers fail by panicking"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small random numbers from floats"
)]

use futures_util::future::join;
use gloo_net::http::Request;
use js_sys::{Function, Promise, Reflect};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tailwater_client::FollowReport;
use tailwater_client::drivers::browser::{FollowOptions, Follower, follow};
use tailwater_protocol::{Data, Technique, Token};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{console_log, wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

/// Events in each test.
const EVENTS: u64 = 10_000;
/// The most events in one append.
const BATCH_MAX: u64 = 100;
/// The longest wait for the last event.
const PATIENCE: Duration = Duration::from_secs(30);

fn server() -> &'static str {
    option_env!("TAILWATER_TEST_URL")
        .unwrap_or("http://127.0.0.1:4438")
        .trim_end_matches('/')
}

/// A seeded random generator. Source: SplitMix64.
struct TestRandom(u64);

impl TestRandom {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

fn seed() -> u64 {
    match option_env!("TAILWATER_TEST_SEED") {
        Some(seed) => seed.parse().unwrap(),
        None => (js_sys::Math::random() * 1e9) as u64,
    }
}

async fn sleep(time: Duration) {
    let promise = Promise::new(&mut |resolve, _| {
        let set: Function = Reflect::get(&js_sys::global(), &"setTimeout".into())
            .unwrap()
            .unchecked_into();
        set.call2(
            &JsValue::UNDEFINED,
            &resolve,
            &JsValue::from_f64(time.as_secs_f64() * 1_000.0),
        )
        .unwrap();
    });
    JsFuture::from(promise).await.unwrap();
}

/// Waits until `done`, or fails with `what`.
async fn until(what: impl Fn() -> String, done: impl Fn() -> bool) {
    let look = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    while !done() {
        assert!(waited < PATIENCE, "not within {PATIENCE:?}: {}", what());
        sleep(look).await;
        waited += look;
    }
}

/// The text of an event, of very different lengths, so that responses are split at all kinds of
/// positions.
fn event(seq: u64) -> String {
    let pad = "x".repeat((seq % 97) as usize * 5);
    format!("{{\"seq\":{seq},\"pad\":\"{pad}\"}}")
}

/// A new stream of JSON messages; returns its URL.
async fn create(name: &str) -> String {
    let url = format!(
        "{}/v1/stream/test/{name}-{:.0}",
        server(),
        js_sys::Math::random() * 1e15
    );
    let created = Request::put(&url)
        .header("content-type", "application/json")
        .send()
        .await
        .unwrap();
    assert_eq!(created.status(), 201, "{url}");
    url
}

async fn append(url: &str, body: String) {
    let request = Request::post(url)
        .header("content-type", "application/json")
        .body(body)
        .unwrap();
    let answer = request.send().await.unwrap();
    assert_eq!(
        answer.status(),
        204,
        "{}",
        answer.text().await.unwrap_or_default()
    );
}

async fn close(url: &str) {
    let answer = Request::post(url)
        .header("stream-closed", "true")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 204);
}

async fn delete(url: &str) {
    let answer = Request::delete(url).send().await.unwrap();
    assert_eq!(answer.status(), 204);
}

/// The received events, and the follower that they came from.
struct SeenEvents {
    next_seq: u64,
    next: Token,
    /// Counts followers; reports of an older one must not arrive.
    follower: u64,
    finished: bool,
    requests: u64,
    faults: Vec<String>,
    wrong: Option<String>,
}

impl SeenEvents {
    fn new(next: Token) -> Rc<RefCell<Self>> {
        let (faults, wrong) = (Vec::new(), None);
        Rc::new(RefCell::new(Self {
            next_seq: 0,
            next,
            follower: 0,
            finished: false,
            requests: 0,
            faults,
            wrong,
        }))
    }

    fn take(&mut self, follower: u64, report: FollowReport) {
        if follower != self.follower {
            self.wrong.get_or_insert(format!(
                "a report came from a follower that was dropped: {report:?}"
            ));
        }
        match report {
            FollowReport::Batch { batch, .. } => {
                let Data::Json(messages) = &batch.data else {
                    panic!("{:?}", batch.data)
                };
                for message in messages {
                    let expected = event(self.next_seq);
                    if *message != expected {
                        self.wrong
                            .get_or_insert(format!("got {message}, expected {expected}"));
                    }
                    self.next_seq += 1;
                }
                self.next = batch.next;
            }
            FollowReport::Requested { .. } => self.requests += 1,
            FollowReport::Ended {
                fault: Some(fault), ..
            } => self.faults.push(fault),
            FollowReport::Finished { fault, .. } => {
                self.finished = true;
                self.faults.extend(fault);
            }
            _ => {}
        }
    }
}

/// Follows from the position of `seen`; the previous follower must have been dropped.
fn begin(url: &str, technique: Technique, seen: &Rc<RefCell<SeenEvents>>, seed: u64) -> Follower {
    let follower = {
        let mut seen = seen.borrow_mut();
        seen.follower += 1;
        seen.follower
    };
    let options = FollowOptions {
        technique,
        from: seen.borrow().next.clone(),
        poll_interval: Duration::from_millis(50),
        hold: Some(Duration::from_secs(2)),
        fallback: false,
        seed,
        ..FollowOptions::default()
    };
    let seen = Rc::clone(seen);
    follow(url, options, move |report| {
        seen.borrow_mut().take(follower, report);
    })
}

/// Appends all events in batches of random size, with short pauses.
async fn produce(url: &str, random: &mut TestRandom) {
    let mut seq = 0;
    while seq < EVENTS {
        let end = EVENTS.min(seq + 1 + random.below(BATCH_MAX));
        let events: Vec<String> = (seq..end).map(event).collect();
        append(url, format!("[{}]", events.join(","))).await;
        seq = end;
        sleep(Duration::from_millis(random.below(20))).await;
    }
}

/// Drops, changes and pauses the follower at random until everything has arrived.
async fn disturb(
    url: &str,
    technique: Technique,
    seen: &Rc<RefCell<SeenEvents>>,
    random: &mut TestRandom,
) -> u64 {
    let mut disturbances = 0;
    let mut follower = Some(begin(url, technique, seen, random.0));
    while seen.borrow().next_seq < EVENTS && seen.borrow().wrong.is_none() {
        sleep(Duration::from_millis(random.below(30))).await;
        disturbances += 1;
        let current = follower.as_ref().unwrap();
        match random.below(6) {
            0 | 1 => {
                drop(follower.take());
                follower = Some(begin(url, technique, seen, random.0));
            }
            2 => {
                current.change(Technique::ALL[random.below(5) as usize]);
                sleep(Duration::from_millis(random.below(40))).await;
                current.change(technique);
            }
            3 => {
                current.pause();
                sleep(Duration::from_millis(random.below(40))).await;
                current.resume();
            }
            4 => current.set_poll_interval(Duration::from_millis(1 + random.below(80))),
            _ => sleep(Duration::from_millis(100)).await,
        }
        assert!(
            disturbances < 20_000,
            "no end; {} of {EVENTS} events arrived",
            seen.borrow().next_seq
        );
    }
    close(url).await;
    until(
        || format!("the end; faults: {:?}", seen.borrow().faults),
        || seen.borrow().finished,
    )
    .await;
    disturbances
}

async fn check(technique: Technique) {
    let seed = seed();
    console_log!("{technique}: seed {seed}");
    let url = create(technique.name()).await;
    let seen = SeenEvents::new(Token::beginning());
    let (mut produced, mut disturbed) = (TestRandom(seed), TestRandom(!seed));
    let ((), disturbances) = join(
        produce(&url, &mut produced),
        disturb(&url, technique, &seen, &mut disturbed),
    )
    .await;
    delete(&url).await;
    let seen = seen.borrow();
    console_log!(
        "{technique}: {} events, {disturbances} disturbances, {} requests",
        seen.next_seq,
        seen.requests
    );
    assert_eq!(seen.wrong, None, "seed {seed}");
    assert_eq!(seen.next_seq, EVENTS, "seed {seed}");
    assert_eq!(seen.faults, Vec::<String>::new(), "seed {seed}");
}

#[wasm_bindgen_test]
async fn poll_loses_and_repeats_nothing() {
    check(Technique::Poll).await;
}

#[wasm_bindgen_test]
async fn long_poll_loses_and_repeats_nothing() {
    check(Technique::LongPoll).await;
}

#[wasm_bindgen_test]
async fn ndjson_loses_and_repeats_nothing() {
    check(Technique::Ndjson).await;
}

#[wasm_bindgen_test]
async fn sse_loses_and_repeats_nothing() {
    check(Technique::Sse).await;
}

#[wasm_bindgen_test]
async fn websocket_loses_and_repeats_nothing() {
    check(Technique::Websocket).await;
}

#[wasm_bindgen_test]
async fn an_unknown_stream_ends_the_follower_by_every_technique() {
    for technique in Technique::ALL {
        let seen = SeenEvents::new(Token::beginning());
        let url = format!("{}/v1/stream/test/nobody-made-this", server());
        let follower = begin(&url, technique, &seen, 1);
        until(
            || format!("{technique} gives up"),
            || seen.borrow().finished,
        )
        .await;
        drop(follower);
        let faults = seen.borrow().faults.clone();
        assert!(
            faults.iter().all(|fault| fault.contains("404")),
            "{technique}: {faults:?}"
        );
    }
}

#[wasm_bindgen_test]
async fn a_follower_at_the_tail_gets_exactly_what_is_appended_next() {
    for technique in Technique::ALL {
        let url = create(technique.name()).await;
        append(&url, "[\"old\"]".to_owned()).await;
        let seen = SeenEvents::new(Token::now());
        let follower = begin(&url, technique, &seen, 1);
        until(
            || format!("{technique} reaches the tail"),
            || seen.borrow().next != Token::now(),
        )
        .await;
        append(&url, event(0)).await;
        until(
            || format!("{technique} gets the event"),
            || seen.borrow().next_seq == 1,
        )
        .await;
        drop(follower);
        delete(&url).await;
        assert_eq!(seen.borrow().wrong, None, "{technique}");
    }
}
