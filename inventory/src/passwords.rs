//! Passwords of key stores.

use std::fmt;

use zeroize::Zeroizing;

use crate::model::Protection;

/// Passwords that are tried on key stores: those that were given, the empty one, and `changeit`, which Java's own stores have.
pub struct Passwords(Vec<Tried>);

impl Passwords {
    /// Those that were given, before the two that everybody knows.
    pub fn new(given: impl IntoIterator<Item = Zeroizing<String>>) -> Self {
        let given = given.into_iter().map(Tried::Given);
        Self(
            given
                .chain([Tried::Known(""), Tried::Known("changeit")])
                .collect(),
        )
    }

    pub(crate) fn all(&self) -> &[Tried] {
        &self.0
    }
}

impl fmt::Display for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() - 2 {
            0 => f.write_str("none was given; the empty one, \"changeit\""),
            1 => f.write_str("the one given, the empty one, \"changeit\""),
            more => write!(f, "the {more} given, the empty one, \"changeit\""),
        }
    }
}

/// One password.
pub(crate) enum Tried {
    /// Of whoever makes the inventory.
    Given(Zeroizing<String>),
    /// Known to everybody.
    Known(&'static str),
}

impl Tried {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Given(text) => text,
            Self::Known(text) => text,
        }
    }

    /// What a key under this password is protected by.
    pub(crate) const fn protection(&self) -> Protection {
        match self {
            Self::Given(_) => Protection::Encrypted,
            Self::Known(_) => Protection::KnownPassword,
        }
    }
}
