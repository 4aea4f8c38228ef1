//! The lab of a build without the feature `lab`: there is none.

/// Never made.
#[derive(Debug, Clone, Copy)]
pub enum Lab {}

impl Lab {
    pub(crate) async fn close(&self) {
        match *self {}
    }
}
