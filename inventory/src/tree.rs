//! YAML, JSON and TOML as one tree of texts: what is looked for in a document does not depend on its language.
//!
//! A document of others is bounded twice: its file by the reader of files, and what its aliases multiply here.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;

use saphyr_parser::{Event, Parser, ScanError};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use thiserror::Error;

/// Nodes of all documents in a file, aliases counted as often as they stand for something. A dump of ten thousand secrets has half a
/// million.
const MAX_NODES: usize = 2_000_000;
/// Octets of all scalars, counted in the same way.
const MAX_OCTETS: usize = 64 * 1024 * 1024;
/// Collections within collections. Kubernetes objects have about ten.
const MAX_DEPTH: usize = 64;

/// Why a text is no document.
#[derive(Debug, Error)]
pub(crate) enum TreeError {
    /// Malformed.
    #[error("{0}")]
    Yaml(#[from] ScanError),
    /// Malformed.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Malformed.
    #[error("{}", .0.message())]
    Toml(#[from] toml::de::Error),
    /// A collection in 63 others.
    #[error("more than {MAX_DEPTH} collections within each other")]
    Depth,
    /// Aliases of aliases.
    #[error("its aliases stand for too much")]
    Size,
    /// An alias to what is not complete, or not there.
    #[error("an alias without an anchor before it")]
    Alias,
}

/// A language of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Yaml,
    Json,
    Toml,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yaml => "YAML",
            Self::Json => "JSON",
            Self::Toml => "TOML",
        })
    }
}

/// A node of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// A text, a number, a truth value, or nothing: as it is written.
    Scalar(String),
    /// A list.
    List(Vec<Self>),
    /// Names and values, in their order.
    Map(Vec<(String, Self)>),
}

impl Node {
    /// The value of a name in a map.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a name in a map.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Self::as_text)
    }

    /// The text of a scalar.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The nodes of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The entries of a map; none of anything else.
    pub(crate) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    /// How many nodes it has, and octets in its scalars.
    fn size(&self) -> (usize, usize) {
        let add = |(nodes, octets): (usize, usize), (more, longer): (usize, usize)| {
            (nodes + more, octets + longer)
        };
        match self {
            Self::Scalar(text) => (1, text.len()),
            Self::List(items) => items.iter().map(Self::size).fold((1, 0), add),
            Self::Map(entries) => entries
                .iter()
                .map(|(key, value)| add((1, key.len()), value.size()))
                .fold((1, 0), add),
        }
    }
}

/// The documents in a text.
pub(crate) fn read(text: &str, language: Language) -> Result<Vec<Node>, TreeError> {
    let left = Budget(Cell::new(MAX_NODES));
    match language {
        Language::Yaml => Yaml::default().read(text),
        Language::Json => {
            let mut json = serde_json::Deserializer::from_str(text);
            let document = left.deserialize(&mut json)?;
            json.end()?;
            Ok(vec![document])
        }
        Language::Toml => Ok(vec![left.deserialize(toml::Deserializer::parse(text)?)?]),
    }
}

/// How many nodes may still come of a document in JSON or TOML, which have no aliases.
struct Budget(Cell<usize>);

impl<'de> DeserializeSeed<'de> for &Budget {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, document: D) -> Result<Node, D::Error> {
        let left = self.0.get().checked_sub(1);
        self.0.set(
            left.ok_or_else(|| D::Error::custom(format_args!("more than {MAX_NODES} values")))?,
        );
        document.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &Budget {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(String::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = map.next_key()? {
            entries.push((name, map.next_value_seed(self)?));
        }
        Ok(Node::Map(entries))
    }
}

/// The reader of YAML: what is open, and what has been given a name.
#[derive(Default)]
struct Yaml {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    octets: usize,
}

/// A collection whose end has not come yet.
struct Open {
    anchor: usize,
    node: Node,
    /// A name whose value comes next.
    name: Option<String>,
}

impl Yaml {
    fn read(mut self, text: &str) -> Result<Vec<Node>, TreeError> {
        for event in Parser::new_from_str(text) {
            let (event, _) = event?;
            match event {
                Event::Scalar(text, _, anchor, _) => {
                    self.count((1, text.len()))?;
                    self.add(Node::Scalar(text.into_owned()), anchor)?;
                }
                Event::Alias(anchor) => {
                    let node = self.anchors.get(&anchor).ok_or(TreeError::Alias)?;
                    let size = node.size();
                    self.count(size)?;
                    self.add(self.anchors[&anchor].clone(), 0)?;
                }
                Event::SequenceStart(anchor, _) => self.begin(Node::List(Vec::new()), anchor)?,
                Event::MappingStart(anchor, _) => self.begin(Node::Map(Vec::new()), anchor)?,
                Event::SequenceEnd | Event::MappingEnd => {
                    if let Some(Open { anchor, node, .. }) = self.open.pop() {
                        self.add(node, anchor)?;
                    }
                }
                Event::DocumentStart(_) => self.anchors.clear(),
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            }
        }
        Ok(self.documents)
    }

