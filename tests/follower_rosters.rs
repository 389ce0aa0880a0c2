//! What a follower knows of the room's members: by proposals of all kinds.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use mimi_edge::{
    mls::{MlsProvider, credential::credential_of_hub, without_header},
    room::Profile,
    transport::{Endpoint, Response, Source},
    wire::{AppSync, FromProvider, IdentifierUri},
};
use openmls::{
    extensions::ExternalSender,
    messages::external_proposals::ExternalProposal,
    prelude::{LeafNodeIndex, SenderExtensionIndex, WireFormat},
};
use openmls_basic_credential::SignatureKeyPair;

use common::{
    follower::{BOB, Follower, Story, alpha, device, handshake, listed, user_uri, welcome},
    group::{SUITE, list_change, no_membership, room},
    member::member,
    own_group::{RoomChange, group_id},
};

const BOB_USER: &str = "bob@bravo.example";

fn deleted(user: &str) -> Endpoint {
    Endpoint::UserDeleted { user: user_uri(user) }
}

fn submit() -> Endpoint {
    Endpoint::SubmitMessage { room: room(), sending_user: Some(user_uri(BOB_USER)) }
}

#[test]
fn r69_a_self_remove_takes_its_senders_leaf_with_the_commit() {
    let mut story = Story::new();
    story.bob_joins();
    let before = story.message();
    let bare = story
        .bob
        .with_group(|group, provider, key| {
            let message = group.leave_group_via_self_remove(provider, key).unwrap();
            without_header(&message, WireFormat::PublicMessage)
        })
        .unwrap();
    let proposal = story.proposal(&bare);
    let (commit, _) = story.commit(RoomChange::default());
    let after = story.message();
    story.follower.accept(&[&proposal, &before]);
    // Nothing is decided by the proposal.
    assert_eq!(story.follower.seen(BOB), [1, 2]);
    story.follower.accept(&[&commit, &after]);
    assert_eq!(story.follower.seen(BOB), [1, 2, 3]);
    assert!(!story.follower.events(BOB, 0).gap);
}

#[test]
fn r77_a_remove_that_the_hub_proposed_takes_effect_with_the_commit() {
    let key = SignatureKeyPair::new(SUITE.signature_algorithm()).unwrap();
    let domain = mimi_edge::wire::uri::Domain::parse("alpha.example").unwrap();
    let hub = ExternalSender::new(key.public().into(), credential_of_hub(&domain));
    let mut story = Story::with(Some(hub), Profile::B);
    let epoch = story.alice.state().0;
    let message = ExternalProposal::new_remove::<MlsProvider<'_, '_>>(
        LeafNodeIndex::new(1),
        group_id(&room()),
        epoch.into(),
        &key,
        SenderExtensionIndex::new(0),
    )
    .unwrap();
    let bare = without_header(&message, WireFormat::PublicMessage).unwrap();
    let proposal = story.proposal(&bare);
    let gone = AppSync { remove_users: vec![IdentifierUri(BOB_USER.into())], ..AppSync::default() };
    let (commit, _) = story.commit(list_change(gone));
    let after = story.message();
    story.follower.accept(&[&proposal, &commit, &after]);
    assert_eq!(story.follower.seen(BOB), [1, 2]);
    assert!(!story.follower.events(BOB, 0).gap);
    assert_eq!(story.follower.told(), [(BOB_USER.into(), no_membership(), Vec::new())]);
}

#[test]
fn d19_nothing_of_the_room_is_for_a_user_who_was_deleted() {
    let mut story = Story::new();
    let before = story.message();
    story.follower.accept(&[&before]);
    story.follower.pushed();
    let response = story.follower.answer(Source::Own, deleted(BOB_USER), b"");
    assert_eq!(response, Response::empty(200));
    assert_eq!(story.follower.told(), []);
    let (commit, _) = story.commit(RoomChange::default());
    let message = story.message();
    story.follower.accept(&[&commit, &message]);
    assert_eq!(story.follower.pushed(), []);
    assert_eq!(story.follower.seen(BOB), [1]);
    story.follower.assert_refused(403, |follower| follower.answer(device(BOB), submit(), b"hi"));
    // Again changes nothing, and others are not concerned.
    let stored = story.follower.storage.snapshot();
    for user in [BOB_USER, "bea@bravo.example"] {
        let response = story.follower.answer(Source::Own, deleted(user), b"");
        assert_eq!(response, Response::empty(200));
    }
    assert_eq!(story.follower.storage.snapshot(), stored);
}

#[test]
fn d19_only_own_objects_say_that_a_user_was_deleted() {
    let mut story = Story::new();
    for source in [alpha(), device(BOB)] {
        story.follower.assert_refused(404, |follower| {
            follower.answer(source.clone(), deleted(BOB_USER), b"")
        });
    }
    let mut stranger = Follower::new();
    stranger.assert_refused(404, |follower| follower.answer(Source::Own, deleted(BOB_USER), b""));
}

#[test]
fn r82_a_commit_that_comes_twice_with_the_welcome_between_is_followed_once() {
    let mut story = Story::new();
    let mut bea = member("bea@bravo.example/phone");
    let package = story.follower.claimed(&mut bea);
    let commit = story.alice.commit(listed("bea@bravo.example", &[&package])).unwrap();
    story.alice.merge_own();
    let message = handshake(&commit.message, 40);
    let invitation = welcome(commit.welcome.as_ref().unwrap(), &commit.tree, 40);
    story.follower.accept(&[&message, &invitation, &message]);
    story.follower.accept(&[&message, &invitation]);
    assert_eq!(story.follower.seen(BOB), [1]);
    assert_eq!(story.follower.seen("bea@bravo.example/phone"), [0; 0]);
    assert!(!story.follower.events(BOB, 0).gap);
}

#[test]
fn d22_a_message_of_an_epoch_whose_commit_did_not_come_is_a_gap() {
    let mut story = Story::new();
    let (first, _) = story.commit(RoomChange::default());
    let (_lost, _) = story.commit(RoomChange::default());
    let message = story.message();
    story.follower.accept(&[&first]);
    assert!(!story.follower.events(BOB, 0).gap);
    story.follower.pushed();
    story.follower.accept(&[&message]);
    let gap = FromProvider::Gap { room_id: room().to_wire() };
    assert_eq!(story.follower.pushed()[0].2, gap);
    assert!(story.follower.events(BOB, 1).gap);
    // From there on it fits again.
    let (third, _) = story.commit(RoomChange::default());
    story.follower.accept(&[&third]);
    assert_eq!(story.follower.pushed().len(), 1);
    assert!(!story.follower.events(BOB, 2).gap);
}
