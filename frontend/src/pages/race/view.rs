//! The Race page: one stream, every technique a lane, from the sentence that says it all down to the controls.

use leptos::prelude::*;

use super::context::RaceContext;
use crate::app::Shell;
use crate::pages::race::parts::advice::AdviceSection;
use crate::pages::race::parts::cards::Cards;
use crate::pages::race::parts::controls::Controls;
use crate::pages::race::parts::delay::PathDelay;
use crate::pages::race::parts::head::RaceHead;
use crate::pages::race::parts::headline::{HeadlineSection, Notice};
use crate::pages::race::parts::publish::{Latest, Publish};
use crate::pages::race::parts::stage::StageView;
use crate::widgets::help::Help;

/// The page.
#[component]
pub fn RacePage() -> impl IntoView {
    let page = RaceContext::start(expect_context::<Shell>());
    provide_context(page);
    view! {
        <a class="skip" href="#stage">{page.say(|text| text.skip)}</a>
        <RaceHead />
        <main>
            <HeadlineSection />
            <PathDelay />
            <Cards />
            <div class="bench">
                <div class="stage" id="stage" tabindex="-1">
                    <Notice />
                    <StageView />
                    <AdviceSection />
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
