//! Invalid WebSocket frames, and the code with which each closes the connection.

use super::subject::Subject;
use tailwater_harness::RawConnection;
use tailwater_harness::websocket::client_frame;

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
/// A frame without this bit is a fragment.
const FIN: u8 = 0x80;

/// The code with which the server closes; `None` if the connection ends without a close frame.
async fn close_code(wire: &mut RawConnection) -> Option<u16> {
    loop {
        let (first, payload) = wire.frame_or_end().await?;
        if first & 0x0f == 8 {
            return payload
                .get(..2)
                .map(|code| u16::from_be_bytes([code[0], code[1]]));
        }
    }
}

/// Sends frames on a WebSocket at the tail, and compares the codes with which the server closes.
async fn closes_with<const N: usize>(name: &str, cases: [(&str, Vec<u8>, &[u16]); N]) {
    let subject = Subject::start(name, &[]);
    subject.create("it", "text/plain").await;
    let mut faults = Vec::new();
    for (what, bytes, expected) in cases {
        for cut in [false, true] {
            let mut wire = subject.websocket("it").await;
            if cut {
                for byte in &bytes {
                    wire.try_send([*byte]).await;
                }
            } else {
                wire.try_send(&bytes).await;
            }
            let code =
                tokio::time::timeout(std::time::Duration::from_secs(10), close_code(&mut wire))
                    .await;
            match code {
                Ok(code) if code.is_some_and(|code| expected.contains(&code)) => {}
                Ok(code) => faults.push(format!(
                    "{what}, byte by byte: {cut}: {code:?}, expected {expected:?}"
                )),
                Err(_) => faults.push(format!(
                    "{what}, byte by byte: {cut}: not closed, expected {expected:?}"
                )),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(
        subject.tail("it").await.as_deref(),
        Some("0000000000000000"),
        "something was appended"
    );
}

#[tokio::test]
async fn control_frames_in_fragments_are_1002() {
    let cases = [
        ("a ping", client_frame(PING & !FIN, b"a"), &[1002][..]),
        ("an empty ping", client_frame(PING & !FIN, b""), &[1002]),
        ("a pong", client_frame(PONG & !FIN, b"a"), &[1002]),
        ("a close", client_frame(CLOSE & !FIN, &[3, 232]), &[1002]),
        (
            "a ping within a message",
            [client_frame(0x01, b"a"), client_frame(PING & !FIN, b"")].concat(),
            &[1002],
        ),
    ];
    closes_with("fragmented-control", cases).await;
}

#[tokio::test]
async fn control_frames_longer_than_125_bytes_are_1002() {
    let cases = [
        (
            "a ping of 126 bytes",
            client_frame(PING, &[b'a'; 126]),
            &[1002][..],
        ),
        (
            "a pong of 126 bytes",
            client_frame(PONG, &[b'a'; 126]),
            &[1002],
        ),
        (
            "a close of 126 bytes",
            client_frame(CLOSE, &[&[3, 232][..], &[b'a'; 124]].concat()),
            &[1002],
        ),
        (
            "a ping of 70,000 bytes",
            client_frame(PING, &[b'a'; 70_000]),
            &[1002, 1009],
        ),
    ];
    closes_with("long-control", cases).await;
}

#[tokio::test]
async fn a_close_reason_that_is_not_utf_8_is_1007() {
    let cases = [
        (
            "a stray byte",
            client_frame(CLOSE, b"\x03\xe8\xff"),
            &[1007][..],
        ),
        (
            "half a character",
            client_frame(CLOSE, b"\x03\xe8a\xe2\x82"),
            &[1007],
        ),
        (
            "a surrogate",
            client_frame(CLOSE, b"\x03\xe8\xed\xa0\x80"),
            &[1007],
        ),
        (
            "an overlong slash",
            client_frame(CLOSE, b"\x03\xe8\xc0\xaf"),
            &[1007],
        ),
    ];
    closes_with("close-reason", cases).await;
}

#[tokio::test]
async fn an_invalid_close_code_is_1002() {
    let close = |code: u16| client_frame(CLOSE, &code.to_be_bytes());
    let cases = [
        ("half a code", client_frame(CLOSE, b"\x03"), &[1002][..]),
        ("0", close(0), &[1002]),
        ("999", close(999), &[1002]),
        ("1004", close(1004), &[1002]),
        ("1005", close(1005), &[1002]),
        ("1006", close(1006), &[1002]),
        ("1015", close(1015), &[1002]),
        ("2000", close(2000), &[1002]),
        ("5000", close(5000), &[1002]),
        ("65535", close(65_535), &[1002]),
    ];
    closes_with("close-code", cases).await;
}

#[tokio::test]
async fn a_valid_close_is_answered_with_a_close() {
    let close =
        |code: u16| client_frame(CLOSE, &[&code.to_be_bytes()[..], "été".as_bytes()].concat());
    let cases = [
        ("no code", client_frame(CLOSE, b""), &[1000, 1005][..]),
        ("1000", close(1000), &[1000]),
        ("1001", close(1001), &[1000, 1001]),
        ("3000", close(3000), &[1000, 3000]),
        ("4999", close(4999), &[1000, 4999]),
    ];
    closes_with("close-right", cases).await;
}

#[tokio::test]
async fn reserved_bits_and_opcodes_are_1002() {
    let cases = [
        (
            "reserved bit 1",
            client_frame(TEXT | 0x40, b"a"),
            &[1002][..],
        ),
        ("reserved bit 2", client_frame(TEXT | 0x20, b"a"), &[1002]),
        ("reserved bit 3", client_frame(TEXT | 0x10, b"a"), &[1002]),
        (
            "reserved bit of a ping",
            client_frame(PING | 0x40, b"a"),
            &[1002],
        ),
        ("opcode 3", client_frame(0x83, b"a"), &[1002]),
        ("opcode 7", client_frame(0x87, b"a"), &[1002]),
        ("opcode 11", client_frame(0x8b, b"a"), &[1002]),
        ("opcode 15", client_frame(0x8f, b"a"), &[1002]),
    ];
    closes_with("reserved", cases).await;
}

#[tokio::test]
async fn frames_out_of_order_or_without_a_mask_are_1002() {
    let cases = [
        (
            "a continuation of nothing",
            client_frame(0x80, b"a"),
            &[1002][..],
        ),
        (
            "a message within a message",
            [client_frame(0x01, b"a"), client_frame(TEXT, b"a")].concat(),
            &[1002],
        ),
        ("no mask", vec![TEXT, 1, b'a'], &[1002]),
        ("a ping without a mask", vec![PING, 0], &[1002]),
        ("a close without a mask", vec![CLOSE, 0], &[1002]),
        (
            "a length of 2^63",
            [&[TEXT, 0xff, 0x80][..], &[0; 7], &[0; 4]].concat(),
            &[1002, 1009],
        ),
        (
            "a length of 2^64-1",
            [&[TEXT, 0xff][..], &[0xff; 8], &[0; 4]].concat(),
            &[1002, 1009],
        ),
    ];
    closes_with("order", cases).await;
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_1007_whole_or_in_fragments() {
    let cases = [
        (
            "in one frame",
            client_frame(TEXT, b"{\"append\":\"\xff\"}"),
            &[1007][..],
        ),
        (
            "in its second fragment",
            [
                client_frame(0x01, b"{\"append\":\""),
                client_frame(0x80, b"\xff\"}"),
            ]
            .concat(),
            &[1007],
        ),
        (
            "half a character at the end",
            client_frame(TEXT, b"\"\xe2\x82"),
            &[1007],
        ),
    ];
    closes_with("utf-8", cases).await;
}

#[tokio::test]
async fn a_character_split_across_two_fragments_is_preserved() {
    let subject = Subject::start("cut-character", &[]);
    subject.create("it", "text/plain").await;
    let mut wire = subject.websocket("it").await;
    wire.send(
        [
            client_frame(0x01, b"{\"append\":\"\xe2\x82"),
            client_frame(PING, b"p"),
            client_frame(0x80, b"\xac\"}"),
        ]
        .concat(),
    )
    .await;
    loop {
        let (first, payload) = wire.frame().await;
        if String::from_utf8_lossy(&payload).contains("appended") {
            break;
        }
        assert_ne!(first & 0x0f, 8, "{payload:?}");
    }
    assert_eq!(
        subject.tail("it").await.as_deref(),
        Some("0000000000000003")
    );
}

#[tokio::test]
async fn many_pings_are_bounded_and_answered_in_order() {
    let subject = Subject::start("pings", &["--write-silence-max", "1s"]);
    subject.create("it", "text/plain").await;
    let before = subject.usage();
    let mut wire = subject.websocket("it").await;
    for number in 0..2_000_u32 {
        wire.send(client_frame(PING, &number.to_be_bytes())).await;
    }
    let mut expected = 0;
    while expected < 2_000 {
        let (first, payload) = wire.frame().await;
        if first == PONG {
            assert_eq!(payload, u32::to_be_bytes(expected));
            expected += 1;
        }
    }
    // Then a client that sends pings and reads none of the pongs.
    let mut silent = subject.websocket("it").await;
    let many = client_frame(PING, &[b'a'; 125]).repeat(1_000);
    for _ in 0..200 {
        if !silent.try_send(&many).await {
            break;
        }
    }
    assert!(
        subject.usage().memory_mib <= before.memory_mib + 100,
        "{:?}, before {before:?}",
        subject.usage()
    );
    drop((wire, silent));
    subject.returns_to(before, 12, 100).await;
}
