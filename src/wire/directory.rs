//! The directory document (draft, "MIMI URL directory"; R10–R13).

use serde::{Deserialize, Serialize};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::uri::Domain;
use crate::error::ProtocolError;

/// Which representations of the ratchet tree a hub takes in an `UpdateRequest`: the value of our
/// extra member `mimi-edge-ratchet-tree`.
///
/// Encoded, in the client API, it is the code of the last representation that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
#[repr(u8)]
pub enum RatchetTreeSupport {
    /// `full` alone: every hub that does not say otherwise.
    Full = 1,
    /// `byReference` too (A23).
    ByReference = 5,
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
            ratchet_tree: Some("full byReference".into()),
        }
    }

    /// Reads a peer's document.
    ///
    /// # Errors
    /// [`ProtocolError::BadGateway`] when it is no JSON object with the seven members, each an
    /// absolute `https` URL as text (R2, R10), of a host with a name: an address may be one that only
    /// we can reach (D13).
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
        if !templates.iter().all(|template| names_a_host(template)) {
            return Err(ProtocolError::BadGateway("directory URL without a host name"));
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

/// Whether the authority of an `https` URL template is a domain, with or without a port.
fn names_a_host(template: &str) -> bool {
    let rest = template.strip_prefix("https://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    is_port && Domain::parse(&host.to_ascii_lowercase()).is_ok()
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const MEMBERS: [(&str, &str); 7] = [
        ("keyMaterial", "targetUser"),
        ("update", "roomId"),
        ("notify", "roomId"),
        ("submitMessage", "roomId"),
        ("groupInfo", "roomId"),
        ("requestConsent", "targetUser"),
        ("updateConsent", "requesterUser"),
    ];

    fn ours() -> Directory {
        Directory::of(&Domain::parse("alpha.example").unwrap())
    }

    /// A peer's document, changed by `change`.
    fn peer(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Vec<u8> {
        let mut members = serde_json::Map::new();
        for (member, variable) in MEMBERS {
            let template = format!("https://peer.example/x/{member}/{{{variable}}}");
            members.insert(member.into(), Value::String(template));
        }
        change(&mut members);
        serde_json::to_vec(&Value::Object(members)).unwrap()
    }

    #[test]
    fn r10_our_document_has_the_seven_members_and_one_more() {
        assert_eq!(Directory::PATH, "/.well-known/mimi-protocol-directory");
        let document: Value = serde_json::from_slice(&ours().to_json().unwrap()).unwrap();
        let mut expected = json!({ "mimi-edge-ratchet-tree": "full byReference" });
        for (member, variable) in MEMBERS {
            expected[member] = json!(format!("https://alpha.example/v1/{member}/{{{variable}}}"));
        }
        assert_eq!(document, expected);
        assert_eq!(Directory::from_json(&ours().to_json().unwrap()).unwrap(), ours());
    }

    #[test]
    fn r10_a_document_without_the_seven_strings_is_refused() {
        assert!(Directory::from_json(&peer(|_| ())).is_ok());
        for (member, _) in MEMBERS {
            for value in [
                None,
                Some(json!(null)),
                Some(json!(7)),
                Some(json!(["https://peer.example"])),
                Some(json!("http://peer.example/{roomId}")),
                Some(json!("/v1/update/{roomId}")),
            ] {
                let document = peer(|members| {
                    members.remove(member);
                    members.extend(value.clone().map(|value| (member.to_owned(), value)));
                });
                let refused = Directory::from_json(&document);
                assert!(
                    matches!(refused, Err(ProtocolError::BadGateway(_))),
                    "{member}: {value:?}"
                );
            }
        }
        let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
        let deep = format!("{{\"more\":{}}}", nested(20_000));
        for document in ["", "[]", "\"\"", "{}", "{", "null", &nested(20_000), &deep] {
            assert_eq!(
                Directory::from_json(document.as_bytes()),
                Err(ProtocolError::BadGateway("directory document")),
            );
        }
    }

    #[test]
    fn d13_a_document_names_hosts_and_no_addresses() {
        let of = |url: &str| {
            Directory::from_json(&peer(|members| {
                members.insert("notify".into(), json!(url));
            }))
        };
        for url in ["https://Odd.Example:8443/{roomId}", "https://a.example?room={roomId}"] {
            assert_eq!(of(url).map(|document| document.notify), Ok(url.into()));
        }
        for url in [
            "https://10.0.0.1/{roomId}",
            "https://127.1:8443/{roomId}",
            "https://0x7f000001.1/{roomId}",
            "https://[::1]/{roomId}",
            "https://a.example@10.0.0.1/{roomId}",
            "https://10.0.0.1\\.a.example/{roomId}",
            "https://{roomId}/notify",
            "https://a.example:port/{roomId}",
            "https:///{roomId}",
            "https://",
        ] {
            let refused = Err(ProtocolError::BadGateway("directory URL without a host name"));
            assert_eq!(of(url), refused, "{url}");
        }
    }

    #[test]
    fn a23_a_hub_takes_by_reference_only_if_it_says_so() {
        let support = |words: Option<&str>| {
            let document = peer(|members| {
                members.extend(words.map(|w| ("mimi-edge-ratchet-tree".to_owned(), json!(w))));
            });
            Directory::from_json(&document).unwrap().ratchet_tree_support()
        };
        assert_eq!(ours().ratchet_tree_support(), RatchetTreeSupport::ByReference);
        for words in [None, Some(""), Some("full"), Some("byreference"), Some("fullbyReference")] {
            assert_eq!(support(words), RatchetTreeSupport::Full, "{words:?}");
        }
        for words in ["full byReference", "byReference"] {
            assert_eq!(support(Some(words)), RatchetTreeSupport::ByReference, "{words}");
        }
    }

    #[test]
    fn r11_expansion_encodes_all_but_unreserved_characters() {
        for (template, value, url) in [
            (
                "https://a.example/v1/update/{roomId}",
                "clubhouse@alpha.example",
                "https://a.example/v1/update/clubhouse%40alpha.example",
            ),
            (
                "https://odd.example:8443/{targetUser}/keys?v=1",
                "mimi://a.example/u/bob",
                "https://odd.example:8443/mimi%3A%2F%2Fa.example%2Fu%2Fbob/keys?v=1",
            ),
            ("https://a.example/{x}", "Az09-._~", "https://a.example/Az09-._~"),
            (
                "https://a.example/{x}",
                "a b%c+d{e}é",
                "https://a.example/a%20b%25c%2Bd%7Be%7D%C3%A9",
            ),
            ("https://a.example/{x}/{y}", "u", "https://a.example/u/u"),
            ("https://a.example/fixed", "u", "https://a.example/fixed"),
            ("https://a.example/{open", "u", "https://a.example/{open"),
            ("https://a.example/{x}/{open", "u", "https://a.example/u/{open"),
        ] {
            assert_eq!(Directory::expand(template, value), url);
        }
    }

    #[test]
    fn r11_percent_encoding_is_undone_by_decoding() {
        for text in ["clubhouse@alpha.example", "", "100% é/\u{1F600}", "mimi://a/u/b"] {
            assert_eq!(percent_decode(&percent_encode(text)).as_deref(), Some(text));
        }
        assert_eq!(percent_decode("a%2fb%2Fc+d").as_deref(), Some("a/b/c+d"));
        for broken in ["%", "%4", "%zz", "%+4", "%ff", "a%"] {
            assert_eq!(percent_decode(broken), None, "{broken}");
        }
    }

    #[test]
    fn r12_both_templates_for_update_expand() {
        let directory = ours();
        let room = "clubhouse@alpha.example";
        assert_eq!(
            Directory::expand(&directory.update, room),
            "https://alpha.example/v1/update/clubhouse%40alpha.example"
        );
        let document = peer(|members| {
            members.insert("update".into(), json!("https://mimi.example.com/v1/update{roomId}"));
        });
        assert_eq!(
            Directory::expand(&Directory::from_json(&document).unwrap().update, room),
            "https://mimi.example.com/v1/updateclubhouse%40alpha.example"
        );
    }

    #[test]
    fn r13_unknown_members_are_ignored() {
        let document = peer(|members| {
            members.insert("proxyDownload".into(), json!("https://peer.example/{x}"));
            members.insert("more".into(), json!({ "nested": [1, null] }));
        });
        assert_eq!(Directory::from_json(&document), Directory::from_json(&peer(|_| ())));
        assert!(Directory::from_json(&document).is_ok());
    }
}
