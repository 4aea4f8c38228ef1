//! Lists of views: collected into one type, or identified by keys.

use leptos::prelude::*;

/// An iterator or collection of views.
pub trait CollectAny {
    /// Collects the views as [`AnyView`]s, so that the code of a list is compiled for one type only.
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

/// A list of views, each of which keeps its elements as long as its key is present.
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
