//! Several views of one kind, as a list of one type.

use leptos::prelude::*;

/// What makes a list of views.
pub trait CollectAny {
    /// The views as [`AnyView`]s: a list of any other type would be compiled for that type alone.
    fn collect_any(self) -> Vec<AnyView>;
}

impl<Views> CollectAny for Views
where
    Views: IntoIterator,
    Views::Item: IntoAny,
{
    fn collect_any(self) -> Vec<AnyView> {
        self.into_iter().map(IntoAny::into_any).collect()
    }
}
