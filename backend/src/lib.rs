//! Tailwater: append-only streams over HTTP, followed by polling, long-polling, streaming or WebSocket.
