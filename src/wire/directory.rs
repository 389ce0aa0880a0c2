//! The directory document (draft, "MIMI URL directory"; R10–R13).

use serde::{Deserialize, Serialize};

use super::uri::Domain;
use crate::error::ProtocolError;

/// Which representations of the ratchet tree a hub takes in an `UpdateRequest`: the value of our
/// extra member `mimi-edge-ratchet-tree`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RatchetTreeSupport {
    /// `full` alone: every hub that does not say otherwise.
    Full,
    /// `byReference` too (A23).
    ByReference,
}

/// Where a provider's endpoints are: URI templates, of which only `{variable}` is expanded.
///
/// Unknown members are ignored (R13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Directory {
    /// With `{targetUser}`.
    pub key_material: String,
    /// With `{roomId}`.
    pub update: String,
    /// With `{roomId}`.
    pub notify: String,
    /// With `{roomId}`.
    pub submit_message: String,
    /// With `{roomId}`.
    pub group_info: String,
    /// With `{targetUser}`.
    pub request_consent: String,
    /// With `{requesterUser}`.
    pub update_consent: String,
    #[serde(rename = "mimi-edge-ratchet-tree", default, skip_serializing_if = "Option::is_none")]
    ratchet_tree: Option<String>,
}

impl Directory {
    /// Where the document is (R10).
    pub const PATH: &'static str = "/.well-known/mimi-protocol-directory";

    /// The document of our own providers: everything at `https://<domain>/v1/` (R12).
    #[must_use]
    pub fn of(domain: &Domain) -> Self {
        let url = |endpoint: &str, variable: &str| {
            format!("https://{domain}/v1/{endpoint}/{{{variable}}}")
        };
        Self {
            key_material: url("keyMaterial", "targetUser"),
            update: url("update", "roomId"),
            notify: url("notify", "roomId"),
            submit_message: url("submitMessage", "roomId"),
            group_info: url("groupInfo", "roomId"),
            request_consent: url("requestConsent", "targetUser"),
            update_consent: url("updateConsent", "requesterUser"),
            ratchet_tree: Some("full".into()),
        }
    }

    /// Reads a peer's document.
    ///
    /// # Errors
    /// [`ProtocolError::BadGateway`] when it is no JSON object with the seven members, each an
    /// absolute `https` URL as text (R2, R10).
    pub fn from_json(document: &[u8]) -> Result<Self, ProtocolError> {
        let directory: Self = serde_json::from_slice(document)
            .map_err(|_| ProtocolError::BadGateway("directory document"))?;
        let templates = [
            &directory.key_material,
            &directory.update,
            &directory.notify,
            &directory.submit_message,
            &directory.group_info,
            &directory.request_consent,
            &directory.update_consent,
        ];
        if templates.iter().any(|template| !template.starts_with("https://")) {
            return Err(ProtocolError::BadGateway("directory URL without https"));
        }
        Ok(directory)
    }

    /// The document as JSON.
    ///
    /// # Errors
    /// Never for a document of [`Directory::of`].
    pub fn to_json(&self) -> Result<Vec<u8>, crate::error::InternalError> {
        serde_json::to_vec(self).map_err(|_| crate::error::InternalError::Codec("json"))
    }

    /// What the provider takes as a tree in an update.
    #[must_use]
    pub fn ratchet_tree_support(&self) -> RatchetTreeSupport {
        let by_reference = self
            .ratchet_tree
            .as_deref()
            .is_some_and(|words| words.split_ascii_whitespace().any(|word| word == "byReference"));
        if by_reference { RatchetTreeSupport::ByReference } else { RatchetTreeSupport::Full }
    }

    /// Expands a template: every `{variable}` becomes `value`, percent-encoded but for RFC 3986's
    /// unreserved characters (RFC 6570 level 1, R11).
    #[must_use]
    pub fn expand(template: &str, value: &str) -> String {
        let mut url = String::with_capacity(template.len() + value.len());
        let mut rest = template;
        while let Some((before, variable)) = rest.split_once('{') {
            let Some((_name, after)) = variable.split_once('}') else { break };
            url.push_str(before);
            url.push_str(&percent_encode(value));
            rest = after;
        }
        url.push_str(rest);
        url
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Decodes percent-encoding; `None` for a broken escape or what is not UTF-8.
#[must_use]
pub fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
