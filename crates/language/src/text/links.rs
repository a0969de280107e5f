//! Addresses in texts: only the shop's own.

use std::collections::BTreeMap;

use url::Url;

/// Where the links of a text come from.
pub trait Links {
    /// The address to print for `link(url)`.
    ///
    /// # Errors
    ///
    /// Why it is none of the shop's; without the address, which may be a customer's.
    fn link(&self, url: &str) -> Result<String, String>;

    /// The customer's opt-out address for this message, if it has one.
    fn opt_out(&self) -> Option<String>;

    /// The address of a page of `shop.yaml`.
    fn page(&self, name: &str) -> Option<String>;
}

/// Full addresses, checked: https, and on a domain of the shop's.
#[derive(Clone, Debug, Default)]
pub struct ShopLinks {
    domains: Vec<String>,
    pages: BTreeMap<String, String>,
    opt_out: Option<String>,
}

impl ShopLinks {
    /// Links to the domains of these addresses or names and to those below them: the shop's address, such as
    /// `https://hollow-oak.example`, and the domain of its links, such as `hlok.example`. What names no domain is left out.
    pub fn new<'a>(shop: impl IntoIterator<Item = &'a str>) -> ShopLinks {
        let domains = shop.into_iter().filter_map(|written| {
            let url = Url::parse(written).or_else(|_| Url::parse(&format!("https://{written}"))).ok()?;
            let domain = url.domain()?;
            Some(domain.strip_prefix("www.").unwrap_or(domain).to_owned())
        });
        ShopLinks { domains: domains.collect(), ..ShopLinks::default() }
    }

    /// With the shop's pages, addresses by name.
    #[must_use]
    pub fn with_pages(mut self, pages: BTreeMap<String, String>) -> ShopLinks {
        self.pages = pages;
        self
    }

    /// With the customer's opt-out address.
    #[must_use]
    pub fn with_opt_out(mut self, address: String) -> ShopLinks {
        self.opt_out = Some(address);
        self
    }

    fn is_own(&self, host: &str) -> bool {
        let below = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        self.domains.iter().any(|domain| below(domain))
    }
}

impl Links for ShopLinks {
    fn link(&self, url: &str) -> Result<String, String> {
        let url = Url::parse(url.trim()).map_err(|_| "link() was given no address; it takes https://...".to_owned())?;
        if url.scheme() != "https" {
            return Err("link() only takes addresses that begin with https".to_owned());
        }
        let plain = url.username().is_empty() && url.password().is_none() && url.port().is_none();
        match url.domain() {
            Some(host) if plain && self.is_own(host) => Ok(url.to_string()),
            _ => Err("link() only takes addresses on the shop's own domains".to_owned()),
        }
    }

    fn opt_out(&self) -> Option<String> {
        self.opt_out.clone()
    }

    fn page(&self, name: &str) -> Option<String> {
        self.pages.get(name).cloned()
    }
}

/// For texts without links: every link fails.
#[derive(Clone, Copy, Debug)]
pub struct NoLinks;

impl Links for NoLinks {
    fn link(&self, _: &str) -> Result<String, String> {
        Err("this text takes no link".to_owned())
    }

    fn opt_out(&self) -> Option<String> {
        None
    }

    fn page(&self, _: &str) -> Option<String> {
        None
    }
}
