use mtc_tls::provider::KeyExchange;

use super::*;
use crate::report::{Report, html, summary, table};
use crate::results::sample::quick;
use crate::results::{JoinedLab, TcpResult};

fn texts(results: &Results, tone: Tone) -> Vec<String> {
    findings(results)
        .into_iter()
        .filter(|finding| finding.tone == tone)
        .map(|finding| finding.text)
        .collect()
}

#[test]
fn a_standalone_certificate_s_loss_is_stated() {
    let losses = texts(&quick(), Tone::Loss);
    assert_eq!(
        losses,
        [
            "mtc-standalone sends 23,940 bytes per handshake with X25519MLKEM768, 16 % more than x509-mldsa65-direct (20,620). \
          Certificate messages are 14,244 bytes of it, 10,880 in x509-mldsa65-direct."
        ]
    );
}

#[test]
fn gains_name_every_rival_with_equal_keys_and_no_other() {
    let gains = texts(&quick(), Tone::Gain);
    let expected = "mtc-landmark sends 14,860 bytes per handshake with X25519MLKEM768, 53 % fewer than x509-mldsa65 (31,600) and \
                    28 % fewer than x509-mldsa65-direct (20,620). Certificate messages are 5,164 bytes of it, 21,860 in \
                    x509-mldsa65, 10,880 in x509-mldsa65-direct.";
    assert!(gains.contains(&expected.to_owned()), "{gains:#?}");
    assert!(
        gains.iter().all(|text| !text.contains("x509-ed25519")),
        "{gains:#?}"
    );
    // Bytes of no known message explain nothing.
    let mut results = quick();
    results.variants[1]
        .handshake
        .client
        .bytes_by_message
        .clear();
    let gains = texts(&results, Tone::Gain);
    assert!(
        gains.iter().any(|text| text.ends_with("(20,620).")),
        "{gains:#?}"
    );
}

#[test]
fn what_the_spread_explains_is_no_difference() {
    let mut results = quick();
    let rival = results.variants[2].clone();
    let landmark = &mut results.variants[4];
    landmark.cpu_us_client = rival.cpu_us_client.map(|us| us * 1.1);
    landmark.cpu_us_server = rival.cpu_us_server;
    // In every other slice half as much again, in the others half less.
    for (index, (mine, theirs)) in landmark.slices.iter_mut().zip(&rival.slices).enumerate() {
        let times = if index % 2 == 0 { 3 } else { 1 };
        mine.client.cpu_ns = theirs.client.cpu_ns * times / 2;
        mine.server.cpu_ns = theirs.server.cpu_ns * times / 2;
    }
    let even = texts(&results, Tone::Even);
    let expected = "mtc-landmark uses 704 µs of CPU per handshake with X25519MLKEM768, as x509-mldsa65-direct (670): within the spread of this \
                    run there is no difference.";
    assert!(even.contains(&expected.to_owned()), "{even:#?}");
}

#[test]
fn without_an_interval_nothing_is_said_to_differ() {
    let mut results = quick();
    results
        .variants
        .iter_mut()
        .for_each(|variant| variant.slices.clear());
    assert_eq!(texts(&results, Tone::Gain), Vec::<String>::new());
    assert_eq!(texts(&results, Tone::Loss), Vec::<String>::new());
}

#[test]
fn verification_of_both_sides_stands_beside_the_whole_handshake() {
    let gains = texts(&quick(), Tone::Gain);
    let expected = "Verifying both sides' certificates takes 6.00 of 594 µs in mtc-landmark and 76.0 of 670 µs in \
                    x509-mldsa65-direct, of CPU time per handshake with X25519MLKEM768.";
    assert!(gains.contains(&expected.to_owned()), "{gains:#?}");
}

#[test]
fn what_loopback_hides_is_named() {
    let caveats = caveats(&quick());
    assert!(
        caveats[0].ends_with("these servers' flights would: x509-mldsa65 (15,800)."),
        "{caveats:#?}"
    );
    assert!(
        caveats[1].starts_with("With 540 operations per variant, p99.9"),
        "{caveats:#?}"
    );
    assert!(
        caveats[3].starts_with("The CA and the witness cosign with ML-DSA-44"),
        "{caveats:#?}"
    );
}

