//! A drawing surface that knows how far the drawing extends: the crate's own estimate takes text for taller
//! than it is, which leaves half a page empty.

use layout::backends::svg::SVGWriter;
use layout::core::format::{ClipHandle, RenderBackend};
use layout::core::geometry::Point;
use layout::core::style::StyleAttr;

/// Empty space right and below.
const MARGIN: f64 = 20.0;

/// Draws SVG.
pub struct Canvas {
    writer: SVGWriter,
    right: f64,
    bottom: f64,
}

impl Canvas {
    pub fn new() -> Self {
        Self {
            writer: SVGWriter::new(),
            right: 0.0,
            bottom: 0.0,
        }
    }

    fn extend(&mut self, x: f64, y: f64) {
        self.right = self.right.max(x);
        self.bottom = self.bottom.max(y);
    }

    /// The text of the file.
    pub fn finish(self) -> String {
        let (width, height) = ((self.right + MARGIN).ceil(), (self.bottom + MARGIN).ceil());
        let text = self.writer.finalize();
        let tag = format!(
            "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             xmlns=\"http://www.w3.org/2000/svg\">"
        );
        match text.split_once("<svg ") {
            Some((head, rest)) => match rest.split_once('>') {
                Some((_, body)) => format!("{head}{tag}{body}"),
                None => text,
            },
            None => text,
        }
    }
}

impl RenderBackend for Canvas {
    fn draw_rect(
        &mut self,
        xy: Point,
        size: Point,
        look: &StyleAttr,
        properties: Option<String>,
        clip: Option<ClipHandle>,
    ) {
        self.extend(xy.x + size.x, xy.y + size.y);
        self.writer.draw_rect(xy, size, look, properties, clip);
    }

    fn draw_line(
        &mut self,
        start: Point,
        stop: Point,
        look: &StyleAttr,
        properties: Option<String>,
    ) {
        self.extend(start.x.max(stop.x), start.y.max(stop.y));
        self.writer.draw_line(start, stop, look, properties);
    }

    fn draw_circle(
        &mut self,
        xy: Point,
        size: Point,
        look: &StyleAttr,
        properties: Option<String>,
    ) {
        self.extend(xy.x + size.x, xy.y + size.y);
        self.writer.draw_circle(xy, size, look, properties);
    }

    fn draw_text(&mut self, xy: Point, text: &str, look: &StyleAttr) {
        self.writer.draw_text(xy, text, look);
    }

    fn draw_arrow(
        &mut self,
        path: &[(Point, Point)],
        dashed: bool,
        head: (bool, bool),
        look: &StyleAttr,
        properties: Option<String>,
        text: &str,
    ) {
        self.writer
            .draw_arrow(path, dashed, head, look, properties, text);
    }

    fn create_clip(&mut self, xy: Point, size: Point, rounded_px: usize) -> ClipHandle {
        self.writer.create_clip(xy, size, rounded_px)
    }
}
