//! `docs/results.schema.json` is what is written: a small validator of the part of JSON Schema that the schema uses.
//!
//! A keyword that is not known here is a fault of the schema, so nothing in it goes unchecked.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::report::{Report, json};
use crate::results::observed::tests::observation;
use crate::results::sample::{environment, full, quick};
use crate::results::{ClockStep, Results, SilentProcess};

const TEXT: &str = include_str!("../../../../docs/results.schema.json");
static SCHEMA: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(TEXT).expect("the schema is JSON"));
/// Says nothing about what is valid.
const ANNOTATIONS: [&str; 7] = [
    "$schema",
    "$id",
    "$defs",
    "title",
    "description",
    "format",
    "contentEncoding",
];

/// What is wrong with a document, a line each with its place.
fn faults(document: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(&SCHEMA, document, "", &mut faults);
    faults
}

fn check(schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let schema = schema.as_object().expect("a schema is an object");
    let mut fault = |text: String| faults.push(format!("{at}: {text}"));
    for (keyword, wanted) in schema {
        match keyword.as_str() {
            "type" if !is_of_type(value, wanted) => fault(format!("is not of type {wanted}")),
            "const" if value != wanted => fault(format!("is not {wanted}")),
            "enum" if !list(wanted).contains(value) => fault(format!("{value} is not in {wanted}")),
            "minimum" if value.as_f64() < wanted.as_f64() && value.is_number() => {
                fault(format!("is below {wanted}"));
            }
            "maximum" if value.as_f64() > wanted.as_f64() && value.is_number() => {
                fault(format!("is above {wanted}"));
            }
            "required" => {
                let names = list(wanted).iter().filter_map(Value::as_str);
                names
                    .filter(|name| value.is_object() && value.get(name).is_none())
                    .for_each(|name| fault(format!("lacks {name}")));
            }
            "anyOf" => {
                let fits = |schema: &Value| {
                    let mut faults = Vec::new();
                    check(schema, value, at, &mut faults);
                    faults.is_empty()
                };
                if !list(wanted).iter().any(fits) {
                    fault("fits none of anyOf".to_owned());
                }
            }
            "type" | "const" | "enum" | "minimum" | "maximum" => {}
            "$ref" | "properties" | "additionalProperties" | "items" => {}
            known if ANNOTATIONS.contains(&known) => {}
            unknown => panic!("{at}: the schema uses {unknown}, which this test does not know"),
        }
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let definition = SCHEMA.pointer(reference.trim_start_matches('#'));
        let definition = definition.unwrap_or_else(|| panic!("{reference} is not defined"));
        check(definition, value, at, faults);
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        for (index, value) in values.iter().enumerate() {
            check(items, value, &format!("{at}/{index}"), faults);
        }
    }
    if let Some(object) = value.as_object() {
        check_properties(schema, object, at, faults);
    }
}

fn check_properties(
    schema: &Map<String, Value>,
    object: &Map<String, Value>,
    at: &str,
    faults: &mut Vec<String>,
) {
    for (name, value) in object {
        let at = format!("{at}/{name}");
        let property = schema
            .get("properties")
            .and_then(|properties| properties.get(name));
        match property.or_else(|| schema.get("additionalProperties")) {
            Some(Value::Bool(false)) => faults.push(format!("{at}: is not in the schema")),
            Some(of @ Value::Object(_)) => check(of, value, &at, faults),
            _ => {}
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).expect("a list")
}

fn is_of_type(value: &Value, wanted: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("number") => value.is_number(),
        other => panic!("{other:?} is no type"),
    };
    match wanted {
        Value::Array(names) => names.iter().any(is),
        name => is(name),
    }
}

fn document(results: &Results) -> Value {
    serde_json::from_str(&json(&Report::of(results))).expect("results are JSON")
}

#[test]
fn results_are_what_the_schema_says() {
    assert_eq!(faults(&document(&quick())), Vec::<String>::new());
    let mut full = full();
    // With a step of the clock the sample would show nothing else.
    full.run.clock_steps = vec![ClockStep {
        at_s: 12.0,
        by_s: -3600.0,
    }];
    assert_eq!(faults(&document(&full)), Vec::<String>::new());
    let mut gaps = observation();
    gaps.observed.silent = vec![SilentProcess {
        nf: "scp".to_owned(),
        address: "127.0.0.1:9".to_owned(),
        reason: "connection refused".to_owned(),
    }];
    let observed = Results::observed(environment(), gaps);
    assert_eq!(faults(&document(&observed)), Vec::<String>::new());
}

#[test]
fn the_full_sample_leaves_out_nothing() {
    // A field that no sample has would not be compared with the schema.
    let document = document(&full());
    let mut nulls = Vec::new();
    nulls_of(&document, "", &mut nulls);
    nulls.retain(|path| !path.starts_with("/variants/") || path.starts_with("/variants/4/"));
    // What only X.509 has, what only an event of another kind has, and what cannot have a value.
    assert_eq!(
        nulls,
        [
            "/thresholds/1/left",
            "/variants/4/arrivals/invalid",
            "/variants/4/ca_signature",
            "/variants/4/chain",
            "/variants/4/handshake/round_trips/observed",
            "/variants/4/tickets",
        ]
    );
}

fn nulls_of(value: &Value, at: &str, nulls: &mut Vec<String>) {
    match value {
        Value::Null => nulls.push(at.to_owned()),
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                nulls_of(value, &format!("{at}/{index}"), nulls);
            }
        }
        Value::Object(values) => {
            for (name, value) in values {
                nulls_of(value, &format!("{at}/{name}"), nulls);
            }
        }
        _ => {}
    }
}

#[test]
fn every_object_of_the_schema_is_closed_and_wants_what_it_names() {
    fn walk(schema: &Value, at: &str) {
        if schema.get("type").and_then(Value::as_str) == Some("object") {
            assert!(schema.get("additionalProperties").is_some(), "{at} is open");
        }
        let children = match schema {
            Value::Array(values) => values.iter().map(|of| (String::new(), of)).collect(),
            Value::Object(values) => values.iter().map(|(name, of)| (name.clone(), of)).collect(),
            _ => Vec::new(),
        };
        for (name, child) in children {
            walk(child, &format!("{at}/{name}"));
        }
    }
    walk(&SCHEMA, "");
}

#[test]
fn what_is_missing_more_or_of_another_type_is_found() {
    let good = document(&quick());
    let changed = |change: fn(&mut Value)| {
        let mut document = good.clone();
        change(&mut document);
        faults(&document)
    };
    assert_eq!(
        changed(|of| of["variants"][0]["slices"][3]["more"] = 1.into()),
        ["/variants/0/slices/3/more: is not in the schema"]
    );
    assert_eq!(
        changed(|of| {
            of["environment"]
                .as_object_mut()
                .expect("an object")
                .remove("governor");
        }),
        ["/environment: lacks governor"]
    );
    assert_eq!(
        changed(|of| of["run"]["seed"] = "5".into()),
        ["/run/seed: is not of type \"integer\""]
    );
    assert_eq!(
        changed(|of| of["variants"][1]["auth"] = "x510".into()).len(),
        1
    );
    assert_eq!(
        changed(|of| of["environment"]["libraries"] = Value::Object(Map::new())).len(),
        2,
        "the versions of rustls and aws-lc-rs are always there"
    );
}
