//! The three drawings below each other as one picture, with what, when and where on top.

use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::RaceCanvases;
use crate::browser;
use crate::widgets::canvas::axis::tick_label;
use crate::widgets::canvas::palette::Ink;
use crate::widgets::canvas::scene::{Align, Scene, SeriesKind, Style};
use crate::widgets::canvas::surface::{Surface, paint};

/// Height of a line of text, pixels.
const LINE: f64 = 20.0;
const MARGIN: f64 = 10.0;
/// Width that is planned for a character, pixels.
const CHARACTER: f64 = 7.5;

impl RaceCanvases {
    /// Downloads the picture as `name`, in the colours of the theme; nothing while there are no drawings.
    ///
    /// - `heading`: the lines on top.
    /// - `titles`: above each drawing; a drawing without a title is left out.
    pub fn download(&self, name: String, heading: &str, titles: [Option<&str>; 3]) -> Option<()> {
        let width = self.width.get_untracked();
        let drawings = self.surfaces.each_ref().map(Surface::canvas);
        let canvas: web_sys::HtmlCanvasElement =
            document().create_element("canvas").ok()?.dyn_into().ok()?;
        let surface = Surface::new(canvas)?;
        let mut scene = Scene::default();
        let ground = scene.open(Style::new(SeriesKind::Boxes, Ink::Ground));
        let mut y = MARGIN;
        let line = |scene: &mut Scene, text: &str, y: &mut f64| {
            let middle = *y + LINE / 2.0;
            scene.label(tick_label(MARGIN, middle, text.to_owned(), Align::Start));
            *y += LINE;
        };
        let characters: Vec<char> = heading.chars().collect();
        for text in characters.split(|character| *character == '\n') {
            for piece in text.chunks(characters_of(width)) {
                line(&mut scene, &piece.iter().collect::<String>(), &mut y);
            }
        }
        let mut places = Vec::new();
        for (drawing, title) in drawings.into_iter().zip(titles) {
            let Some(title) = title else { continue };
            y += MARGIN;
            line(&mut scene, title, &mut y);
            let scale = width / f64::from(drawing.width().max(1));
            let height = f64::from(drawing.height()) * scale;
            places.push((drawing, y, height));
            y += height;
        }
        y += MARGIN;
        scene.add(ground, [0.0, 0.0, width, y]);
        let context = surface.begin(width, y, browser::window().device_pixel_ratio());
        paint(context, &scene, &self.palette);
        for (drawing, top, height) in places {
            context
                .draw_image_with_html_canvas_element_and_dw_and_dh(drawing, 0.0, top, width, height)
                .ok()?;
        }
        browser::download_picture(name, surface.canvas()).ok()
    }
}

/// How many characters a line of this width has.
fn characters_of(width: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of characters"
    )]
    let most = (width / CHARACTER) as usize;
    most.max(1)
}
