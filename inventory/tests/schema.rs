//! `docs/audit.schema.json` is the schema of what is printed.

#[test]
fn the_published_schema_is_that_of_the_document() {
    let published = include_str!("../../docs/audit.schema.json");
    assert_eq!(
        published,
        inventory::schema(),
        "write it: mtc5g audit --schema >docs/audit.schema.json"
    );
}
