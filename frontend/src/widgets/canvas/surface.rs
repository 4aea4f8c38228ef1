//! Paints a scene into a 2D canvas: one path per series.

use super::palette::{Ink, Palette};
use super::scene::{Align, Dash, Scene, Series, SeriesKind};
use crate::numbers::px;
use crate::techniques::look;
use std::f64::consts::TAU;
use tailwater_protocol::Technique;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

/// Width of the halo around filled shapes, pixels.
const HALO: f64 = 1.0;

/// A canvas with its context, sharp on screens of any pixel density.
#[derive(Debug, Clone)]
pub struct Surface {
    canvas: HtmlCanvasElement,
    context: CanvasRenderingContext2d,
}

impl Surface {
    /// The 2D surface of a canvas; `None` if the browser has no 2D context for it.
    pub fn new(canvas: HtmlCanvasElement) -> Option<Self> {
        let context = canvas.get_context("2d").ok().flatten()?.dyn_into().ok()?;
        Some(Self { canvas, context })
    }

    /// The canvas.
    pub fn canvas(&self) -> &HtmlCanvasElement {
        &self.canvas
    }

    /// The context, cleared and scaled for a drawing of `width` times `height` CSS pixels.
    ///
    /// `density` is `window.devicePixelRatio`. Sets the canvas' size in CSS and in device pixels if they differ.
    pub fn begin(&self, width: f64, height: f64, density: f64) -> &CanvasRenderingContext2d {
        let density = density.clamp(0.5, 4.0);
        let (across, down) = (
            device_pixels(width * density),
            device_pixels(height * density),
        );
        if self.canvas.width() != across || self.canvas.height() != down {
            self.canvas.set_width(across);
            self.canvas.set_height(down);
            let style = self.canvas.style();
            // Fails only for an unknown property; the browser then scales the drawing.
            drop(style.set_property("width", &px(width)));
            drop(style.set_property("height", &px(height)));
        }
        drop(
            self.context
                .set_transform(density, 0.0, 0.0, density, 0.0, 0.0),
        );
        self.context.clear_rect(0.0, 0.0, width, height);
        &self.context
    }
}

/// Paints a scene, series by series, then its labels.
pub fn paint(context: &CanvasRenderingContext2d, scene: &Scene, palette: &Palette) {
    context.set_line_join("round");
    for series in scene.series() {
        paint_series(context, series, palette);
    }
    context.set_global_alpha(1.0);
    context.set_text_baseline("middle");
    let mut font = (0.0, false);
    for label in scene.labels() {
        if font != (label.size, label.bold) {
            font = (label.size, label.bold);
            let weight = if label.bold { "700 " } else { "" };
            context.set_font(&format!("{weight}{} {}", px(label.size), palette.font));
        }
        context.set_text_align(match label.align {
            Align::Start => "start",
            Align::Middle => "center",
            Align::End => "end",
        });
        if let Ink::Hue(_) = label.ink {
            // Letters between curves need a halo.
            context.set_stroke_style_str(&palette.ground);
            context.set_line_width(3.0);
            drop(context.stroke_text(&label.text, label.x, label.y));
        }
        context.set_fill_style_str(palette.colour(label.ink));
        // Fails only on NaN positions, which layouts don't make.
        drop(context.fill_text(&label.text, label.x, label.y));
    }
}

fn paint_series(context: &CanvasRenderingContext2d, series: &Series, palette: &Palette) {
    let style = series.style;
    let colour = palette.colour(style.ink);
    context.set_global_alpha(style.alpha);
    context.begin_path();
    match style.kind {
        SeriesKind::Lines => {
            for [x0, y0, x1, y1] in &series.items {
                context.move_to(*x0, *y0);
                context.line_to(*x1, *y1);
            }
            stroke(context, colour, style.width, style.dash);
        }
        SeriesKind::Path => {
            trace_points(context, series);
            stroke(context, colour, style.width, style.dash);
        }
        SeriesKind::Area => {
            trace_points(context, series);
            context.set_fill_style_str(colour);
            context.fill();
        }
        SeriesKind::Boxes => {
            // Drawn in software, a path of a thousand boxes took five times as long as a thousand boxes.
            context.set_fill_style_str(colour);
            for [x, y, width, height] in &series.items {
                context.fill_rect(*x, *y, *width, *height);
            }
        }
        SeriesKind::Crosses => {
            for [x, y, radius, _] in &series.items {
                context.move_to(x - radius, y - radius);
                context.line_to(x + radius, y + radius);
                context.move_to(x - radius, y + radius);
                context.line_to(x + radius, y - radius);
            }
            stroke(context, colour, style.width, style.dash);
        }
        SeriesKind::Filled(technique) => {
            fill_shapes(
                context,
                series,
                technique,
                (palette.colour(Ink::Ground), HALO),
            );
            fill_shapes(context, series, technique, (colour, 0.0));
        }
        SeriesKind::Hollow(technique) => {
            fill_shapes(context, series, technique, (colour, style.width / 2.0));
            fill_shapes(
                context,
                series,
                technique,
                (palette.colour(Ink::Ground), -style.width / 2.0),
            );
        }
    }
}

/// Fills each shape, its radius `more` pixels larger.
///
/// One path for all shapes would be slow: it is as wide as the drawing, and a software renderer visits its whole area.
fn fill_shapes(
    context: &CanvasRenderingContext2d,
    series: &Series,
    technique: Technique,
    (colour, more): (&str, f64),
) {
    context.set_fill_style_str(colour);
    let corners = look(technique).shape.corners();
    for [x, y, radius, _] in &series.items {
        let radius = radius + more;
        context.begin_path();
        for (corner_x, corner_y) in corners {
            context.line_to(x + corner_x * radius, y + corner_y * radius);
        }
        if corners.is_empty() {
            // Fails only for a negative radius.
            drop(context.arc(*x, *y, radius.max(0.0), 0.0, TAU));
        }
        context.fill();
    }
}

fn stroke(context: &CanvasRenderingContext2d, colour: &str, width: f64, dash: Dash) {
    let dashes = js_sys::Array::new();
    let (on, off) = match dash {
        Dash::Solid => (0.0, 0.0),
        Dash::Dotted => (1.5, 2.5),
        Dash::Dashed => (4.0, 3.0),
    };
    if on > 0.0 {
        dashes.push(&JsValue::from_f64(on));
        dashes.push(&JsValue::from_f64(off));
    }
    // Fails only if the dashes weren't numbers.
    drop(context.set_line_dash(&dashes));
    context.set_line_width(width);
    context.set_stroke_style_str(colour);
    context.stroke();
}

fn trace_points(context: &CanvasRenderingContext2d, series: &Series) {
    let mut lifted = true;
    for [x, y, ..] in &series.items {
        if x.is_nan() {
            lifted = true;
        } else if lifted {
            context.move_to(*x, *y);
            lifted = false;
        } else {
            context.line_to(*x, *y);
        }
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a size in pixels: saturates, and NaN is 0"
)]
fn device_pixels(length: f64) -> u32 {
    length.round().clamp(0.0, 16_384.0) as u32
}
