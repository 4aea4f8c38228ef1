//! Many concurrent writers and readers: nothing is lost or repeated, and all readers see one order,
//! with every technique.

use super::live::{StreamingReader, messages};
use super::local_server::{JSON, LocalServer, LocalStream};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::time::Duration;
use tailwater_protocol::Technique;

const WRITERS: usize = 4;
const PER_WRITER: usize = 120;
const TOTAL: usize = WRITERS * PER_WRITER;

/// Reads by `technique` from `from` for a few responses or frames. Returns the offset at which to
/// continue.
async fn read_some(
    stream: &LocalStream<'_>,
    technique: Technique,
    mut from: String,
    came: &mut Vec<String>,
    random: &mut SmallRng,
) -> String {
    let rounds = random.random_range(1..8);
    let mut live = match technique {
        Technique::Poll | Technique::LongPoll => None,
        Technique::Ndjson | Technique::Sse | Technique::Websocket => {
            Some(StreamingReader::open(stream, technique, &from).await)
        }
    };
    for _ in 0..rounds {
        if came.len() >= TOTAL {
            break;
        }
        match &mut live {
            Some(live) => {
                let Some(frame) = live.frame().await else {
                    break;
                };
                came.extend(messages(&frame));
                from = frame.next.to_string();
            }
            None => {
                let live = if technique == Technique::LongPoll {
                    "&live=long-poll"
                } else {
                    ""
                };
                let url = stream
                    .server
                    .url(&stream.target(&format!("offset={from}{live}")));
                let request = stream.server.http.get(url);
                if random.random_ratio(1, 6) {
                    // Disconnects in the middle of a response: the rest must be sent again to the
                    // next request.
                    let short = Duration::from_micros(random.random_range(0..3_000));
                    let _broken_off = tokio::time::timeout(short, request.send()).await;
                    continue;
                }
                let answer = stream.server.send(request).await;
                assert!(answer.status == 200 || answer.status == 204, "{answer:?}");
                if answer.status == 200 {
                    let page: Vec<Box<serde_json::value::RawValue>> =
                        serde_json::from_slice(&answer.body).unwrap();
                    came.extend(page.iter().map(|message| message.get().to_owned()));
                }
                from = answer.next_offset();
            }
        }
    }
    from
}

async fn follow(stream: &LocalStream<'_>, first: Technique, seed: u64) -> Vec<String> {
    let mut random = SmallRng::seed_from_u64(seed);
    let (mut came, mut from, mut technique) = (Vec::new(), "-1".to_owned(), first);
    while came.len() < TOTAL {
        from = read_some(stream, technique, from, &mut came, &mut random).await;
        if random.random_ratio(1, 2) {
            technique = Technique::ALL[random.random_range(0..Technique::ALL.len())];
        }
        tokio::task::yield_now().await;
    }
    came
}

async fn write(stream: &LocalStream<'_>, writer: usize, seed: u64) {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut number = 0;
    while number < PER_WRITER {
        let batch = random.random_range(1..4).min(PER_WRITER - number);
        let messages: Vec<_> = (number..number + batch)
            .map(|it| format!("{{\"w\":{writer},\"n\":{it}}}"))
            .collect();
        stream.append(format!("[{}]", messages.join(","))).await;
        number += batch;
        if random.random_ratio(1, 4) {
            tokio::time::sleep(Duration::from_micros(random.random_range(0..2_000))).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_readers_see_the_same_order_by_every_technique() {
    for seed in [1, 20_26, 4_437] {
        let server = LocalServer::with(|config| {
            config.page_max = 300;
            config.heartbeat = Duration::from_millis(3);
            config.recycle = Duration::from_millis(40);
            config.long_poll_hold = Duration::from_millis(20);
        });
        let stream = server.stream("it", JSON).await;
        let writing = (0..WRITERS).map(|writer| write(&stream, writer, seed + writer as u64));
        let reading = Technique::ALL
            .iter()
            .map(|technique| follow(&stream, *technique, seed * 31 + *technique as u64));
        let (_, all) = tokio::join!(
            futures_util::future::join_all(writing),
            futures_util::future::join_all(reading),
        );
        let order = follow(&stream, Technique::Poll, seed).await;
        assert_eq!(order.len(), TOTAL, "seed {seed}");
        for writer in 0..WRITERS {
            let own: Vec<_> = order
                .iter()
                .filter(|it| it.starts_with(&format!("{{\"w\":{writer},")))
                .collect();
            let sent: Vec<_> = (0..PER_WRITER)
                .map(|it| format!("{{\"w\":{writer},\"n\":{it}}}"))
                .collect();
            assert_eq!(
                own,
                sent.iter().collect::<Vec<_>>(),
                "seed {seed}: writer {writer} out of order"
            );
        }
        for (technique, came) in Technique::ALL.iter().zip(all) {
            let differs = came
                .iter()
                .zip(&order)
                .position(|(one, other)| one != other);
            assert_eq!(
                (came.len(), differs),
                (TOTAL, None),
                "seed {seed}: the reader that began with {technique}"
            );
        }
    }
}
