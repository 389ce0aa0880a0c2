//! `POST /submitMessage/{roomId}` (R67, R70–R72, R45).

use mimi_edge::{
    transport::{Endpoint, Source},
    wire::{Protocol, SubmitMessageResponse, SubmitStatus, encode, uri::UserUri},
};

use crate::common::{
    group::{room, sync},
    hub::{Hub, provider, source_of},
    member::{adds, bans, member, removes, uri},
};

const BRAVO: &str = "bravo.example";

fn endpoint(sending_user: Option<UserUri>) -> Endpoint {
    Endpoint::SubmitMessage { room: room(), sending_user }
}

fn status(status: SubmitStatus) -> Vec<u8> {
    encode(&SubmitMessageResponse { protocol: Protocol::MLS10, status }).unwrap()
}

fn not_allowed() -> (u16, Vec<u8>) {
    (403, status(SubmitStatus::NotAllowed))
}

#[test]
fn r72_accepted_says_when() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    hub.now = hub.now.plus(10_000);
    let response = hub.submit(source_of(&alice.client), alice.message("hello"));
    let body = [&[1, 0][..], &hub.now.0.to_be_bytes()].concat();
    assert_eq!((response.status, response.body), (200, body));
}

#[test]
fn r67_the_same_message_again_has_its_first_timestamp_and_no_effect() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let body = bob.message("hello");
    let first = hub.submit(provider(BRAVO), body.clone());
    assert_eq!(first.status, 200);
    hub.deliver();
    hub.effects();
    hub.now = hub.now.plus(5_000);
    hub.refused(provider(BRAVO), endpoint(None), body.clone(), (200, first.body.clone()));
    // Also when the epoch has ended since.
    let upload = alice.propose(Vec::new(), &[], &[]);
    hub.accept(source_of(&alice.client), &upload);
    hub.deliver();
    hub.effects();
    hub.restart();
    hub.refused(provider(BRAVO), endpoint(None), body, (200, first.body));
}

#[test]
fn r70_only_an_application_private_message_of_the_room() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let source = source_of(&alice.client);
    let message = alice.message("hello");
    let malformed = |text: &str| (400, format!("malformed: {text}").into_bytes());
    let mut refused = |body: Vec<u8>, text: &str| {
        hub.refused(source.clone(), endpoint(None), body, malformed(text));
    };
    refused(Vec::new(), "body");
    refused(message[..message.len() - 1].to_vec(), "body");
    refused([&message[..], &[0]].concat(), "body");
    let commit = alice.propose(Vec::new(), &[], &[]).message;
    refused([&[0, 1, 0, 1][..], &commit].concat(), "not a PrivateMessage");
    let mut other = message.clone();
    other[5] = b'C';
    refused(other, "another group");
    // Header, group id with its length, epoch; then the content type.
    let mut handshake = message;
    handshake[4 + 1 + room().as_str().len() + 8] = 3;
    refused(handshake, "not an application message");
}

#[test]
fn r70_only_the_current_epoch() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let source = source_of(&alice.client);
    let old = alice.message("old");
    let upload = alice.propose(Vec::new(), &[], &[]);
    alice.merge_own();
    let future = alice.message("future");
    hub.refused(source.clone(), endpoint(None), future.clone(), not_allowed());
    hub.accept(source.clone(), &upload);
    hub.deliver();
    hub.effects();
    let too_old = (409, status(SubmitStatus::EpochTooOld(2)));
    hub.refused(source.clone(), endpoint(None), old, too_old);
    assert_eq!(hub.submit(source, future).status, 200);
}

#[test]
fn r71_the_source_has_an_active_participant_and_names_one() {
    let (mut hub, _, mut bob) = Hub::with_alice_and_bob();
    let body = bob.message("hello");
    for (source, sending_user) in [
        (provider("charlie.example"), None),
        (provider(BRAVO), Some(uri("alice@alpha.example"))),
        (provider(BRAVO), Some(uri("beth@bravo.example"))),
        (source_of(&member("alice@alpha.example/laptop").client), None),
        (source_of(&member("dave@alpha.example/phone").client), None),
        (Source::Own, None),
    ] {
        hub.refused(source, endpoint(sending_user), body.clone(), not_allowed());
    }
    let named = endpoint(Some(uri("bob@bravo.example")));
    assert_eq!(hub.call(provider(BRAVO), named, body).status, 200);
}

#[test]
fn r45_a_banned_or_removed_user_neither_sends_nor_receives() {
    for change in [bans, removes] {
        let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
        let alices = source_of(&alice.client);
        hub.accept(alices.clone(), &alice.propose(vec![sync(&change(&bob.user()))], &[], &[]));
        alice.merge_own();
        bob.process(&hub.notified(BRAVO)[0]);
        hub.effects();
        hub.refused(provider(BRAVO), endpoint(None), bob.message("hello"), not_allowed());
        assert_eq!(hub.submit(alices, alice.message("without you")).status, 200);
        assert_eq!(hub.deliver(), Vec::new());
    }
}

#[test]
fn r45_a_banned_own_user_sends_nothing() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let alices = source_of(&alice.client);
    hub.accept(provider(BRAVO), &bob.propose(vec![sync(&bans(&alice.user()))], &[], &[]));
    alice.process(&hub.notified(BRAVO)[0]);
    hub.effects();
    hub.refused(alices, endpoint(None), alice.message("hello"), not_allowed());
}

#[test]
fn r62_an_unknown_room_is_404() {
    let (_, mut alice, _) = Hub::with_alice_and_bob();
    let body = alice.message("hello");
    let unknown = (404, b"not found: room".to_vec());
    Hub::new().refused(source_of(&alice.client), endpoint(None), body, unknown);
}

#[test]
fn r68_who_has_no_leaf_is_no_active_participant() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let mut cathy = member("cathy@charlie.example/phone");
    let charlie = || provider("charlie.example");
    let packages = hub.claim(&alice.client, &mut [&mut cathy]);
    // On the list, without a leaf: charlie is not in the room.
    let alices = source_of(&alice.client);
    hub.accept(alices.clone(), &alice.propose(vec![sync(&adds(&cathy.user()))], &[], &[]));
    alice.merge_own();
    bob.process(&hub.notified(BRAVO)[0]);
    hub.effects();
    hub.refused(charlie(), endpoint(None), bob.message("not mine"), not_allowed());
    assert_eq!(hub.submit(alices.clone(), alice.message("for bob")).status, 200);
    assert_eq!(hub.notified("charlie.example"), Vec::new());
    // With a leaf it is.
    hub.accept(alices.clone(), &alice.propose(Vec::new(), &packages, &[]));
    alice.merge_own();
    hub.deliver();
    assert_eq!(hub.submit(alices, alice.message("for all")).status, 200);
    assert_eq!(hub.notified("charlie.example").len(), 1);
}
