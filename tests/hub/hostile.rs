//! What hostile members and providers send: refused, and the room goes on.

use mimi_edge::wire::Verbatim;
use openmls::prelude::PublicMessageIn;
use tls_codec::DeserializeBytes;

use crate::{BRAVO, alices, common::hub::Hub};

/// Every truncation of a good body is malformed, and changes nothing.
#[test]
fn r5_truncated_bodies_are_malformed() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let body = alice.propose(Vec::new(), &[], &[]).body();
    let before = hub.rows();
    for length in (0..body.len()).step_by(7) {
        let response = hub.update(alices(), body[..length].to_vec());
        assert_eq!(response.status, 400, "at {length}");
    }
    let response = hub.update(alices(), [&body[..], &[0]].concat());
    assert_eq!(response.status, 400);
    assert!(hub.rows() == before);
}

/// Every single-bit change of a good body is refused: nothing in it is unprotected.
#[test]
fn r50_every_changed_bit_is_refused() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let body = alice.propose(Vec::new(), &[], &[]).body();
    let membership_tag = membership_tag_range(&body);
    let before = hub.rows();
    for at in (0..body.len()).filter(|at| !membership_tag.contains(at)).step_by(3) {
        let mut changed = body.clone();
        changed[at] ^= 1 << (at % 8);
        let response = hub.update(alices(), changed);
        assert_ne!(response.status, 200, "at {at}");
        assert!(hub.rows() == before, "at {at}");
    }
    assert_eq!(hub.update(alices(), body).status, 200);
    bob.process(&hub.notified(BRAVO)[0]);
}

/// The hub cannot check the membership tag: it has no secrets.
fn membership_tag_range(body: &[u8]) -> std::ops::Range<usize> {
    let (_, rest) = Verbatim::<PublicMessageIn>::tls_deserialize_bytes(body).unwrap();
    let end = body.len() - rest.len();
    end - 32..end
}
