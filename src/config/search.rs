//! How the graph is searched.

use iyagi_search::properties::Properties;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::semantics::Fault;

/// How the graph is searched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// Whether there is a search index.
    pub enabled: bool,
    /// Whether edges have documents of their own, besides vertices.
    pub edges: bool,
    /// Which properties are searched.
    pub properties: PropertiesConfig,
    /// What keeps the index.
    pub engine: SearchEngine,
    /// Where OpenSearch is, if it keeps the index.
    pub opensearch: OpenSearchConfig,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            edges: false,
            properties: PropertiesConfig::default(),
            engine: SearchEngine::Embedded,
            opensearch: OpenSearchConfig::default(),
        }
    }
}

/// Which properties are searched. In names `*` stands for any characters, and capitals are as good as small letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PropertiesConfig {
    /// What is searched, such as `title`; `*` for all.
    pub include: Vec<String>,
    /// What is not, whatever `include` says.
    pub exclude: Vec<String>,
    /// Names that the index may have; properties of further ones are left out.
    pub names_max: usize,
}

impl Default for PropertiesConfig {
    fn default() -> Self {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            include: list(&[
                "name",
                "title",
                "text",
                "body",
                "caption",
                "description",
                "tags",
            ]),
            exclude: list(&["*phone*", "*email*", "*password*", "*secret*", "*token*"]),
            names_max: 200,
        }
    }
}

impl PropertiesConfig {
    pub(super) fn properties(&self) -> Properties {
        Properties {
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            names_max: self.names_max,
        }
    }
}

/// Most names that a mapping can have: OpenSearch keeps it on every node, and publishes it anew with each name.
const NAMES_MAX: usize = 2_500;

/// What keeps the search index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchEngine {
    /// A folder beside the graph, on one machine. A host on AWS has none.
    #[default]
    Embedded,
    /// OpenSearch, on AWS or anywhere.
    #[serde(rename = "opensearch")]
    OpenSearch,
}

/// Where OpenSearch is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OpenSearchConfig {
    /// Its address, such as `https://search-iyagi-abc.ap-northeast-2.es.amazonaws.com`. Requests are signed, unless it is
    /// `http://`.
    pub endpoint: Option<String>,
    /// `es` for a domain, `aoss` for a serverless collection.
    pub service: OpenSearchService,
    /// Its region, such as `ap-northeast-2`; that of `aws.region` if absent.
    pub region: Option<String>,
    /// The name that is searched. It is an alias of the index proper.
    pub index: String,
}

impl Default for OpenSearchConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            service: OpenSearchService::Es,
            region: None,
            index: "amazon_neptune".to_owned(),
        }
    }
}

/// Which service a signature is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OpenSearchService {
    /// An Amazon OpenSearch Service domain.
    #[default]
    Es,
    /// An Amazon OpenSearch Serverless collection.
    Aoss,
}

impl OpenSearchService {
    /// As signatures and IAM actions name it.
    pub fn signing_name(self) -> &'static str {
        match self {
            Self::Es => "es",
            Self::Aoss => "aoss",
        }
    }
}

/// Longest name that leaves room for what is put behind it, within what OpenSearch takes.
const INDEX_MAX: usize = 200;

pub(super) fn check(search: &SearchConfig, faults: &mut Vec<Fault>) {
    check_properties(&search.properties, faults);
    let OpenSearchConfig {
        endpoint, index, ..
    } = &search.opensearch;
    let key = "search.opensearch.endpoint";
    match endpoint {
        None if search.enabled && search.engine == SearchEngine::OpenSearch => {
            let fault = Fault::new(
                key,
                format!("`{key}` is missing, and OpenSearch keeps the index"),
            );
            faults.push(fault.or("search.engine"));
        }
        Some(endpoint) if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") => {
            let fault = Fault::new(
                key,
                format!("`{key}` is \"{endpoint}\", which is no address"),
            );
            faults.push(fault.help(format!("did you mean \"https://{endpoint}\"?")));
        }
        _ => {}
    }
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
    };
    let begins = index
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase());
    if !begins || index.len() > INDEX_MAX || !index.bytes().all(plain) {
        let message = format!(
            "\"{index}\" cannot name an index: a small letter, then up to {INDEX_MAX} small letters, digits, `-` and `_` can"
        );
        faults.push(Fault::new("search.opensearch.index", message));
    }
}

fn check_properties(properties: &PropertiesConfig, faults: &mut Vec<Fault>) {
    for (key, list) in [
        ("search.properties.include", &properties.include),
        ("search.properties.exclude", &properties.exclude),
    ] {
        let empty = list.iter().enumerate().filter(|(_, name)| name.is_empty());
        for (at, _) in empty {
            let message = format!("`{key}` has an empty name, which no property can have");
            faults.push(Fault::new(format!("{key}[{at}]"), message));
        }
    }
    if !(1..=NAMES_MAX).contains(&properties.names_max) {
        let key = "search.properties.names_max";
        let message = format!(
            "`{key}` is {}, and an index has 1 to {NAMES_MAX} names",
            properties.names_max
        );
        faults.push(Fault::new(key, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys of what is wrong with OpenSearch at an address under a name.
    fn wrong(endpoint: Option<&str>, index: &str) -> Vec<String> {
        let search = SearchConfig {
            engine: SearchEngine::OpenSearch,
            opensearch: OpenSearchConfig {
                endpoint: endpoint.map(str::to_owned),
                index: index.to_owned(),
                ..OpenSearchConfig::default()
            },
            ..SearchConfig::default()
        };
        let mut faults = Vec::new();
        check(&search, &mut faults);
        faults.into_iter().flat_map(|fault| fault.keys).collect()
    }

    #[test]
    fn opensearch_without_an_address_or_under_a_name_that_it_does_not_take_is_told() {
        let address = Some("https://search.example");
        assert_eq!(wrong(address, "amazon_neptune"), Vec::<String>::new());
        let endpoint = "search.opensearch.endpoint";
        assert_eq!(wrong(None, "amazon_neptune"), [endpoint, "search.engine"]);
        assert_eq!(wrong(Some("search.example"), "amazon_neptune"), [endpoint]);
        for name in ["", "Stories", "_all", "a*", &"a".repeat(201)] {
            assert_eq!(wrong(address, name), ["search.opensearch.index"], "{name}");
        }
    }
    #[test]
    fn a_name_that_no_property_has_and_too_many_of_them_are_told() {
        let wrong = |include: &str, names_max| {
            let properties = PropertiesConfig {
                include: vec!["title".to_owned(), include.to_owned()],
                names_max,
                ..PropertiesConfig::default()
            };
            let mut faults = Vec::new();
            check_properties(&properties, &mut faults);
            let keys = faults.into_iter().flat_map(|fault| fault.keys);
            keys.collect::<Vec<_>>()
        };
        assert_eq!(wrong("*", 1), Vec::<String>::new());
        assert_eq!(wrong("", 200), ["search.properties.include[1]"]);
        for names_max in [0, 2_501] {
            assert_eq!(wrong("*", names_max), ["search.properties.names_max"]);
        }
    }
}
