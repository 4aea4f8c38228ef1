//! The view of the Race page, from the headline to the controls.

use leptos::prelude::*;

use super::context::RaceContext;
use crate::app::Shell;
use crate::app::help::Help;
use crate::app::nav::SkipLink;
use crate::pages::race::parts::advice::AdviceSection;
use crate::pages::race::parts::cards::Cards;
use crate::pages::race::parts::controls::Controls;
use crate::pages::race::parts::delay::PathDelay;
use crate::pages::race::parts::head::RaceHead;
use crate::pages::race::parts::headline::{HeadlineSection, Notice};
use crate::pages::race::parts::publish::{Latest, Publish};
use crate::pages::race::parts::saved::SavedSection;
use crate::pages::race::parts::stage::StageView;

/// The page.
#[component]
pub fn RacePage() -> impl IntoView {
    let page = RaceContext::start(expect_context::<Shell>());
    provide_context(page);
    view! {
        <SkipLink to="stage" label=page.localized(|text| text.skip) />
        <RaceHead />
        <main>
            <SavedSection />
            <HeadlineSection />
            <PathDelay />
            <Cards />
            <div class="bench">
                <div class="stage" id="stage" tabindex="-1">
                    <Notice />
                    <StageView />
                    <AdviceSection />
                </div>
                <aside class="side" aria-label=page.localized(|text| text.controls)>
                    <Publish />
                    <Controls />
                    <Latest />
                </aside>
            </div>
        </main>
        <footer>{page.localized(|text| text.foot)}</footer>
        <Help />
    }
}
