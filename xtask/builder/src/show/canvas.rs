//! A drawing surface that knows how far the drawing extends: the crate's own estimate takes text for taller
//! than it is, which leaves half a page empty.

use layout::backends::svg::SVGWriter;
use layout::core::format::{ClipHandle, RenderBackend};
use layout::core::geometry::Point;
use layout::core::style::StyleAttr;

/// Empty space around the drawing.
pub const MARGIN: f64 = 20.0;

/// Draws SVG.
pub struct Canvas {
    writer: SVGWriter,
    /// The offset that is added to every place.
    offset: Point,
    /// Corners of what was drawn; the first one is infinite as long as there is nothing.
    corners: (Point, Point),
}

impl Canvas {
    pub fn new() -> Self {
        Self {
            writer: SVGWriter::new(),
            offset: Point::zero(),
            corners: (Point::splat(f64::INFINITY), Point::zero()),
        }
    }

    /// Moves everything that is drawn next by `offset`.
    pub fn set_offset(&mut self, offset: Point) {
        self.offset = offset;
    }

    /// The upper left corner of what was drawn, and its size.
    pub fn extent(&self) -> (Point, Point) {
        let (from, to) = self.corners;
        (from, Point::new(to.x - from.x, to.y - from.y))
    }

    fn moved(&self, place: Point) -> Point {
        Point::new(place.x + self.offset.x, place.y + self.offset.y)
    }

    /// The place of a shape, which becomes part of the extent.
    fn place(&mut self, xy: Point, size: Point) -> Point {
        let xy = self.moved(xy);
        self.extend(xy);
        self.extend(Point::new(xy.x + size.x, xy.y + size.y));
        xy
    }

    fn extend(&mut self, place: Point) {
        let (from, to) = &mut self.corners;
        (from.x, from.y) = (from.x.min(place.x), from.y.min(place.y));
        (to.x, to.y) = (to.x.max(place.x), to.y.max(place.y));
    }

    /// The text of the file.
    pub fn finish(self) -> String {
        let to = self.corners.1;
        let (width, height) = ((to.x + MARGIN).ceil(), (to.y + MARGIN).ceil());
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
        let xy = self.place(xy, size);
        self.writer.draw_rect(xy, size, look, properties, clip);
    }

    fn draw_line(
        &mut self,
        start: Point,
        stop: Point,
        look: &StyleAttr,
        properties: Option<String>,
    ) {
        let (start, stop) = (self.moved(start), self.moved(stop));
        self.extend(start);
        self.extend(stop);
        self.writer.draw_line(start, stop, look, properties);
    }

    fn draw_circle(
        &mut self,
        xy: Point,
        size: Point,
        look: &StyleAttr,
        properties: Option<String>,
    ) {
        let xy = self.place(xy, size);
        self.writer.draw_circle(xy, size, look, properties);
    }

    fn draw_text(&mut self, xy: Point, text: &str, look: &StyleAttr) {
        self.writer.draw_text(self.moved(xy), text, look);
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
        let path: Vec<(Point, Point)> = path
            .iter()
            .map(|(from, to)| (self.moved(*from), self.moved(*to)))
            .collect();
        self.writer
            .draw_arrow(&path, dashed, head, look, properties, text);
    }

    fn create_clip(&mut self, xy: Point, size: Point, rounded_px: usize) -> ClipHandle {
        self.writer.create_clip(self.moved(xy), size, rounded_px)
    }
}
