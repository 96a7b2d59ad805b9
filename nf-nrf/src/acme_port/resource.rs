//! What is at which URL.

use uuid::Uuid;

/// A resource of the port, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource<'a> {
    /// Where everything is; of one profile, or of all.
    Directory(Option<&'a str>),
    /// Gives nonces.
    NewNonce,
    /// Makes accounts.
    NewAccount,
    /// Takes orders; of one profile, or of all.
    NewOrder(Option<&'a str>),
    /// Revokes certificates.
    RevokeCert,
    /// Replaces the key of an account.
    KeyChange,
    /// An account.
    Account(Uuid),
    /// The list of an account's orders.
    Orders(Uuid),
    /// An order.
    Order(Uuid),
    /// Takes the CSR of an order.
    Finalize(Uuid),
    /// An order's authorisation of the identifier with this number.
    Authorization(Uuid, usize),
    /// The certificate of an order.
    Certificate(Uuid),
    /// Its landmark-relative form.
    LandmarkRelative(Uuid),
}

impl<'a> Resource<'a> {
    /// The resource at a path.
    pub(super) fn at(segments: &[&'a str]) -> Option<Self> {
        let id = |text: &str| {
            let id = text.parse::<Uuid>().ok();
            // One path a resource.
            id.filter(|id| id.to_string() == text)
        };
        Some(match segments {
            ["acme", "directory"] => Self::Directory(None),
            ["acme", "p", profile, "directory"] => Self::Directory(Some(*profile)),
            ["acme", "new-nonce"] => Self::NewNonce,
            ["acme", "new-account"] => Self::NewAccount,
            ["acme", "new-order"] => Self::NewOrder(None),
            ["acme", "p", profile, "new-order"] => Self::NewOrder(Some(*profile)),
            ["acme", "revoke-cert"] => Self::RevokeCert,
            ["acme", "key-change"] => Self::KeyChange,
            ["acme", "account", account] => Self::Account(id(account)?),
            ["acme", "account", account, "orders"] => Self::Orders(id(account)?),
            ["acme", "order", order] => Self::Order(id(order)?),
            ["acme", "order", order, "finalize"] => Self::Finalize(id(order)?),
            ["acme", "authorization", order, number] => {
                Self::Authorization(id(order)?, number.parse().ok()?)
            }
            ["acme", "certificate", order] => Self::Certificate(id(order)?),
            ["acme", "certificate", order, "landmark-relative"] => {
                Self::LandmarkRelative(id(order)?)
            }
            _ => return None,
        })
    }

    /// Its name in metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Directory(_) => "directory",
            Self::NewNonce => "new-nonce",
            Self::NewAccount => "new-account",
            Self::NewOrder(_) => "new-order",
            Self::RevokeCert => "revoke-cert",
            Self::KeyChange => "key-change",
            Self::Account(_) => "account",
            Self::Orders(_) => "orders",
            Self::Order(_) => "order",
            Self::Finalize(_) => "finalize",
            Self::Authorization(..) => "authorization",
            Self::Certificate(_) => "certificate",
            Self::LandmarkRelative(_) => "landmark-relative",
        }
    }
}

/// The URLs of the port: below the one that the configuration says, whatever a request's Host. A request names the URL that it is for,
/// and nobody can have sent it here what was meant for another (RFC 8555 section 6.4).
#[derive(Clone, Debug)]
pub(super) struct Urls(String);

impl Urls {
    /// Below `https://host:port`, without a slash at its end.
    pub(super) const fn new(root: String) -> Self {
        Self(root)
    }

    /// That of a path.
    pub(super) fn of_path(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// That of the directory, of one profile or of all.
    pub(super) fn directory(&self, profile: Option<&str>) -> String {
        self.below(profile, "directory")
    }

    /// That of `newOrder`, of one profile or of all.
    pub(super) fn new_order(&self, profile: Option<&str>) -> String {
        self.below(profile, "new-order")
    }

    fn below(&self, profile: Option<&str>, name: &str) -> String {
        match profile {
            Some(profile) => format!("{}/acme/p/{profile}/{name}", self.0),
            None => format!("{}/acme/{name}", self.0),
        }
    }

    /// That of an account.
    pub(super) fn account(&self, id: Uuid) -> String {
        format!("{}/acme/account/{id}", self.0)
    }

    /// The account that has this URL.
    pub(super) fn account_at(&self, url: &str) -> Option<Uuid> {
        let path = url.strip_prefix(&self.0)?.strip_prefix('/')?;
        let segments: Vec<&str> = path.split('/').collect();
        match Resource::at(&segments)? {
            Resource::Account(id) => Some(id),
            _ => None,
        }
    }

    /// That of an order.
    pub(super) fn order(&self, id: Uuid) -> String {
        format!("{}/acme/order/{id}", self.0)
    }

    /// That of an order's authorisation.
    pub(super) fn authorization(&self, order: Uuid, number: usize) -> String {
        format!("{}/acme/authorization/{order}/{number}", self.0)
    }

    /// That of an order's certificate.
    pub(super) fn certificate(&self, order: Uuid) -> String {
        format!("{}/acme/certificate/{order}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_own_url_and_no_other() {
        let urls = Urls::new("https://nrf1.test:7781".to_owned());
        let id = Uuid::from_u128(7);
        let url = urls.account(id);
        assert_eq!(urls.account_at(&url), Some(id));
        for other in [
            "https://nrf1.test:7781/acme/account/".to_owned(),
            url.replace("https", "http"),
            url.replace("7781", "7782"),
            format!("{url}/orders"),
            url.replace("00000007", "0000000A").to_uppercase(),
            urls.order(id),
        ] {
            assert_eq!(urls.account_at(&other), None, "{other}");
        }
    }
}
