//! The landmarks document.

use mtc_core::landmark::{LandmarkError, LandmarkSequence, MAX_LANDMARKS};
use mtc_core::time::UnixTime;

use test_support::respelt;

#[test]
fn landmark_documents_have_one_spelling() {
    let now = UnixTime(1_000_000);
    let lines = [
        vec!["3"],
        vec!["1131", "1000200"],
        vec!["1100", "1000200"],
        vec!["7", "999999"],
    ];
    let document = |lines: &[Vec<&str>]| -> String {
        lines
            .iter()
            .map(|numbers| numbers.join(" ") + "\n")
            .collect()
    };
    let good = document(&lines);
    assert!(LandmarkSequence::parse(&good, now).is_ok());
    for (line, numbers) in lines.iter().enumerate() {
        for position in 0..numbers.len() {
            for other in respelt::decimal(numbers[position]) {
                let mut respelt = lines.clone();
                respelt[line][position] = &other;
                assert_eq!(
                    LandmarkSequence::parse(&document(&respelt), now),
                    Err(LandmarkError::Malformed(line + 1)),
                    "{other:?}"
                );
            }
        }
    }
    for (what, other) in [
        ("no newline at the end", good.trim_end().to_owned()),
        ("empty line at the end", format!("{good}\n")),
        ("empty line at the start", format!("\n{good}")),
        ("empty line after the first", good.replacen('\n', "\n\n", 1)),
        ("carriage returns", good.replace('\n', "\r\n")),
        ("a byte order mark", format!("\u{feff}{good}")),
        ("two spaces", good.replacen(' ', "  ", 1)),
        ("a tab", good.replacen(' ', "\t", 1)),
        ("a comment", format!("# landmarks\n{good}")),
        ("a third number", good.replacen("1000200", "1000200 1", 1)),
        ("a number alone", good.replacen(" 1000200", "", 1)),
        ("two numbers first", format!("3 {good}")),
        ("nothing", String::new()),
        ("a newline", "\n".to_owned()),
    ] {
        assert!(
            matches!(
                LandmarkSequence::parse(&other, now),
                Err(LandmarkError::Malformed(_))
            ),
            "{what}"
        );
    }
}

#[test]
fn landmark_documents_are_ordered_and_bounded() {
    let now = UnixTime(100);
    for (what, document, error) in [
        (
            "equal sizes",
            "3\n9 200\n9 200\n1 50\n",
            LandmarkError::SizeOrder(3),
        ),
        (
            "increasing sizes",
            "3\n9 200\n10 200\n1 50\n",
            LandmarkError::SizeOrder(3),
        ),
        (
            "increasing expiries",
            "3\n9 200\n8 201\n1 50\n",
            LandmarkError::ExpiryOrder(3),
        ),
        (
            "a size of 0 that is not landmark 0's",
            "3\n9 200\n0 50\n",
            LandmarkError::Zero(3),
        ),
        (
            "landmark 0 with entries",
            "1\n9 200\n1 50\n",
            LandmarkError::Zero(3),
        ),
        (
            "more lines than landmarks",
            "1\n9 200\n0 0\n0 0\n",
            LandmarkError::TooMany,
        ),
        (
            "none expired",
            "3\n9 200\n8 101\n",
            LandmarkError::NoExpired,
        ),
    ] {
        assert_eq!(LandmarkSequence::parse(document, now), Err(error), "{what}");
    }
    // A landmark that expires now has expired; landmark 0 ends a list whatever its expiry.
    assert!(LandmarkSequence::parse("3\n9 200\n8 100\n", now).is_ok());
    assert!(LandmarkSequence::parse("1\n9 200\n0 200\n", now).is_ok());
    let of = |lines: usize| -> String {
        let lines = (1..=lines).rev().map(|size| format!("{size} {size}\n"));
        format!("9999999\n{}", lines.collect::<String>())
    };
    assert!(LandmarkSequence::parse(&of(MAX_LANDMARKS + 1), now).is_ok());
    assert_eq!(
        LandmarkSequence::parse(&of(MAX_LANDMARKS + 2), now),
        Err(LandmarkError::TooMany)
    );
}
