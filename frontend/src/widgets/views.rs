//! Several views of one kind: as a list of one type, or kept by their keys.

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

/// Views that stay the same elements as long as their keys are there.
#[component]
pub fn KeyedViews(
    /// The keys, in order.
    #[prop(into)]
    keys: Callback<(), Vec<String>>,
    /// Makes the view of a key.
    #[prop(into)]
    view: Callback<String, AnyView>,
) -> impl IntoView {
    view! { <For each=move || keys.run(()) key=String::clone children=move |key| view.run(key) /> }
}
