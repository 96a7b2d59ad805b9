//! `mtc5g configuration`: the reference of all configuration files, from the types that read them. `docs/configuration.md` is
//! its output.

use std::fmt::Write as _;
use std::process::ExitCode;

use mtc_distributor::config::DistributorConfig;
use mtc_mirror::config::MirrorConfig;
use nf_amf::config::AmfConfig;
use nf_nrf::config::NrfConfig;
use nf_peers::config::PeersConfig;
use nf_scp::config::{RoutingConfig, WitnessConfig, WitnessProcessConfig};
use nf_smf::config::SmfConfig;
use sbi::config::NfConfig;
use sbi::trust_file::TrustDocument;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};
use sidecar::config::{InboundConfig, OutboundConfig, PeerConfig};

use super::exit::DONE;
use super::output::{print, print_json};

const HEADING: &str = "\
# Configuration

Made by `mtc5g configuration` from the code; `.ci/run` checks that this file is its output.

Configuration files are TOML. Relative paths are relative to the file. Unknown keys are errors. A key algorithm is `ed25519`,
`ecdsa-p256`, `ecdsa-p384`, `ml-dsa-44`, `ml-dsa-65` or `ml-dsa-87`. The profile of a credential is `mtc`,
`x509-<algorithm>-direct`, `x509-<algorithm>-intermediate` or `x509-<algorithm>-two-intermediates`, where the algorithm is that
of the CAs. `mtc5g init` writes all of these files ([lab.md](lab.md#files)).

A minimal AMF:

```toml
[nf]
trust = \"trust.toml\"
state = \"state/amf\"
admin = \"127.0.0.1:7782\"

[nf.nrf]
sbi = \"127.0.0.1:7777\"
fqdn = \"nrf1.5gc.mnc001.mcc001.3gppnetwork.org\"
log = \"127.0.0.1:7778\"

[[nf.credential]]
profile = \"mtc\"
leaf_key = \"ml-dsa-65\"

[[nf.instance]]
id = \"0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01\"
fqdn = \"amf1.5gc.mnc001.mcc001.3gppnetwork.org\"
listen = \"127.0.0.1:0\"
token = \"tokens/0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01.jwt\"
```
";

const TRUST_EXAMPLE: &str = "
```toml
ca_certificate = \"mtca/ca.pem\"
logs = [1]

[[cosigner]]
id = \"32473.2\"
algorithm = \"ml-dsa-44\"
public_key = \"<base64>\"

[[group]]
required = 1
members = [\"32473.2\"]
```
";

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ConfigurationArguments {
    /// Print JSON Schema
    #[arg(long)]
    json: bool,
}

impl ConfigurationArguments {
    pub(super) fn run(&self) -> ExitCode {
        if self.json {
            let schemas = parts().map(|part| (part.title.to_owned(), part.schema.into()));
            print_json(&schemas.into_iter().collect::<Map<_, _>>());
        } else {
            print(&markdown());
        }
        ExitCode::from(DONE)
    }
}

/// A file, or a table of one.
struct Part {
    title: &'static str,
    introduction: &'static str,
    schema: Schema,
}

fn parts() -> [Part; 14] {
    [
        Part {
            title: "`[nf]` of SCP, AMF, SMF, peers and sidecars",
            introduction: "",
            schema: schema::<NfConfig>(),
        },
        Part {
            title: "`[witness]` of the SCP",
            introduction: "",
            schema: schema::<WitnessConfig>(),
        },
        Part {
            title: "`[routing]` of the SCP",
            introduction: "May be left out.\n",
            schema: schema::<RoutingConfig>(),
        },
        Part {
            title: "Witness beside the SCP",
            introduction: "A process of its own (`mtc5g witness`).\n",
            schema: schema::<WitnessProcessConfig>(),
        },
        Part {
            title: "`[amf]`",
            introduction: "May be left out.\n",
            schema: schema::<AmfConfig>(),
        },
        Part {
            title: "`[smf]`",
            introduction: "May be left out.\n",
            schema: schema::<SmfConfig>(),
        },
        Part {
            title: "`[peers]` of AUSFs, UDMs and PCFs",
            introduction: "May be left out.\n",
            schema: schema::<PeersConfig>(),
        },
        Part {
            title: "`[[inbound]]` of a sidecar",
            introduction: "Beside `[nf]`, which has one instance ([sidecar.md](sidecar.md)).\n",
            schema: schema::<InboundConfig>(),
        },
        Part {
            title: "`[[outbound]]` of a sidecar",
            introduction: "",
            schema: schema::<OutboundConfig>(),
        },
        Part {
            title: "`[[peer]]` of a sidecar",
            introduction: "",
            schema: schema::<PeerConfig>(),
        },
        Part {
            title: "NRF",
            introduction: "The keys stand at the top of the file. Not configurable: a heartbeat may be two seconds late, a suspended instance is\n\
                kept for 60 seconds, and there are at most 100,000 instances.\n",
            schema: schema::<NrfConfig>(),
        },
        Part {
            title: "Mirror",
            introduction: "The keys stand at the top of the file of `mtc5g mirror` ([runbook.md](runbook.md#a-mirror)).\n",
            schema: schema::<MirrorConfig>(),
        },
        Part {
            title: "Distributor",
            introduction: "The keys stand at the top of the file of `mtc5g distribute` ([distribution.md](distribution.md)).\n",
            schema: schema::<DistributorConfig>(),
        },
        Part {
            title: "`trust.toml`",
            introduction: "What every network function trusts. Public, and the same for all.\n",
            schema: schema::<TrustDocument>(),
        },
    ]
}

fn schema<T: JsonSchema>() -> Schema {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>()
}

fn markdown() -> String {
    let mut text = HEADING.to_owned();
    for Part {
        title,
        introduction,
        schema,
    } in parts()
    {
        let rows = Row::all("", schema.as_value());
        // Writing to a string does not fail.
        let _ = write!(text, "\n## {title}\n\n{introduction}");
        if !introduction.is_empty() {
            text.push('\n');
        }
        text.push_str("| Key | Default | Meaning |\n|---|---|---|\n");
        for Row {
            key,
            default,
            meaning,
        } in rows
        {
            let _ = writeln!(text, "| {key} | {default} | {meaning} |");
        }
    }
    text + TRUST_EXAMPLE
}

/// A key of a file.
#[derive(Clone)]
struct Row {
    key: String,
    default: String,
    meaning: String,
}

impl Row {
    /// Those of an object and of the objects in it: what must be given first.
    fn all(before: &str, object: &Value) -> Vec<Self> {
        let required = |key: &str| {
            let listed = object["required"].as_array();
            listed.is_some_and(|listed| listed.iter().any(|one| one == key))
        };
        let properties = object["properties"].as_object();
        let mut keys: Vec<_> = properties.into_iter().flatten().collect();
        keys.sort_by_key(|(key, _)| !required(key));
        keys.into_iter()
            .flat_map(|(key, property)| Self::of(before, key, property, required(key)))
            .collect()
    }

    /// One of a value, or several of a table.
    fn of(before: &str, key: &str, property: &Value, required: bool) -> Vec<Self> {
        let meaning = property["description"].as_str().unwrap_or_default();
        let row = |key: String, default: String| Self {
            key,
            default,
            meaning: meaning.replace('\n', " "),
        };
        // What may be absent is an object or null.
        let given = property["anyOf"].get(0).unwrap_or(property);
        let default = match &property["default"] {
            _ if required => "required".to_owned(),
            Value::Null => "none".to_owned(),
            Value::Array(values) if values.is_empty() => "none".to_owned(),
            value => format!("`{}`", toml_of(value)),
        };
        if given.get("properties").is_some() {
            let inner = Self::all(&format!("{before}{key}."), given);
            // Left out, a table whose keys all have defaults is not absent.
            let default = match &given["required"] {
                Value::Null => String::new(),
                _ => default,
            };
            let table = row(format!("`[{before}{key}]`"), default);
            return [vec![table], inner].concat();
        }
        if given["items"].get("properties").is_some() {
            let inner = Self::all(&format!("{before}{key}[]."), &given["items"]);
            return [vec![row(format!("`[[{before}{key}]]`"), default)], inner].concat();
        }
        vec![row(format!("`{before}{key}`"), default)]
    }
}

/// A default as it would stand in a file.
fn toml_of(value: &Value) -> String {
    let Value::Object(members) = value else {
        return value.to_string();
    };
    let members: Vec<_> = members
        .iter()
        .map(|(key, value)| format!("{key} = {}", toml_of(value)))
        .collect();
    format!("{{ {} }}", members.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_reference_in_the_documentation_is_this_code_s() {
        let written = include_str!("../../../docs/configuration.md");
        assert!(
            written == markdown(),
            "docs/configuration.md is old; write it anew: cargo run -- configuration > docs/configuration.md"
        );
    }

    #[test]
    fn every_key_has_a_meaning_that_is_a_sentence_in_one_cell() {
        for Part { schema, .. } in parts() {
            let rows = Row::all("", schema.as_value());
            assert!(!rows.is_empty());
            for Row { key, meaning, .. } in rows {
                assert!(meaning.ends_with('.'), "{key}: a sentence");
                assert!(!meaning.contains(['|', '\n']), "{key}: {meaning}");
                // Links of rustdoc lead nowhere in Markdown.
                assert!(!meaning.contains("[`"), "{key}: {meaning}");
            }
        }
    }

    #[test]
    fn a_row_tells_what_is_required_and_what_the_default_is() {
        let object = json!({
            "properties": {
                "a": { "type": "integer", "default": 7, "description": "A number." },
                "b": { "anyOf": [
                    { "properties": { "c": { "type": "string", "description": "A\nname." } }, "required": ["c"] },
                    { "type": "null" },
                ], "description": "A table." },
            },
        });
        let rows = Row::all("", &object).into_iter();
        let rows: Vec<_> = rows
            .map(|row| [row.key, row.default, row.meaning].join(" "))
            .collect();
        assert_eq!(
            rows,
            [
                "`a` `7` A number.",
                "`[b]` none A table.",
                "`b.c` required A name.",
            ]
        );
    }

    #[test]
    fn the_example_is_an_amf_s() {
        let (_, example) = HEADING.split_once("```toml\n").expect("an example");
        let (example, _) = example.split_once("```").expect("its end");
        let file: nf_amf::config::Config = toml::from_str(example).expect("a configuration");
        assert_eq!(file.nf.instance.len(), 1);
        let (_, trust) = TRUST_EXAMPLE.split_once("```toml\n").expect("an example");
        let (trust, _) = trust.split_once("```").expect("its end");
        let trust: TrustDocument = toml::from_str(trust).expect("a trust file");
        assert_eq!(trust.cosigners.len(), 1);
    }
}
