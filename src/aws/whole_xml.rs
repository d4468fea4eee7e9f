//! Refuses answers in XML that end before their document does.
//!
//! The SDK's reader takes the end of the bytes for the end of the document: half a listing is a shorter listing to it,
//! and half an ARN an ARN. Whatever notices elsewhere that bytes are missing — a length, a checksum, braces that do not
//! close — does not when something in between has counted what it passes on.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use thiserror::Error;

/// For clients of services whose answers are XML.
#[derive(Debug)]
pub(super) struct WholeXml;

/// The document has no end.
#[derive(Debug, Error)]
#[error("the answer ends after {bytes} bytes, before its XML does")]
struct CutOff {
    bytes: usize,
}

impl Intercept for WholeXml {
    fn name(&self) -> &'static str {
        "WholeXml"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        // An object's own bytes are not here, but with whoever reads them.
        let Some(body) = response.body().bytes() else {
            return Ok(());
        };
        if response.status().is_success() && !ends(body) {
            let bytes = body.len();
            return Err(CutOff { bytes }.into());
        }
        Ok(())
    }
}

/// Whether a document's last tag is that of its root. What is no XML is for others to judge.
fn ends(document: &[u8]) -> bool {
    let document = document.trim_ascii();
    if !document.starts_with(b"<") {
        return true;
    }
    let Some(root) = root(document) else {
        return false;
    };
    let (tag, name) = root;
    let alone = tag.ends_with(b"/>") && document.ends_with(tag);
    let closed = document
        .strip_suffix(b">")
        .map(<[u8]>::trim_ascii_end)
        .and_then(|document| document.strip_suffix(name))
        .is_some_and(|document| document.ends_with(b"</"));
    alone || closed
}

/// The first tag that opens an element, and the element's name.
fn root(document: &[u8]) -> Option<(&[u8], &[u8])> {
    let tags = document.split_inclusive(|byte| *byte == b'>');
    let mut tags = tags.map(<[u8]>::trim_ascii_start);
    let tag = tags.find(|tag| !tag.starts_with(b"<?") && !tag.starts_with(b"<!"))?;
    let inside = tag.strip_prefix(b"<")?.strip_suffix(b">")?;
    let name = inside.split(|byte| byte.is_ascii_whitespace() || *byte == b'/');
    Some((tag, name.into_iter().next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_ends_with_its_root() {
        for whole in [
            "<a/>",
            "<a />\n",
            "<a></a>",
            "<a xmlns=\"x\"><b/></a >",
            "<?xml version=\"1.0\"?>\n<!-- b -->\n<a><a>1</a></a>\n",
            "",
            "{}",
        ] {
            assert!(ends(whole.as_bytes()), "{whole}");
        }
    }

    #[test]
    fn a_document_that_is_cut_anywhere_does_not_end() {
        let whole =
            "<?xml version=\"1.0\"?>\n<Result xmlns=\"x\"><Arn>a:b</Arn><Next/><Id>1</Id></Result>";
        for length in 1..whole.len() {
            assert!(!ends(&whole.as_bytes()[..length]), "{}", &whole[..length]);
        }
    }
}
