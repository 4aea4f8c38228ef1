//! The Race page: one stream, every technique a lane, from the sentence that says it all down to the controls.

use leptos::prelude::*;

use crate::app::Page;
use crate::parts::cards::Cards;
use crate::parts::controls::Controls;
use crate::parts::head::Head;
use crate::parts::help::Help;
use crate::parts::notes::{Notice, Verdict};
use crate::parts::publish::{Latest, Publish};
use crate::parts::stage::StageView;

/// The page.
#[component]
pub fn RacePage() -> impl IntoView {
    let page = expect_context::<Page>();
    view! {
        <a class="skip" href="#stage">{page.say(|text| text.skip)}</a>
        <Head />
        <main>
            <Verdict />
            <Cards />
            <div class="bench">
                <div class="stage" id="stage" tabindex="-1">
                    <Notice />
                    <StageView />
                </div>
                <aside class="side" aria-label=page.say(|text| text.controls)>
                    <Publish />
                    <Controls />
                    <Latest />
                </aside>
            </div>
        </main>
        <footer>{page.say(|text| text.foot)}</footer>
        <Help />
    }
}
