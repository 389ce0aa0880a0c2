//! Identifiers against `vectors/uris.json`, which `tests/js/uri.test.ts` reads too: the core and the
//! package take and refuse the same ones.

use std::collections::BTreeMap;

use mimi_edge::{
    error::UsageError,
    wire::uri::{ClientUri, MAX_IDENTIFIER_BYTES, RoomUri, UserUri},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    valid: Vec<(String, String)>,
    invalid: Vec<String>,
}

/// The domain of an identifier of this kind.
fn domain(kind: &str, text: &str) -> Result<String, UsageError> {
    match kind {
        "user" => UserUri::parse(text).map(|uri| uri.domain().to_string()),
        "room" => RoomUri::parse(text).map(|uri| uri.domain().to_string()),
        "client" => ClientUri::parse(text).map(|uri| uri.domain().to_string()),
        _ => panic!("no such kind: {kind}"),
    }
}

#[test]
fn r1_a25_d15_identifiers_of_the_shared_vectors() {
    let vectors: BTreeMap<String, Cases> =
        serde_json::from_str(include_str!("vectors/uris.json")).unwrap();
    assert_eq!(vectors.keys().collect::<Vec<_>>(), ["client", "room", "user"]);
    for (kind, Cases { valid, invalid }) in &vectors {
        for (text, expected) in valid {
            assert_eq!(domain(kind, text).as_ref(), Ok(expected), "{kind} {text:?}");
        }
        for text in invalid {
            assert_eq!(domain(kind, text), Err(UsageError::BadUri), "{kind} {text:?}");
        }
    }
}

#[test]
fn d15_no_identifier_is_longer_than_255_bytes() {
    let rest = "@alpha.example";
    let longest = format!("ä{}{rest}", "a".repeat(MAX_IDENTIFIER_BYTES - 2 - rest.len()));
    assert_eq!(longest.len(), MAX_IDENTIFIER_BYTES);
    for kind in ["user", "room"] {
        assert_eq!(domain(kind, &longest).unwrap(), "alpha.example");
        assert_eq!(domain(kind, &format!("a{longest}")), Err(UsageError::BadUri));
    }
    assert_eq!(domain("client", &format!("{longest}/d")), Err(UsageError::BadUri));
}
