//! Reading what must arrive; anything else panics.

use super::{RawConnection, or_fail};
use crate::http::Response;

impl RawConnection {
    /// The next response; `None` if the connection ends before it is complete.
    ///
    /// # Panics
    /// If something else or nothing arrives.
    pub async fn response_or_end(&mut self) -> Option<Response> {
        or_fail(
            self.try_response().await,
            "a response, or the end of the connection",
        )
    }

    /// The next head; `None` if the connection ends before it is complete.
    ///
    /// # Panics
    /// If something else or nothing arrives.
    pub async fn head_or_end(&mut self) -> Option<Response> {
        or_fail(
            self.try_head().await,
            "a head, or the end of the connection",
        )
    }

    /// The next response.
    ///
    /// # Panics
    /// If the connection ends before it is complete, or something else or nothing arrives.
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub async fn response(&mut self) -> Response {
        let response = self.response_or_end().await;
        response.expect("a response before the connection ends")
    }

    /// The next response, to a HEAD request, so without a body.
    ///
    /// # Panics
    /// Like [`RawConnection::response`].
    pub async fn response_to_head(&mut self) -> Response {
        self.responses.expect_no_body();
        self.response().await
    }

    /// Sends a request and reads its response.
    ///
    /// # Panics
    /// Like [`RawConnection::send`] and [`RawConnection::response`].
    pub async fn ask(&mut self, request: impl AsRef<[u8]>) -> Response {
        self.send(request.as_ref()).await;
        if request.as_ref().starts_with(b"HEAD ") {
            self.expect_no_body();
        }
        self.response().await
    }

    /// The next head.
    ///
    /// # Panics
    /// Like [`RawConnection::response`].
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub async fn head(&mut self) -> Response {
        let head = self.head_or_end().await;
        head.expect("a head before the connection ends")
    }

    /// The rest of the body that follows the last head, as text.
    ///
    /// # Panics
    /// If it is incomplete or not UTF-8.
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub async fn body(&mut self) -> String {
        let mut body = Vec::new();
        let read = self.try_body(&mut body).await;
        or_fail(read, "a body").expect("a body before the connection ends");
        String::from_utf8(body).expect("text")
    }

    /// The next chunk of a chunked body, or `None` after the last one.
    ///
    /// # Panics
    /// If the connection ends before, or the chunk is not UTF-8.
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub async fn chunk(&mut self) -> Option<String> {
        let chunk = or_fail(self.try_chunk().await, "a chunk");
        let chunk = chunk.expect("a chunk before the connection ends");
        chunk.map(|bytes| String::from_utf8(bytes).expect("text"))
    }

    /// The next WebSocket frame: its first byte and its payload; `None` if the connection ends
    /// before it is complete.
    ///
    /// # Panics
    /// If something else or nothing arrives.
    pub async fn frame_or_end(&mut self) -> Option<(u8, Vec<u8>)> {
        or_fail(
            self.try_frame().await,
            "a frame, or the end of the connection",
        )
    }

    /// The next WebSocket frame: its first byte and its payload.
    ///
    /// # Panics
    /// If the connection ends before it is complete, or something else or nothing arrives.
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub async fn frame(&mut self) -> (u8, Vec<u8>) {
        let frame = self.frame_or_end().await;
        frame.expect("a frame before the connection ends")
    }
}
