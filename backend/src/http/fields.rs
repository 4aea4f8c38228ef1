//! A response's header fields, whoever writes them: actix, or a connection that has left it.

use actix_web::HttpResponseBuilder;
use std::fmt;
use std::io::Write;

/// Takes header fields.
pub trait Fields {
    /// Puts one field; each name at most once.
    ///
    /// - `name`: in lower case.
    fn put(&mut self, name: &'static str, value: fmt::Arguments<'_>);
}

impl Fields for HttpResponseBuilder {
    fn put(&mut self, name: &'static str, value: fmt::Arguments<'_>) {
        self.insert_header((name, value.to_string()));
    }
}

/// The bytes of a head.
impl Fields for Vec<u8> {
    fn put(&mut self, name: &'static str, value: fmt::Arguments<'_>) {
        // A vector takes everything.
        let _taken = write!(self, "{name}: {value}\r\n");
    }
}