#[test]
fn the_stand_in_for_trust_anchors_is_named_where_it_is_used() {
    let named = |results: &Results| {
        let caveats = caveats(results);
        caveats
            .iter()
            .any(|caveat| caveat.contains("a stand-in for the trust_anchors extension"))
    };
    let mut results = quick();
    assert!(named(&results));
    let figures = "wants. Bytes of a handshake for that, those of trust_anchors in its place, and with the list that a server may send: \
                   mtc-standalone 60, 30 (49); mtc-landmark 66, 36 (55).";
    let has_figures = |results: &Results| {
        let mut caveats = caveats(results).into_iter();
        caveats.any(|caveat| caveat.ends_with(figures))
    };
    assert!(has_figures(&results), "{:#?}", caveats(&results));
    // Results of older versions have not counted them.
    let mut older = results.clone();
    for variant in &mut older.variants {
        variant.handshake.client.trust_anchors = None;
        variant.handshake.server.trust_anchors = None;
    }
    assert!(named(&older) && !has_figures(&older));
    let is_x509 = |variant: &VariantResult| variant.auth == CertificateKind::DirectlySigned;
    results.variants.retain(is_x509);
    assert!(!named(&results));
}

#[test]
fn a_small_log_is_named_as_long_as_a_variant_has_paths_into_it() {
    let said = |results: &Results| {
        let caveats = caveats(results).into_iter();
        let mut of_log = caveats.filter(|caveat| caveat.contains("hashes of 32 bytes"));
        of_log.next()
    };
    let mut results = quick();
    assert_eq!(
        said(&results).unwrap_or_default(),
        "The log began with 1,000 entries, which is small: a certificate's path has up to 10 hashes of 32 bytes there, and 20 where a \
         million entries lie between two landmarks."
    );
    for text in [table, summary, html].map(|write| write(&Report::of(&results))) {
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            words.contains("The log began with 1,000 entries, which"),
            "{text}"
        );
    }
    let scenario = results.scenario.clone();
    results.scenario = scenario.replace("preload = 1000", "preload = 100_000");
    assert_eq!(said(&results), None);
    // It said that there were 0 entries and up to 0 hashes.
    results.scenario = scenario.replace("preload = 1000\n", "");
    assert_eq!(
        said(&results).unwrap_or_default(),
        "The log began with no entries but those of the network functions themselves, which is small: a certificate's path has a few \
         hashes of 32 bytes there, and 20 where a million entries lie between two landmarks."
    );
    // What a lab that was up before has in its log, it says or nobody knows.
    results.run.joined = true;
    assert_eq!(said(&results), None);
    results.run.lab = Some(JoinedLab {
        log_entries: Some(5),
        ..JoinedLab::default()
    });
    let of_lab = said(&results).unwrap_or_default();
    assert!(
        of_lab.starts_with(
            "The lab's log had 5 entries, which is small: a certificate's path has up to 3 hashes"
        ),
        "{of_lab}"
    );
    results.run.joined = false;
    results.scenario = scenario;
    results.variants.truncate(3);
    assert_eq!(said(&results), None);
}

#[test]
fn round_trips_that_connections_had_without_a_link_of_the_run_are_named() {
    let mut results = quick();
    results.variants[1].handshake.client.tcp = Some(TcpResult {
        min_rtt_ms: 20.1,
        ..TcpResult::default()
    });
    let caveats = caveats(&results);
    assert!(
        caveats[0].starts_with("Connections had round trips of 20.1 ms")
            && caveats[0].ends_with("these servers' flights do: x509-mldsa65 (15,800)."),
        "{caveats:#?}"
    );
}

#[test]
fn a_deployed_lab_is_not_taken_for_this_machine() {
    let mut results = quick();
    let of_loopback = caveats(&results);
    assert!(of_loopback[0].starts_with("Loopback cannot"));
    assert!(
        of_loopback
            .iter()
            .any(|caveat| caveat.contains("share this machine's processors"))
    );
    results.environment = results.environment.as_deployed();
    let of_deployed = caveats(&results);
    for hidden in ["Loopback", "this machine"] {
        assert!(
            of_deployed.iter().all(|caveat| !caveat.contains(hidden)),
            "{of_deployed:#?}"
        );
    }
}

#[test]
fn the_headline_relates_to_the_first_variant() {
    assert_eq!(
        headline(&quick()),
        "x509-ed25519 costs 4,360 bytes and 460 µs of CPU per handshake with X25519MLKEM768, both sides together. Of the others \
         mtc-landmark sends the fewest bytes, 14,860 (3.41 times as many), and it also uses the least CPU time, 594 µs \
         (1.29 times as much)."
    );
}

/// Today's key exchange, and the same variant with the hybrid one as a step of its own.
fn with_steps() -> Results {
    let mut results = quick();
    let mut today = results.variants[0].clone();
    today.name = "x509-today".to_owned();
    today.key_exchange = KeyExchange::X25519;
    today.bytes_client = today.bytes_client.map(|bytes| bytes - 1000.0);
    for slice in &mut today.slices {
        slice.client.cpu_ns = slice.client.cpu_ns * 9 / 10;
    }
    today.cpu_us_client = today.cpu_us_client.map(|us| us * 0.9);
    results.variants.insert(0, today);
    results
}

