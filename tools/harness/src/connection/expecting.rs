//! Reading what has to come: whatever else comes fails the test.

use super::{RawConnection, or_fail};
use crate::http::Response;

impl RawConnection {
    /// The next response; `None` when the connection ends before it is whole.
    ///
    /// # Panics
    /// When what comes is no response, or nothing comes.
    pub async fn response_or_end(&mut self) -> Option<Response> {
        or_fail(
            self.try_response().await,
            "a response, or the connection's end",
        )
    }

    /// The next head alone; `None` when the connection ends before it is whole.
    ///
    /// # Panics
    /// When what comes is no head, or nothing comes.
    pub async fn head_or_end(&mut self) -> Option<Response> {
        or_fail(self.try_head().await, "a head, or the connection's end")
    }

    /// The next response.
    ///
    /// # Panics
    /// When the connection ends before it is whole, or something else or nothing comes.
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub async fn response(&mut self) -> Response {
        let response = self.response_or_end().await;
        response.expect("a response before the connection ends")
    }

    /// The next response, which has no body as its request was a HEAD.
    ///
    /// # Panics
    /// As [`RawConnection::response`].
    pub async fn response_to_head(&mut self) -> Response {
        self.responses.expect_no_body();
        self.response().await
    }

    /// Sends a request and reads its response.
    ///
    /// # Panics
    /// As [`RawConnection::send`] and [`RawConnection::response`].
    pub async fn ask(&mut self, request: impl AsRef<[u8]>) -> Response {
        self.send(request.as_ref()).await;
        if request.as_ref().starts_with(b"HEAD ") {
            self.expect_no_body();
        }
        self.response().await
    }

    /// The next head alone.
    ///
    /// # Panics
    /// As [`RawConnection::response`].
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub async fn head(&mut self) -> Response {
        let head = self.head_or_end().await;
        head.expect("a head before the connection ends")
    }

    /// The rest of the body whose head was read, as text.
    ///
    /// # Panics
    /// When it is not whole, or no text.
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub async fn body(&mut self) -> String {
        let mut body = Vec::new();
        let read = self.try_body(&mut body).await;
        or_fail(read, "a body").expect("a body before the connection ends");
        String::from_utf8(body).expect("text")
    }

    /// The next chunk of a chunked body whose head was read, or `None` behind its last.
    ///
    /// # Panics
    /// When the connection ends before, or the chunk is no text.
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub async fn chunk(&mut self) -> Option<String> {
        let chunk = or_fail(self.try_chunk().await, "a chunk");
        let chunk = chunk.expect("a chunk before the connection ends");
        chunk.map(|bytes| String::from_utf8(bytes).expect("text"))
    }

    /// The next frame of a WebSocket: its first byte and its payload; `None` when the connection ends before it is whole.
    ///
    /// # Panics
    /// When something else or nothing comes.
    pub async fn frame_or_end(&mut self) -> Option<(u8, Vec<u8>)> {
        or_fail(self.try_frame().await, "a frame, or the connection's end")
    }

    /// The next frame of a WebSocket: its first byte and its payload.
    ///
    /// # Panics
    /// When the connection ends before it is whole, or something else or nothing comes.
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub async fn frame(&mut self) -> (u8, Vec<u8>) {
        let frame = self.frame_or_end().await;
        frame.expect("a frame before the connection ends")
    }
}
