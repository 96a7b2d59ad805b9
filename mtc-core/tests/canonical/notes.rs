//! Checkpoints and the signed notes around them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mtc_core::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use mtc_core::id::TreeSize;
use mtc_core::note::{NoteError, NoteSignature, SignedNote};

use test_support::respelt;

use crate::one_entry;

#[test]
fn checkpoints_have_one_text() {
    let checkpoint = Checkpoint {
        origin: "origin".to_owned(),
        size: TreeSize(130),
        root: [0xfb; 32],
    };
    let good = checkpoint.to_text();
    let lines: Vec<&str> = good.lines().collect();
    assert_eq!(Checkpoint::parse(&good), Ok(checkpoint));
    let malformed = |what: &str, text: &str| {
        let read = Checkpoint::parse(text);
        assert!(
            matches!(read, Err(CheckpointError::Text(_))),
            "{what}: {read:?}"
        );
    };
    for size in respelt::decimal(lines[1]) {
        malformed(&size, &format!("{}\n{size}\n{}\n", lines[0], lines[2]));
    }
    for root in respelt::base64(lines[2]) {
        malformed(&root, &format!("{}\n{}\n{root}\n", lines[0], lines[1]));
    }
    for (what, text) in [
        (
            "31 bytes",
            good.replace(lines[2], &STANDARD.encode([7; 31])),
        ),
        (
            "33 bytes",
            good.replace(lines[2], &STANDARD.encode([7; 33])),
        ),
        ("no newline at the end", good.trim_end().to_owned()),
        ("empty line at the end", format!("{good}\n")),
        ("empty origin", good.replacen("origin", "", 1)),
        ("two lines", lines[..2].join("\n") + "\n"),
        ("an extension line", format!("{good}extension\n")),
        ("nothing", String::new()),
    ] {
        malformed(what, &text);
    }
}

/// That a checkpoint with a damaged origin line is another log's is for [`SignedCheckpoint`] to say.
#[test]
fn a_checkpoint_note_is_of_one_origin() {
    let mtca = one_entry();
    let line = NoteSignature {
        name: "a".to_owned(),
        key_id: [1; 4],
        signature: vec![2],
    };
    let note = |origin: &str| {
        let checkpoint = Checkpoint {
            origin: origin.to_owned(),
            size: TreeSize(1),
            root: [7; 32],
        };
        SignedNote {
            text: checkpoint.to_text(),
            signatures: vec![line.clone()],
        }
        .encode()
    };
    let origin = mtca.log.origin();
    assert!(SignedCheckpoint::parse(note(&origin).as_bytes(), &mtca.log).is_ok());
    for other in [
        format!("{origin} "),
        format!("{origin}.0"),
        origin.to_uppercase(),
        format!(" {origin}"),
    ] {
        assert_eq!(
            SignedCheckpoint::parse(note(&other).as_bytes(), &mtca.log),
            Err(CheckpointError::Origin {
                expected: origin.clone(),
                found: other
            })
        );
    }
}

#[test]
fn signed_notes_have_one_spelling() {
    let signature = |name: &str, byte| NoteSignature {
        name: name.to_owned(),
        key_id: [1, 2, 3, 4],
        signature: vec![byte; 4],
    };
    let note = SignedNote {
        text: "text\n".to_owned(),
        signatures: vec![signature("one", 0xfb), signature("two", 0xef)],
    };
    let good = note.encode();
    assert_eq!(SignedNote::parse(good.as_bytes()), Ok(note));
    let second = good.lines().last().expect("a line").to_owned();
    let encoded = second.rsplit(' ').next().expect("base64");
    let lines: Vec<String> = [
        second.replace('\u{2014}', "-"),
        second.replace('\u{2014}', "\u{2013}"),
        second.replace('\u{2014}', "--"),
        second.replace("\u{2014} ", "\u{2014}"),
        second.replace("\u{2014} ", "\u{2014}  "),
        second.replace("\u{2014} ", " \u{2014} "),
        second.replace("\u{2014} ", ""),
        second.replace("two ", "two  "),
        second.replace("two ", "two"),
        second.replace("two", ""),
        second.replace("two", "t wo"),
        second.replace("two", "t+wo"),
        second.replace("two", "two\u{a0}"),
        second.replace("two", "\u{3000}two"),
        format!("{second} "),
        format!("{second} {encoded}"),
        format!("{second}\u{a0}"),
        second.replace(encoded, "AQIDBA=="),
        second.replace(encoded, "AQID"),
        String::new(),
    ]
    .into_iter()
    .chain(
        respelt::base64(encoded)
            .into_iter()
            .map(|other| second.replace(encoded, &other)),
    )
    .collect();
    for line in lines {
        let read = SignedNote::parse(good.replace(&second, &line).as_bytes());
        let refused = matches!(read, Err(NoteError::Signature(2) | NoteError::NotText))
            // A trailing blank line begins a signature block without a line.
            || (line.is_empty() && read == Err(NoteError::NoSignatureBlock));
        assert!(refused, "{line:?}: {read:?}");
    }
    for (what, text) in [
        ("no newline at the end", good.trim_end().to_owned()),
        ("no blank line", good.replace("\n\n", "\n")),
        (
            "a blank line between signatures",
            good.replace(&second, &format!("\n{second}")),
        ),
        ("carriage returns", good.replace('\n', "\r\n")),
        (
            "a carriage return at the end of the text",
            good.replacen('\n', "\r\n", 1),
        ),
        ("a NUL", good.replacen("text", "te\0xt", 1)),
        ("a delete", good.replacen("text", "te\u{7f}xt", 1)),
        ("a C1 control", good.replacen("text", "te\u{85}xt", 1)),
        ("text behind the signatures", format!("{good}text\n")),
        ("no signatures", "text\n\n".to_owned()),
        ("nothing", String::new()),
    ] {
        let read = SignedNote::parse(text.as_bytes());
        // The text of a note may hold blank lines; its signatures then are those after the last.
        let ok = read.is_err()
            || read.is_ok_and(|read| read.encode() == text && read.signatures.len() == 1);
        assert!(ok, "{what}");
    }
    assert_eq!(
        SignedNote::parse(&[good.as_bytes(), &[0xff]].concat()),
        Err(NoteError::NotText)
    );
}
