//! Other spellings of the same value: of DER elements, of decimal numbers, of base64. None is canonical.

/// A DER element and, if it is constructed, those in it.
struct Element {
    tag: u8,
    contents: Contents,
}

enum Contents {
    Primitive(Vec<u8>),
    Constructed(Vec<Element>),
}

/// How an element can be written otherwise (X.690 clauses 8.1.2.4 and 8.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A length of so many octets after the first, padded with zeros.
    LongLength(usize),
    /// A constructed element without a length, ended by two zero octets.
    Indefinite,
    /// A tag number below 31 in the form for larger ones.
    HighTag,
}

const FORMS: [Form; 8] = [
    Form::LongLength(1),
    Form::LongLength(2),
    Form::LongLength(3),
    Form::LongLength(4),
    Form::LongLength(5),
    Form::LongLength(8),
    Form::Indefinite,
    Form::HighTag,
];

/// Everything that differs from `der`, well-formed throughout, in the form of one element at any depth: how many
/// elements it lies deep, the form, and the bytes.
pub fn der(der: &[u8]) -> Vec<(usize, Form, Vec<u8>)> {
    let elements = parse(der).expect("DER");
    let mut all = Vec::new();
    let mut found = Vec::new();
    depths(&elements, 0, &mut found);
    for (target, depth) in found.into_iter().enumerate() {
        for form in FORMS {
            let mut position = 0;
            let encoded = encode(&elements, &mut position, Some((target, form)));
            if encoded != der {
                all.push((depth, form, encoded));
            }
        }
    }
    all
}

fn depths(elements: &[Element], depth: usize, out: &mut Vec<usize>) {
    for element in elements {
        out.push(depth);
        if let Contents::Constructed(inner) = &element.contents {
            depths(inner, depth + 1, out);
        }
    }
}

fn parse(mut bytes: &[u8]) -> Option<Vec<Element>> {
    let mut elements = Vec::new();
    while let [tag, first, rest @ ..] = bytes {
        let count = usize::from(first & 0x7f);
        let (length, rest) = if *first < 0x80 {
            (count, rest)
        } else {
            let (octets, rest) = rest.split_at_checked(count)?;
            let length = octets
                .iter()
                .fold(0, |length, octet| (length << 8) | usize::from(*octet));
            (length, rest)
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        elements.push(Element {
            tag: *tag,
            contents: if tag & 0x20 == 0 {
                Contents::Primitive(contents.to_vec())
            } else {
                Contents::Constructed(parse(contents)?)
            },
        });
        bytes = rest;
    }
    bytes.is_empty().then_some(elements)
}

fn encode(elements: &[Element], position: &mut usize, other: Option<(usize, Form)>) -> Vec<u8> {
    let mut out = Vec::new();
    for Element { tag, contents } in elements {
        let form = other
            .filter(|(target, _)| target == position)
            .map(|(_, form)| form);
        *position += 1;
        let (contents, constructed) = match contents {
            Contents::Primitive(contents) => (contents.clone(), false),
            Contents::Constructed(inner) => (encode(inner, position, other), true),
        };
        if form == Some(Form::HighTag) {
            out.extend([tag | 0x1f, tag & 0x1f]);
        } else {
            out.push(*tag);
        }
        let octets = contents.len().to_be_bytes();
        let significant = octets.len() - octets.iter().take_while(|octet| **octet == 0).count();
        match form {
            Some(Form::Indefinite) if constructed => {
                out.push(0x80);
                out.extend(contents);
                out.extend([0, 0]);
                continue;
            }
            Some(Form::LongLength(count)) if count >= significant => {
                out.push(0x80 | count as u8);
                out.extend(&octets[octets.len() - count..]);
            }
            _ if contents.len() < 0x80 => out.push(contents.len() as u8),
            _ => {
                out.push(0x80 | significant as u8);
                out.extend(&octets[octets.len() - significant..]);
            }
        }
        out.extend(contents);
    }
    out
}

/// What a lenient reader might take for this number, and what is none.
pub fn decimal(number: &str) -> Vec<String> {
    let mut all = vec![
        String::new(),
        "18446744073709551616".to_owned(),
        "1e3".to_owned(),
        "\u{ff11}".to_owned(),
        format!("{number}.0"),
        format!("0x{number}"),
        format!("{number}_0"),
        format!("\"{number}\""),
    ];
    for before in ["0", "00", "+", "-", " ", "\t", "\u{a0}", "\u{feff}", "\r"] {
        all.push(format!("{before}{number}"));
    }
    for after in [" ", "\t", "\r", "\0", "u", ","] {
        all.push(format!("{number}{after}"));
    }
    all
}

/// Other spellings of padded base64, of the same bytes or nearly.
pub fn base64(encoded: &str) -> Vec<String> {
    let bare = encoded.trim_end_matches('=');
    let mut all = vec![
        String::new(),
        format!("{encoded}="),
        format!("{encoded}\r"),
        format!(" {encoded}"),
        format!("{encoded} "),
        format!("{} {}", &encoded[..4], &encoded[4..]),
        format!("{}*{}", &encoded[..4], &encoded[5..]),
        format!("{}-{}", &encoded[..4], &encoded[5..]),
        format!("{}_{}", &encoded[..4], &encoded[5..]),
        format!("={encoded}"),
    ];
    if bare != encoded {
        all.push(bare.to_owned());
        // The last character carries bits that stand for nothing: they must be zero.
        let (start, last) = bare.split_at(bare.len() - 1);
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let place = alphabet.find(last).expect("base64");
        all.push(format!(
            "{start}{}{}",
            &alphabet[place + 1..place + 2],
            &encoded[bare.len()..]
        ));
    }
    all
}