#[test]
fn each_step_of_a_migration_has_its_price() {
    let notes = texts(&with_steps(), Tone::Even);
    assert_eq!(
        notes,
        [
            "x509-ed25519 differs from x509-today in its key exchange alone: a handshake with X25519MLKEM768 instead of X25519 sends \
             4,360 bytes, 30 % more than 3,360, and takes 460 µs of CPU, 5 % more than 437.",
            "mtc-landmark, the smallest of 4 with ml-dsa-65 keys, sends 14,860 bytes per handshake with X25519MLKEM768, 4.42 times those \
             of x509-today with X25519 and 3.41 times those of x509-ed25519: 6,634 are CertificateVerify, 5,164 Certificate, 2,892 the \
             hellos and 170 the rest."
        ]
    );
    let mut results = with_steps();
    results.variants[1].slices = results.variants[0].slices.clone();
    let notes = texts(&results, Tone::Even);
    assert!(
        notes[0].ends_with(
            "; in CPU time, 460 and 437 µs, there is no difference within the spread of this run."
        ),
        "{notes:#?}"
    );
}

#[test]
fn a_headline_is_of_post_quantum_keys_and_names_each_key_exchange() {
    assert_eq!(
        headline(&with_steps()),
        "x509-today costs 3,360 bytes and 437 µs of CPU per handshake with X25519, both sides together. Of the others with post-quantum \
         keys mtc-landmark sends the fewest bytes, 14,860 with X25519MLKEM768 (4.42 times as many), and it also uses the least CPU \
         time, 594 µs (1.36 times as much)."
    );
    let mut results = with_steps();
    results.variants.truncate(3);
    let text = headline(&results);
    assert!(
        text.contains("Of the others one has post-quantum keys: x509-mldsa65 sends 31,600 bytes with X25519MLKEM768 ("),
        "{text}"
    );
}

// "The smallest with ml-dsa-65 keys" of one, where keys and signatures were a third of what it sent.
#[test]
fn the_price_of_keys_is_said_by_message_and_the_only_one_is_not_the_smallest() {
    let mut results = quick();
    results.variants.truncate(2);
    let notes = texts(&results, Tone::Even);
    assert_eq!(
        notes,
        [
            "x509-mldsa65, with ml-dsa-65 keys, sends 31,600 bytes per handshake with X25519MLKEM768, 7.25 times those of x509-ed25519 \
             with X25519MLKEM768: 21,860 are Certificate, 6,634 CertificateVerify, 2,892 the hellos and 214 the rest."
        ]
    );
}

fn unmeasured(variant: &mut VariantResult) {
    variant.bytes_client = None;
    variant.cpu_us_client = None;
}

// "costs – bytes and – µs", and "the least CPU time" of the only one that there was.
#[test]
fn nothing_is_said_without_its_numbers_and_no_superlative_among_one() {
    let mut results = quick();
    results.variants.iter_mut().for_each(unmeasured);
    assert!(
        headline(&results).starts_with("No handshake of x509-"),
        "{}",
        headline(&results)
    );
    assert!(
        findings(&results)
            .iter()
            .all(|finding| !finding.text.contains('–'))
    );

    let mut results = quick();
    results.variants.truncate(2);
    let text = headline(&results);
    assert!(
        !text.contains("least") && !text.contains("fewest"),
        "{text}"
    );
    assert!(
        text.contains(". x509-") && text.contains("times as much)."),
        "{text}"
    );
    unmeasured(&mut results.variants[1]);
    let text = headline(&results);
    assert!(
        text.ends_with("was measured on both sides.") && !text.contains('–'),
        "{text}"
    );

    let mut results = quick();
    results.variants[2..].iter_mut().for_each(unmeasured);
    let text = headline(&results);
    assert!(
        text.contains("Of the others one was measured: x509-"),
        "{text}"
    );
    assert!(
        !text.contains("least") && !text.contains("fewest"),
        "{text}"
    );
    results.variants[1..].iter_mut().for_each(unmeasured);
    let text = headline(&results);
    assert!(
        text.ends_with("No handshake of the others was measured on both sides."),
        "{text}"
    );
}

// "p99 rests on 0".
#[test]
fn too_few_operations_say_how_many_would_be_needed() {
    let with = |ok| {
        let mut results = quick();
        results
            .variants
            .iter_mut()
            .for_each(|variant| variant.ok = ok);
        caveats(&results).join("\n")
    };
    let few = with(7);
    assert!(
        few.contains("With 7 operations of a variant, p99 and p99.9")
            && few.contains("100 operations"),
        "{few}"
    );
    let some = with(540);
    assert!(
        some.contains("p99 rests on 5;") && some.contains("1000 operations"),
        "{some}"
    );
    assert!(!with(1000).contains("p99"), "{}", with(1000));
}
