//! The search index on OpenSearch: reachable, this daemon's, and open to this host.

use std::sync::Arc;

use iyagi_actors::ports::{Clock, SearchFault};

use super::Looked;
use crate::aws::opensearch::OpenSearch;
use crate::config::Config;

const AT: &str = "search index";

/// Looks at the index, if OpenSearch is to keep one. It changes nothing, so what it cannot see is whether this host may
/// write.
pub async fn check(config: &Config, clock: &Arc<dyn Clock>) -> Option<Looked> {
    let index = match OpenSearch::open(config, clock).await {
        Ok(index) => index?,
        Err(error) => {
            return Some(Looked::bad(
                AT,
                error.to_string(),
                "mend [search.opensearch]",
            ));
        }
    };
    Some(match index.look().await {
        Ok(Some((index, as_of))) => Looked::good(AT, format!("{index}, as of {as_of}")),
        Ok(None) => Looked::good(AT, "there is none yet; it is made when the daemon starts"),
        Err(fault) => Looked::bad(AT, fault.to_string(), cure(&fault)),
    })
}

fn cure(fault: &SearchFault) -> &'static str {
    match fault {
        SearchFault::Unavailable(_) => {
            "check search.opensearch.endpoint, and that its security group lets this host in; then try again"
        }
        SearchFault::Damaged(_) => "`iyagi search rebuild` makes it anew",
        SearchFault::Refused(_) => {
            "allow es:ESHttpGet, Head, Post, Put and Delete on the domain to these credentials, by IAM and by the domain's \
             own access policy"
        }
    }
}
