//! A well-behaved client: it appends, polls and long-polls on its own connections, and must always
//! be answered.

use super::subject::{Subject, get, post};
use std::cell::Cell;
use tailwater_harness::RawConnection;

/// The stream that it uses.
const NAME: &str = "probe";

/// Three connections that stay open: one appends, one polls, one long-polls.
#[derive(Debug)]
struct WellBehavedClient {
    writer: RawConnection,
    poller: RawConnection,
    waiter: RawConnection,
    tail: String,
    rounds: u64,
}

impl WellBehavedClient {
    async fn open(subject: &Subject) -> Self {
        let tail = match subject.tail(NAME).await {
            Some(tail) => tail,
            None => {
                subject.create(NAME, "text/plain").await;
                subject.tail(NAME).await.expect("the stream was created")
            }
        };
        let address = subject.address();
        let (writer, poller, waiter) = (
            RawConnection::open(address).await,
            RawConnection::open(address).await,
            RawConnection::open(address).await,
        );
        Self {
            writer,
            poller,
            waiter,
            tail,
            rounds: 0,
        }
    }

    /// One append that must be acknowledged, returned by a poll, and delivered to a long-poll.
    async fn round(&mut self) {
        let body = format!("round {}", self.rounds);
        let from = std::mem::take(&mut self.tail);
        self.waiter
            .send(get(
                &format!("/v1/stream/{NAME}?offset={from}&live=long-poll&hold=60"),
                "",
            ))
            .await;
        self.writer
            .send(post(NAME, "text/plain", "", body.as_bytes()))
            .await;
        let appended = self.writer.response().await;
        assert_eq!(appended.status, 204, "the probe's append: {appended:?}");
        self.poller
            .send(get(&format!("/v1/stream/{NAME}?offset={from}"), ""))
            .await;
        for (what, wire) in [("poll", &mut self.poller), ("long-poll", &mut self.waiter)] {
            let answer = wire.response().await;
            assert_eq!(
                (answer.status, answer.text()),
                (200, &*body),
                "the probe's {what}: {answer:?}"
            );
        }
        self.tail = appended
            .header("stream-next-offset")
            .expect("where the stream ends")
            .to_owned();
        self.rounds += 1;
    }
}

/// Runs `abuse` beside a well-behaved client that must be answered before, during and after it, on
/// its open connections and on new ones.
///
/// - Returns what `abuse` returns. If its connections take all slots, it should have closed them by
///   then.
pub(crate) async fn beside<T>(subject: &Subject, abuse: impl Future<Output = T>) -> T {
    let mut probe = WellBehavedClient::open(subject).await;
    probe.round().await;
    let is_over = Cell::new(false);
    let abusing = async {
        let outcome = abuse.await;
        is_over.set(true);
        outcome
    };
    let probing = async {
        while !is_over.get() {
            probe.round().await;
            // Lets other tasks run.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        probe.round().await;
    };
    let (outcome, ()) = tokio::join!(abusing, probing);
    println!("the probe was answered {} times", probe.rounds);
    drop(probe);
    WellBehavedClient::open(subject).await.round().await;
    outcome
}
