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
}

impl Media {
    const ALL: [Self; 2] = [Self::Json, Self::GraphQl];

    fn essence(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::GraphQl => "application/graphql-response+json",
        }
    }

    /// As the answer's `Content-Type`.
    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphQl => "application/graphql-response+json; charset=utf-8",
        })
    }

    /// The one the caller likes best; without an `Accept`, JSON. `None`: neither will do.
    ///
    /// The most specific range that fits a type says how much it is liked. Between types that are
    /// liked the same, the one that was named first wins.
    pub(super) fn wanted(headers: &HeaderMap) -> Option<Self> {
        let ranges: Vec<Range> = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .enumerate()
            .filter_map(|(place, text)| Range::parse(place, text))
            .collect();
        if ranges.is_empty() {
            return Some(Self::Json);
        }
        let liking = |media: Self| {
            let fitting = ranges.iter().filter(|range| range.fits(media.essence()));
            fitting.max_by_key(|range| range.specificity()).map(|range| (range.quality, range.place))
        };
        Self::ALL
            .into_iter()
            .filter_map(|media| liking(media).map(|(quality, place)| (media, quality, place)))
            .filter(|(_, quality, _)| *quality > 0)
            .min_by_key(|(_, quality, place)| (u16::MAX - quality, *place))
            .map(|(media, ..)| media)
    }
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

    fn fits(&self, essence: &str) -> bool {
        match self.essence.as_str() {
            "*/*" | "application/*" => true,
            own => own == essence,
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
        use Media::{GraphQl, Json};
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
            (vec!["text/event-stream"], None),
            (vec!["application/json;q=0"], None),
            (vec![excluded.as_str()], None),
        ] {
            assert_eq!(wanted(&accept), media, "{accept:?}");
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
