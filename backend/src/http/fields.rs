//! A response's header fields, whoever writes them: actix, or a connection that has left it.

use actix_web::HttpResponseBuilder;
use actix_web::http::header::HeaderName;

/// Takes header fields.
pub trait Fields {
    /// Puts one field; each name at most once.
    ///
    /// - `value`: visible ASCII.
    fn put(&mut self, name: &HeaderName, value: impl AsRef<[u8]>);
}

impl Fields for HttpResponseBuilder {
    fn put(&mut self, name: &HeaderName, value: impl AsRef<[u8]>) {
        self.insert_header((name.clone(), value.as_ref()));
    }
}

/// The bytes of a head.
impl Fields for Vec<u8> {
    fn put(&mut self, name: &HeaderName, value: impl AsRef<[u8]>) {
        self.extend_from_slice(name.as_str().as_bytes());
        self.extend_from_slice(b": ");
        self.extend_from_slice(value.as_ref());
        self.extend_from_slice(b"\r\n");
    }
}
