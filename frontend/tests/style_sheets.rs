//! Rules of the style sheets: all of them apply to every page, so a class belongs to one page or is shared on purpose.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::BTreeSet;

const SHARED: &str = include_str!("../style/page.css");
const RACE: &str = include_str!("../style/race.css");
const STREAMS: &str = include_str!("../style/streams.css");

/// The classes in the selectors of a style sheet.
fn classes(sheet: &str) -> BTreeSet<&str> {
    let selectors = sheet
        .split(['{', '}', ';'])
        .filter(|text| !text.contains(": "));
    let names = selectors.flat_map(|selector| selector.split('.').skip(1));
    names
        .map(|name| {
            let end = name.find(|it: char| !it.is_ascii_alphanumeric() && it != '-');
            &name[..end.unwrap_or(name.len())]
        })
        .collect()
}

#[test]
fn no_class_of_one_page_is_styled_by_another() {
    let (shared, race, streams) = (classes(SHARED), classes(RACE), classes(STREAMS));
    assert!(race.contains("against") && streams.contains("rows") && shared.contains("hint"));
    let both: Vec<_> = race
        .intersection(&streams)
        .filter(|name| !shared.contains(*name))
        .collect();
    assert!(
        both.is_empty(),
        "styled by race.css and streams.css, and not in page.css: {both:?}"
    );
}
