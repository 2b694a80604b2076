//! Which media type the caller wants (RFC 9110 12.5.1, GraphQL over HTTP).

use axum::http::{HeaderMap, HeaderValue, header};

/// A media type that an answer can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/json`: a status of 200 even when the document is refused, as clients of before
    /// the specification expect.
    Json,
    /// `application/graphql-response+json`: the status tells whether anything was executed.
    GraphQl,
    /// `text/event-stream`: an answer in events, as long as there are any (GraphQL over SSE). Only for
    /// whoever names it: nobody else would expect an answer without an end.
    Events,
}

impl Media {
    const ALL: [Self; 3] = [Self::Json, Self::GraphQl, Self::Events];

    fn essence(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::GraphQl => "application/graphql-response+json",
            Self::Events => "text/event-stream",
        }
    }

    /// As the answer's `Content-Type`.
    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphQl => "application/graphql-response+json; charset=utf-8",
            Self::Events => "text/event-stream; charset=utf-8",
        })
    }

    /// The type in which a refusal is told instead: it is one answer, and its status tells.
    pub(super) fn of_refusal(self) -> Self {
        if self == Self::Events { Self::GraphQl } else { self }
    }

    /// The one the caller likes best; without an `Accept`, JSON. `None`: neither will do.
    ///
    /// The most specific range that fits a type says how much it is liked. Between types that are
    /// liked the same, the one that was named first wins.
    pub(super) fn wanted(headers: &HeaderMap) -> Option<Self> {
        let ranges = ranges(headers);
        if ranges.is_empty() {
            return Some(Self::Json);
        }
        Self::ALL
            .into_iter()
            .filter_map(|media| media.liking(&ranges).map(|(quality, place)| (media, quality, place)))
            .min_by_key(|(_, quality, place)| (u16::MAX - quality, *place))
            .map(|(media, ..)| media)
    }

    /// Whether the caller can be answered in events at all, though it may like another type better.
    pub(super) fn takes_events(headers: &HeaderMap) -> bool {
        Self::Events.liking(&ranges(headers)).is_some()
    }

    /// How much this type is liked, and where the range stands that says so; `None`: not at all.
    fn liking(self, ranges: &[Range]) -> Option<(u16, usize)> {
        let fitting = ranges.iter().filter(|range| range.fits(self));
        let range = fitting.max_by_key(|range| range.specificity())?;
        (range.quality > 0).then_some((range.quality, range.place))
    }
}

fn ranges(headers: &HeaderMap) -> Vec<Range> {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let parts = values.flat_map(|value| value.split(',')).enumerate();
    parts.filter_map(|(place, text)| Range::parse(place, text)).collect()
}

/// One part of an `Accept` header.
struct Range {
    essence: String,
    /// In thousandths.
    quality: u16,
    place: usize,
}

impl Range {
    fn parse(place: usize, text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().filter(|essence| !essence.is_empty())?.to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some(Self { essence, quality: quality.map_or(1_000, thousandths), place })
    }

    fn fits(&self, media: Media) -> bool {
        match self.essence.as_str() {
            "*/*" | "application/*" => media != Media::Events,
            own => own == media.essence(),
        }
    }

    fn specificity(&self) -> u8 {
        match self.essence.as_str() {
            "*/*" => 0,
            "application/*" => 1,
            _ => 2,
        }
    }
}

/// `0.5` → 500. What is no number from 0 to 1 is read as 1.
fn thousandths(quality: &str) -> u16 {
    let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
    if whole != "0" || fraction.len() > 3 {
        return 1_000;
    }
    format!("{fraction:0<3}").parse().unwrap_or(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(accept: &[&str]) -> Option<Media> {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, value.parse().expect("a header value"));
        }
        Media::wanted(&headers)
    }

    #[test]
    fn the_caller_gets_what_it_likes_best() {
        use Media::{Events, GraphQl, Json};
        const NEW: &str = "application/graphql-response+json";
        let both = format!("{NEW}, application/json;q=0.9");
        let other = format!("application/json;q=0.4, {NEW};q=0.5");
        let excluded = format!("application/json;q=0, */*;q=0.1, {NEW};q=0");
        for (accept, media) in [
            (vec![], Some(Json)),
            (vec![""], Some(Json)),
            (vec!["*/*"], Some(Json)),
            (vec!["application/*"], Some(Json)),
            (vec!["application/json; charset=utf-8"], Some(Json)),
            (vec![NEW], Some(GraphQl)),
            (vec!["APPLICATION/GraphQL-Response+JSON"], Some(GraphQl)),
            (vec![both.as_str()], Some(GraphQl)),
            (vec![other.as_str()], Some(GraphQl)),
            (vec!["text/html", NEW], Some(GraphQl)),
            (vec!["application/json", NEW], Some(Json)),
            (vec![NEW, "*/*"], Some(GraphQl)),
            (vec!["*/*", "application/graphql-response+json;q=0.5"], Some(Json)),
            (vec!["application/json;q=0, */*"], Some(GraphQl)),
            (vec!["text/html, */*;q=0.8"], Some(Json)),
            (vec!["text/html"], None),
            (vec!["text/*"], None),
            (vec!["text/event-stream"], Some(Events)),
            (vec!["text/event-stream;q=0.9, application/json;q=0.8"], Some(Events)),
            (vec!["application/json, text/event-stream"], Some(Json)),
            (vec!["text/event-stream;q=0"], None),
            (vec!["application/json;q=0"], None),
            (vec![excluded.as_str()], None),
        ] {
            assert_eq!(wanted(&accept), media, "{accept:?}");
        }
    }

    #[test]
    fn events_are_sent_to_whoever_names_them_only() {
        for (accept, takes) in [
            ("text/event-stream", true),
            ("application/json, text/event-stream;q=0.1", true),
            ("text/event-stream;q=0", false),
            ("*/*", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().expect("a header value"))]);
            assert_eq!(Media::takes_events(&headers), takes, "{accept}");
        }
    }

    #[test]
    fn qualities_are_read_to_the_thousandth() {
        for (text, quality) in
            [("0", 0), ("0.", 0), ("0.5", 500), ("0.001", 1), ("1", 1_000), ("1.000", 1_000), ("x", 1_000)]
        {
            assert_eq!(thousandths(text), quality, "{text}");
        }
    }
}
