//! Neptune: reachable, with a change log, and open to this host.

use aws_sdk_neptunedata::types::IteratorType;

use super::{Looked, proven};
use crate::aws::clients::Clients;
use crate::aws::fault::{CallFault, FaultKind, code};

const STREAM: &str = "neptune-db:GetStreamRecords";
const AT: &str = "change log of the graph";

pub(super) async fn check(clients: &Clients) -> Vec<Looked> {
    let Some(neptune) = &clients.neptune else {
        return vec![Looked::bad(
            AT,
            "aws.neptune_endpoint is not set",
            "set it to the address of the cluster",
        )];
    };
    let stream = stream(neptune).await;
    if !stream.ok {
        // Whatever is wrong there is wrong with queries too.
        return vec![stream];
    }
    let call = neptune.execute_open_cypher_query();
    let answer = call.open_cypher_query("RETURN 1 AS one").send().await;
    vec![
        stream,
        proven("graph", "neptune-db:ReadDataViaQuery", answer, &[]),
    ]
}

async fn stream(neptune: &aws_sdk_neptunedata::Client) -> Looked {
    let call = neptune.get_propertygraph_stream();
    let call = call.iterator_type(IteratorType::TrimHorizon).limit(1);
    let Err(error) = call.send().await else {
        return Looked::good(AT, "it has records");
    };
    // The SDK's own types cannot read real pages; that there was one is all that matters here.
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    if status == Some(200) {
        return Looked::good(AT, "it has records");
    }
    match code(&error) {
        Some("StreamRecordsNotFoundException") => Looked::good(AT, "it is empty"),
        Some("UnsupportedOperationException") => Looked::bad(
            AT,
            "the cluster keeps none",
            "set neptune_streams to 1 in the cluster's parameter group and restart its instances",
        ),
        _ => {
            let fault = CallFault::of("graph", STREAM, &error);
            if fault.kind == FaultKind::Unreachable {
                let cure = "check aws.neptune_endpoint, and that the cluster's security group lets this host in on its port";
                return Looked::bad(AT, fault.reason, cure);
            }
            Looked::fault(AT, &fault)
        }
    }
}
