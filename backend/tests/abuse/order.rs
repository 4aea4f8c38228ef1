//! Malformed requests behind responses that are still being sent: the responses are complete, then
//! the refusal follows.

use super::subject::{Subject, get, post};
use std::ops::Range;
use std::time::Duration;
use tailwater_harness::RawConnection;
use tailwater_harness::wait::within;

/// Bytes of a response, small enough that it has left its handler when it waits in the HTTP
/// library's buffer.
const ANSWER_BYTES: usize = 31_000;
/// How many responses are requested at once. For one of these counts the buffers of the system hold
/// all but the last response, so the last one is still waiting when the malformed request is read.
const ANSWERS: Range<usize> = 70..130;

const MALFORMED: [&str; 5] = [
    "NONSENSE\r\n\r\n",
    "GET /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nX: a\nY: b\r\n\r\n",
    "GET /v1/stream/it HTTP/1.1\r\n\r\n",
    "POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    "GET /v1/stream/\u{e9} HTTP/1.1\r\nHost: localhost\r\n\r\n",
];

#[tokio::test]
async fn a_refusal_is_sent_after_the_responses_before_it() {
    for (takeover, numbers) in [("true", 70..71), ("false", ANSWERS)] {
        let subject = Subject::start("order", &["--takeover", takeover]);
        subject.create("it", "text/plain").await;
        subject
            .append("it", "text/plain", &[b'x'; ANSWER_BYTES])
            .await;
        let one = get("/v1/stream/it?offset=-1", "");
        for numbers in numbers.collect::<Vec<_>>().chunks(20) {
            let mut wires = Vec::new();
            for (number, malformed) in numbers.iter().zip(MALFORMED.iter().cycle()) {
                let mut wire = RawConnection::open_narrow(subject.address()).await;
                wire.send([&one.repeat(*number), *malformed].concat()).await;
                wires.push((wire, number, malformed));
            }
            // Until as many responses as possible have been sent.
            tokio::time::sleep(Duration::from_millis(300)).await;
            for (mut wire, number, malformed) in wires {
                let what =
                    format!("{number} responses before {malformed:?}, --takeover {takeover}");
                for answer in 0..*number {
                    let answer = wire
                        .response_or_end()
                        .await
                        .unwrap_or_else(|| panic!("no response {answer} of {what}"));
                    assert_eq!(
                        (answer.status, answer.body.len()),
                        (200, ANSWER_BYTES),
                        "{what}"
                    );
                    assert!(answer.body.iter().all(|byte| *byte == b'x'), "{what}");
                }
                let refusal = wire
                    .response_or_end()
                    .await
                    .unwrap_or_else(|| panic!("no refusal after {what}"));
                assert_eq!(
                    (refusal.status, refusal.fault_as_problem()),
                    (400, None),
                    "{what}: {refusal:?}"
                );
                assert!(
                    refusal.says_close() && within("the end", wire.rest()).await.is_empty(),
                    "{what}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_final_response_is_complete_even_if_its_request_is_not() {
    let subject = Subject::start("early", &[]);
    // Refused by its head; half of its body arrives, and the body is too long to be skipped.
    let whole = post("none", "text/plain", "", &vec![b'x'; 1 << 20]);
    for _ in 0..20 {
        let mut wire = RawConnection::open(subject.address()).await;
        wire.send(&whole[..1 << 19]).await;
        let answer = wire.response().await;
        assert_eq!(
            (answer.status, answer.fault_as_problem()),
            (404, None),
            "{answer:?}"
        );
        assert!(answer.says_close());
    }
}
