//! Bodies as they were before their `Content-Encoding`: logs may serve entry bundles with gzip to whoever asks, without negotiation
//! (c2sp.org/tlog-tiles), and servers of static files do so with more than those.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use flate2::write;

/// Octets of an encoding's name that are quoted.
const QUOTED: usize = 40;

/// A body is not what its `Content-Encoding` says, or nothing that is decoded here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodingError {
    /// Another encoding than gzip.
    #[error(
        "unsupported content-encoding {0:?}: the request asked for none, and only gzip can be decoded"
    )]
    Unknown(String),
    /// Not gzip.
    #[error("content-encoding is gzip, but the body is not")]
    Gzip(#[source] std::io::Error),
    /// The decoded body exceeds its bound.
    #[error("content-encoding gzip: the decoded body is longer than {0} octets")]
    TooLong(usize),
}

/// Whether a body is in some encoding. `headers` are the values of `Content-Encoding`.
pub fn is_encoded<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> bool {
    encodings(headers).next().is_some()
}

/// The body without its encoding, at most `limit` octets of it. `headers` are the values of `Content-Encoding`.
///
/// # Errors
/// It cannot be decoded.
pub fn decoded<'a>(
    headers: impl IntoIterator<Item = &'a [u8]>,
    body: Bytes,
    limit: usize,
) -> Result<Bytes, EncodingError> {
    if matches!(encoding(headers)?, Encoding::Identity) {
        return Ok(body);
    }
    let mut plain = Vec::new();
    let mut reader = MultiGzDecoder::new(body.as_ref()).take(limit as u64 + 1);
    reader
        .read_to_end(&mut plain)
        .map_err(EncodingError::Gzip)?;
    if plain.len() > limit {
        return Err(EncodingError::TooLong(limit));
    }
    Ok(plain.into())
}

/// A body that comes in pieces, decoded as it comes.
#[derive(Debug)]
pub struct PieceDecoder(Option<write::MultiGzDecoder<Vec<u8>>>);

impl PieceDecoder {
    /// Most octets of a piece: gzip makes at most a thousand of each, so a piece becomes a megabyte at most.
    pub const MAX_PIECE: usize = 1024;

    /// A decoder for a body with these values of `Content-Encoding`.
    ///
    /// # Errors
    /// [`EncodingError::Unknown`].
    pub fn new<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, EncodingError> {
        match encoding(headers)? {
            Encoding::Identity => Ok(Self(None)),
            Encoding::Gzip => Ok(Self(Some(write::MultiGzDecoder::new(Vec::new())))),
        }
    }

    /// What the next piece stands for. It may be nothing, or what earlier pieces began.
    ///
    /// # Errors
    /// [`EncodingError::Gzip`].
    pub fn decode(&mut self, piece: Bytes) -> Result<Bytes, EncodingError> {
        let Some(decoder) = &mut self.0 else {
            return Ok(piece);
        };
        decoder
            .write_all(&piece)
            .and_then(|()| decoder.flush())
            .map_err(EncodingError::Gzip)?;
        Ok(std::mem::take(decoder.get_mut()).into())
    }
}

/// An encoding that can be decoded.
enum Encoding {
    Identity,
    Gzip,
}

fn encoding<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> Result<Encoding, EncodingError> {
    let mut encodings = encodings(headers);
    let Some(encoding) = encodings.next() else {
        return Ok(Encoding::Identity);
    };
    if let Some(second) = encodings.next() {
        return Err(EncodingError::Unknown(quoted(&format!(
            "{encoding}, {second}"
        ))));
    }
    if encoding.eq_ignore_ascii_case("gzip") || encoding.eq_ignore_ascii_case("x-gzip") {
        return Ok(Encoding::Gzip);
    }
    Err(EncodingError::Unknown(quoted(&encoding)))
}

/// Encodings in the order in which they were applied; `identity` is none.
fn encodings<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> impl Iterator<Item = String> {
    let names = headers.into_iter().flat_map(|value| {
        let text = String::from_utf8_lossy(value);
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        names
    });
    names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"))
}

fn quoted(text: &str) -> String {
    text.chars().take(QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap().into()
    }

    fn of(encoding: &'static str, body: Bytes, limit: usize) -> Result<Bytes, EncodingError> {
        decoded([encoding.as_bytes()], body, limit)
    }

    #[test]
    fn gzip_is_decoded_up_to_its_bound() {
        let text = [7; 1000];
        for name in ["gzip", "GZIP", "x-gzip", "identity, gzip"] {
            assert_eq!(of(name, gzip(&text), 1000).unwrap(), &text[..], "{name}");
        }
        // A few octets that become many.
        let bomb = gzip(&vec![0; 10_000_000]);
        assert!(bomb.len() < 20_000);
        assert!(matches!(
            of("gzip", bomb, 1000),
            Err(EncodingError::TooLong(1000))
        ));
        let mut cut = gzip(&text).to_vec();
        cut.truncate(cut.len() - 1);
        assert!(matches!(
            of("gzip", cut.into(), 1000),
            Err(EncodingError::Gzip(_))
        ));
        assert!(matches!(
            of("gzip", Bytes::from_static(b"x"), 9),
            Err(EncodingError::Gzip(_))
        ));
    }

    #[test]
    fn a_body_in_pieces_is_decoded_as_it_comes() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(u32::to_be_bytes).collect();
        let mut decoder = PieceDecoder::new([&b"gzip"[..]]).unwrap();
        let mut plain = Vec::new();
        let encoded = gzip(&text);
        for piece in encoded.chunks(PieceDecoder::MAX_PIECE) {
            let decoded = decoder.decode(Bytes::copy_from_slice(piece)).unwrap();
            plain.extend_from_slice(&decoded);
        }
        assert!(plain == text);
        let mut identity = PieceDecoder::new([]).unwrap();
        assert_eq!(identity.decode(Bytes::from_static(b"x")).unwrap(), "x");
        // A few octets that become many, a piece at a time.
        let bomb = gzip(&vec![0; 10_000_000]);
        let mut decoder = PieceDecoder::new([&b"gzip"[..]]).unwrap();
        for piece in bomb.chunks(PieceDecoder::MAX_PIECE) {
            let decoded = decoder.decode(Bytes::copy_from_slice(piece)).unwrap();
            assert!(decoded.len() < 1 << 21, "{}", decoded.len());
        }
        let mut decoder = PieceDecoder::new([&b"gzip"[..]]).unwrap();
        assert!(matches!(
            decoder.decode(Bytes::from_static(b"not gzip at all")),
            Err(EncodingError::Gzip(_))
        ));
        assert!(matches!(
            PieceDecoder::new([&b"br"[..]]),
            Err(EncodingError::Unknown(_))
        ));
    }

    #[test]
    fn what_is_not_decoded_is_named_and_what_is_not_encoded_stays() {
        let body = Bytes::from_static(b"x");
        assert_eq!(decoded([], body.clone(), 0).unwrap(), body);
        assert_eq!(of("identity", body.clone(), 0).unwrap(), body);
        for (name, shown) in [("br", "\"br\""), ("gzip, gzip", "\"gzip, gzip\"")] {
            let error = of(name, body.clone(), 9).unwrap_err().to_string();
            assert!(error.contains(shown), "{error}");
        }
    }
}