    fn count(&mut self, (nodes, octets): (usize, usize)) -> Result<(), TreeError> {
        self.nodes += nodes;
        self.octets += octets;
        if self.nodes > MAX_NODES || self.octets > MAX_OCTETS {
            return Err(TreeError::Size);
        }
        Ok(())
    }

    fn begin(&mut self, node: Node, anchor: usize) -> Result<(), TreeError> {
        self.count((1, 0))?;
        if self.open.len() == MAX_DEPTH {
            return Err(TreeError::Depth);
        }
        self.open.push(Open {
            anchor,
            node,
            name: None,
        });
        Ok(())
    }

    /// A node is complete.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), TreeError> {
        if anchor != 0 {
            self.count(node.size())?; // it is kept twice
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match (&mut open.node, open.name.take()) {
            (Node::List(items), _) => items.push(node),
            (Node::Map(entries), Some(name)) => entries.push((name, node)),
            (Node::Map(_), None) => {
                // A collection can be a name too, which nothing that is looked for has.
                open.name = Some(match node {
                    Node::Scalar(text) => text,
                    Node::List(_) | Node::Map(_) => String::new(),
                });
            }
            (Node::Scalar(_), _) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str) -> Node {
        Node::Scalar(text.to_owned())
    }

    #[test]
    fn one_document_reads_alike_in_every_language() {
        let expected = Node::Map(vec![
            ("a".to_owned(), Node::List(vec![scalar("1"), scalar("x")])),
            (
                "b".to_owned(),
                Node::Map(vec![("c".to_owned(), scalar("true"))]),
            ),
        ]);
        for (language, text) in [
            (Language::Yaml, "a: [1, x]\nb:\n  c: true\n"),
            (Language::Json, r#"{"a": [1, "x"], "b": {"c": true}}"#),
            (Language::Toml, "a = [1, \"x\"]\n[b]\nc = true\n"),
        ] {
            assert_eq!(
                read(text, language).unwrap(),
                std::slice::from_ref(&expected),
                "{language}"
            );
        }
    }

    #[test]
    fn a_stream_has_several_documents_and_aliases_stand_for_their_anchors() {
        let documents = read("---\na: &x {k: v}\nb: *x\n---\nc\n", Language::Yaml).unwrap();
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[0].get("b").unwrap().text("k"), Some("v"));
        assert_eq!(documents[1], scalar("c"));
    }

    #[test]
    fn aliases_of_aliases_are_bounded() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let row = vec![format!("*a{}", level - 1); 10].join(", ");
            text += &format!("a{level}: &a{level} [{row}]\n");
        }
        assert!(matches!(read(&text, Language::Yaml), Err(TreeError::Size)));
    }

    #[test]
    fn depth_is_bounded_in_every_language() {
        let deep =
            |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
        assert!(read(&deep("[", "]"), Language::Yaml).is_err());
        assert!(read(&deep("[", "]"), Language::Json).is_err());
        assert!(read(&format!("a = {}", deep("[", "]")), Language::Toml).is_err());
        assert!(read(&"- ".repeat(100_000), Language::Yaml).is_err());
    }

    #[test]
    fn an_alias_that_names_nothing_is_refused() {
        assert!(read("a: *b\n", Language::Yaml).is_err());
        assert!(read("a: &a [*a]\n", Language::Yaml).is_err());
    }
}
