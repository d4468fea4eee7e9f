//! How the graph is searched.

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
            engine: SearchEngine::Embedded,
            opensearch: OpenSearchConfig::default(),
        }
    }
}

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
}
