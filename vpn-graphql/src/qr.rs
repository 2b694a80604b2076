//! QR codes: what a phone's camera reads from a screen.

use qrcode::{QrCode, render::svg, types::QrError};

/// The text as an SVG picture. An error when it is too long for a QR code: 2,331 bytes at this level of
/// error correction.
pub(crate) fn svg(text: &str) -> Result<String, QrError> {
    let code = QrCode::new(text)?;
    Ok(code.render::<svg::Color<'_>>().min_dimensions(240, 240).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_made_of_what_fits() {
        let picture = svg("https://vpn.example.org/profile#vpn_link_0123").expect("it fits");
        assert!(picture.contains("<svg") && picture.contains("<path"), "{picture}");
        assert!(!picture.contains("vpn_link_"), "the text is in the picture only as a picture");
        assert!(svg(&"x".repeat(2332)).is_err());
    }
}
