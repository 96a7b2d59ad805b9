//! A drawing with its legend, in a page or in a file of its own.

use super::super::escape::escape;

/// The units that a chart is drawn in; the page scales them.
pub(super) const WIDTH: f64 = 460.0;
/// Dashes by series; colours come round after six, so no two of twelve series look the same.
pub(super) const DASHES: [&str; 12] = [
    "",
    "7 3",
    "2 3",
    "9 3 2 3",
    "14 4",
    "5 2 1 2 1 2",
    "3 6",
    "10 2",
    "1 2",
    "6 2 6 6",
    "12 3 3 3",
    "4 4",
];

/// How many colours the style sheet has, `--series-0` and so on.
pub(super) const COLOURS: usize = 6;

/// How many colours the parts of a bar have, `--part-0` and so on.
pub(super) const PARTS: usize = 8;

/// What a chart is called, for those who see it and those who do not.
pub(in super::super) struct Caption {
    /// Unique in the page.
    pub(in super::super) id: String,
    pub(in super::super) title: String,
    /// What it shows, in one sentence.
    pub(in super::super) sentence: String,
}

/// A drawing with its legend.
pub(in super::super) struct Chart {
    pub(super) height: f64,
    pub(super) body: String,
    pub(super) legend: Vec<(Mark, String)>,
}

/// What a legend shows beside a name.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    Part(usize),
    Line(usize),
}

impl Chart {
    /// Whether there is anything to see.
    pub(in super::super) fn shows_something(&self) -> bool {
        !self.legend.is_empty()
    }

    /// The legend and the drawing as parts of a page, whose style sheet colours them.
    pub(in super::super) fn inline(
        &self,
        Caption {
            id,
            title,
            sentence,
        }: &Caption,
    ) -> String {
        let entries = self.legend.iter();
        let legend: String = entries
            .map(|(mark, name)| format!("<li>{}{}</li>", mark.swatch(), escape(name)))
            .collect();
        format!(
            "<ul class=\"legend\">{legend}</ul>\n<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" \
             aria-labelledby=\"{id}-title {id}-desc\">\n<title id=\"{id}-title\">{}</title><desc \
             id=\"{id}-desc\">{}</desc>\n{}</svg>\n",
            self.height,
            escape(title),
            escape(sentence),
            self.body
        )
    }

    /// The drawing as a file of its own, with title and legend, coloured by `style`; under its title the mark that it bears.
    pub(in super::super) fn standalone(
        &self,
        Caption {
            title, sentence, ..
        }: &Caption,
        mark: Option<&str>,
        style: &str,
    ) -> String {
        const MARGIN: f64 = 14.0;
        const HEADING: f64 = 30.0;
        const MARK: f64 = 18.0;
        const ROW: f64 = 18.0;
        let rows = self.legend.len().div_ceil(2);
        let top = if mark.is_some() {
            HEADING + MARK
        } else {
            HEADING
        };
        let mark = mark.map_or_else(String::new, |mark| {
            format!(
                "<text class=\"mark\" x=\"0\" y=\"{HEADING}\">{}</text>\n",
                escape(mark)
            )
        });
        let legend_top = top + self.height + 8.0;
        let height = legend_top + ROW * rows as f64 + 4.0;
        let legend: String = self
            .legend
            .iter()
            .enumerate()
            .map(|(index, (mark, name))| {
                let x = (index % 2) as f64 * WIDTH / 2.0;
                let y = legend_top + ROW * (index / 2) as f64;
                format!(
                    "<g transform=\"translate({x:.0} {y:.0})\">{}<text x=\"42\" y=\"10\">{}</text></g>\n",
                    mark.draw(),
                    escape(name)
                )
            })
            .collect();
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"-{MARGIN} -{MARGIN} {:.0} {:.0}\" \
             width=\"{:.0}\" height=\"{:.0}\">\n<title>{title}</title><desc>{}</desc>\n<style>{style}</style>\n\
             <text class=\"heading\" x=\"0\" y=\"10\">{title}</text>\n{mark}<g transform=\"translate(0 {top})\">\n{}</g>\n\
             {legend}</svg>\n",
            WIDTH + 2.0 * MARGIN,
            height + 2.0 * MARGIN,
            WIDTH + 2.0 * MARGIN,
            height + 2.0 * MARGIN,
            escape(sentence),
            self.body,
            title = escape(title),
        )
    }

    pub(super) fn nothing() -> Self {
        Self {
            height: 30.0,
            body: "<text class=\"label\" x=\"0\" y=\"20\">Nothing was measured.</text>\n"
                .to_owned(),
            legend: Vec::new(),
        }
    }
}

impl Mark {
    fn draw(self) -> String {
        match self {
            Self::Part(index) => format!(
                "<rect class=\"p{}\" x=\"11\" width=\"12\" height=\"10\"/>",
                index % PARTS
            ),
            Self::Line(index) => format!("<polyline {} points=\"1,5 33,5\"/>", stroke(index)),
        }
    }

    fn swatch(self) -> String {
        let (class, view) = match self {
            Self::Part(_) => (" small", "11 0 12 10"),
            Self::Line(_) => ("", "0 0 34 10"),
        };
        format!(
            "<svg class=\"swatch{class}\" viewBox=\"{view}\" aria-hidden=\"true\">{}</svg>",
            self.draw()
        )
    }
}

/// How the line of a series looks.
pub(super) fn stroke(index: usize) -> String {
    format!(
        "class=\"line s{}\" stroke-dasharray=\"{}\"",
        index % COLOURS,
        DASHES[index % DASHES.len()]
    )
}
