//! Stands in for the lab in a build without the feature `lab`.

/// Has no value.
#[derive(Debug, Clone, Copy)]
pub enum Lab {}

impl Lab {
    pub(crate) async fn close(&self) {
        match *self {}
    }
}
