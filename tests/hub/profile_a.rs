//! A room of profile A at its hub (D1, R35, R36, R45, R54): the same rules, another way of AppSyncs.

use mimi_edge::{
    room::{
        Profile,
        app_sync::{app_sync_proposal, extensions_to_propose, participant_list, resolve},
    },
    wire::{AppSync, RoomCreation, UpdateResponseCode as Code, encode},
};
use openmls::{
    group::GroupContext,
    messages::proposals::Proposal,
    prelude::{
        Extension, ExtensionType, Extensions, ProposalType, RequiredCapabilitiesExtension,
        UnknownExtension,
    },
};
use tls_codec::VLBytes;

use crate::{
    common::{
        group::{Member, list_change, sync},
        hub::{Hub, provider, source_of},
        member::{Draft, Resolving, Upload, adds, bans, member, removes, uri},
        own_group::RoomChange,
        proposals::bundle,
    },
    update::commit_of,
};

const BRAVO: &str = "bravo.example";
const MISMATCH: (u16, Code, &str) =
    (422, Code::InvalidProposal, "the list is not what the AppSyncs make of it");

fn alice_of_a() -> Member {
    let mut alice = member("alice@alpha.example/phone");
    alice.profile = Profile::A;
    alice
}

/// Alice's room of profile A with bob of bravo in it; everything is delivered.
fn room_of_two() -> (Hub, Member, Member) {
    let (mut hub, mut alice) = (Hub::new(), alice_of_a());
    let mut bob = member("bob@bravo.example/phone");
    let body = encode(&alice.creation(None)).unwrap();
    assert_eq!(hub.create(source_of(&alice.client), body).status, 201);
    let packages = hub.claim(&alice.client, &mut [&mut bob]);
    let adds = packages.iter().map(|package| package.key_package.clone()).collect();
    let change = RoomChange { adds, ..list_change(adds_of("bob@bravo.example")) };
    commit(&mut hub, &mut alice, change);
    let sent = hub.deliver();
    bob.enter(&sent.iter().find_map(|sent| sent.welcome_for(&bob.client)).unwrap());
    hub.effects();
    (hub, alice, bob)
}

fn adds_of(user: &str) -> AppSync {
    adds(&uri(user))
}

/// A commit of alice's that the hub accepts.
fn commit(hub: &mut Hub, alice: &mut Member, change: RoomChange) {
    let upload = Upload::from(alice.commit(change).unwrap());
    hub.accept(source_of(&alice.client), &upload);
    alice.merge_own();
}

fn custom(app_sync: &AppSync) -> Proposal {
    app_sync_proposal(Profile::A, app_sync).unwrap()
}

/// The hub refuses alice's draft, and nothing is left of it.
fn refuses(hub: &mut Hub, alice: &mut Member, draft: Draft, refusal: (u16, Code, &str)) {
    let upload = alice.build(draft);
    alice.clear_own();
    hub.refuses_update(source_of(&alice.client), upload.body(), refusal);
}

#[test]
fn d1_r35_a_room_of_profile_a_follows_its_list() {
    let (mut hub, mut alice, mut bob) = room_of_two();
    assert_eq!(alice.list(), bob.list());
    for (change, users) in [
        (list_change(adds_of("cathy@charlie.example")), 3),
        (RoomChange { policy: Some(b"policy".to_vec()), ..RoomChange::default() }, 3),
        (list_change(removes(&uri("cathy@charlie.example"))), 2),
    ] {
        commit(&mut hub, &mut alice, change);
        let [fanout] = &hub.notified(BRAVO)[..] else { panic!("one commit") };
        bob.process(fanout);
        assert_eq!(bob.list().participants.len(), users);
        assert_eq!(alice.extensions(), bob.extensions());
    }
    // Messages still go through: the hub knows who is active (R45, R68).
    let message = alice.message("hello");
    assert_eq!(hub.submit(source_of(&alice.client), message).status, 200);
}

#[test]
fn r45_who_is_banned_by_a_custom_app_sync_commits_nothing() {
    let (mut hub, mut alice, mut bob) = room_of_two();
    commit(&mut hub, &mut alice, list_change(bans(&bob.user())));
    bob.process(&hub.notified(BRAVO)[0]);
    hub.effects();
    let upload = Upload::from(bob.commit(list_change(removes(&alice.user()))).unwrap());
    let refused = (403, Code::NotAllowed, "only participants commit");
    hub.refuses_update(provider(BRAVO), upload.body(), refused);
}

#[test]
fn r40_who_is_added_stands_on_the_list_of_the_same_commit() {
    let (mut hub, mut alice, _) = room_of_two();
    let mut cathy = member("cathy@charlie.example/phone");
    let packages = hub.claim(&alice.client, &mut [&mut cathy]);
    hub.deliver();
    let draft = Draft { adds: packages, ..Draft::default() };
    let refused = (403, Code::NotAllowed, "a client enters whose user does not take part");
    refuses(&mut hub, &mut alice, draft, refused);
}

/// The extensions that a commit of these AppSyncs has to propose.
fn extensions_after(alice: &mut Member, app_syncs: &[&Proposal]) -> Extensions<GroupContext> {
    let old = alice.extensions();
    let list = participant_list(&old).unwrap();
    let resolution = resolve(Profile::A, &list, app_syncs.iter().copied()).unwrap();
    extensions_to_propose(&old, &resolution, None).unwrap().unwrap()
}

#[test]
fn r35_the_list_is_what_the_app_syncs_make_of_it() {
    let (mut hub, mut alice, _) = room_of_two();
    let dave = custom(&adds_of("dave@alpha.example"));
    let erin = custom(&adds_of("erin@alpha.example"));
    let with_dave = extensions_after(&mut alice, &[&dave]);
    for (extensions, proposals) in [
        (None, vec![dave.clone()]),
        (Some(alice.extensions()), vec![dave.clone()]),
        (Some(with_dave.clone()), vec![erin.clone()]),
        (Some(with_dave.clone()), vec![dave.clone(), erin]),
        (Some(with_dave.clone()), Vec::new()),
    ] {
        let draft = Draft { proposals, extensions, ..Draft::default() };
        refuses(&mut hub, &mut alice, draft, MISMATCH);
    }
    let draft = Draft { proposals: vec![dave], extensions: Some(with_dave), ..Draft::default() };
    hub.accept(source_of(&alice.client), &alice.build(draft));
}

#[test]
fn r35_each_profile_refuses_the_app_syncs_of_the_other() {
    let refused = (422, Code::InvalidProposal, "an AppSync of the other profile");
    let (mut hub, mut alice, _) = room_of_two();
    let dave = adds_of("dave@alpha.example");
    let draft = Draft { proposals: vec![sync(&dave)], ..Draft::default() };
    let upload = alice.build(Draft { resolution: Resolving::KeepsTheOldList, ..draft });
    hub.refuses_update(source_of(&alice.client), upload.body(), refused);
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    hub.effects();
    let draft = Draft { proposals: vec![custom(&dave)], ..Draft::default() };
    refuses(&mut hub, &mut alice, draft, refused);
}

#[test]
fn r36_nothing_else_changes_and_the_policy_has_16_kib() {
    let (mut hub, mut alice, _) = room_of_two();
    let dave = custom(&adds_of("dave@alpha.example"));
    let right = extensions_after(&mut alice, &[&dave]);
    let mut senders = right.clone();
    senders.add(Extension::ExternalSenders(vec![hub.external_sender()])).unwrap();
    let mut large = right;
    let policy = encode(&VLBytes::from(vec![0; (16 << 10) + 1])).unwrap();
    large.add(Extension::Unknown(0xF0A7, UnknownExtension(policy))).unwrap();
    for (extensions, refused) in [
        (senders, (403, Code::NotAllowed, "only the policy may change this way")),
        (large, (422, Code::InvalidProposal, "the room's policy")),
    ] {
        let proposals = vec![dave.clone()];
        let draft = Draft { proposals, extensions: Some(extensions), ..Draft::default() };
        refuses(&mut hub, &mut alice, draft, refused);
    }
}

#[test]
fn r53_a_commit_carries_no_custom_proposal_of_another_type() {
    let (mut hub, mut alice, _) = room_of_two();
    let good = alice.build(Draft::default());
    for (proposal, refusal) in [
        ([0xF0, 0xA4, 1, 1], "a proposal type"),
        // An AppSync comes as far as the signature.
        ([0xF0, 0xA5, 1, 1], "MLS refuses the message"),
    ] {
        let upload = Upload { message: commit_of(&proposal), ..good.clone() };
        let refused = (422, Code::InvalidProposal, refusal);
        hub.refuses_update(source_of(&alice.client), upload.body(), refused);
    }
}

#[test]
fn d1_the_group_context_is_that_of_one_profile() {
    let mut hub = Hub::new();
    let both = |extensions: &mut Extensions<GroupContext>| {
        let required = extensions.required_capabilities().unwrap().clone();
        let proposals = [ProposalType::AppDataUpdate, ProposalType::Custom(0xF0A5)];
        let required = RequiredCapabilitiesExtension::new(
            required.extension_types(),
            &proposals,
            required.credential_types(),
        );
        extensions.add_or_replace(Extension::RequiredCapabilities(required)).unwrap();
    };
    let without_list = |extensions: &mut Extensions<GroupContext>| {
        extensions.remove(ExtensionType::Unknown(0xF0A6)).unwrap();
    };
    let mixed = alice_of_a().creation_with(both);
    refuses_creation(&mut hub, &mixed, "invalid proposal: the room's profile");
    let bare = alice_of_a().creation_with(without_list);
    refuses_creation(&mut hub, &bare, "invalid proposal: the group context's extensions");
}

fn refuses_creation(hub: &mut Hub, creation: &RoomCreation, text: &str) {
    let before = hub.rows();
    let source = source_of(&alice_of_a().client);
    let response = hub.create(source, encode(creation).unwrap());
    assert_eq!((response.status, response.body), (422, text.as_bytes().to_vec()));
    assert!(hub.rows() == before, "a refusal stored something");
    assert_eq!(hub.deliver(), Vec::new());
    assert_eq!(hub.effects(), Vec::new());
}

#[test]
fn r53_r54_a_custom_app_sync_waits_and_is_covered_with_the_extensions_of_it() {
    let (mut hub, mut alice, mut bob) = room_of_two();
    let leave = bob.leave(&[&bob.client.clone()]);
    hub.propose(provider(BRAVO), &leave);
    // R54: covered by none, or by value.
    for change in [RoomChange::default(), list_change(removes(&bob.user()))] {
        let upload = Upload::from(alice.commit(change).unwrap());
        alice.clear_own();
        hub.pending(source_of(&alice.client), &upload, &leave);
    }
    for proposal in &leave {
        alice.receive_proposal(proposal);
    }
    // R35: what it makes of the list is missing, or is not what all of them make of it.
    let erin = custom(&adds_of("erin@alpha.example"));
    let erin_alone = extensions_after(&mut alice, &[&erin]);
    for draft in [
        Draft::default(),
        Draft { proposals: vec![erin], extensions: Some(erin_alone), ..Draft::default() },
    ] {
        refuses(&mut hub, &mut alice, draft, MISMATCH);
    }
    commit(&mut hub, &mut alice, list_change(adds_of("erin@alpha.example")));
    let users: Vec<_> = alice.list().participants.into_iter().map(|entry| entry.user.0).collect();
    assert_eq!(users, ["alice@alpha.example", "erin@alpha.example"]);
}

#[test]
fn r38_r53_a_custom_app_sync_that_is_not_valid_does_not_wait() {
    let (mut hub, _, mut bob) = room_of_two();
    let dave = removes(&uri("dave@alpha.example"));
    let absent = bob.app_sync(&dave);
    let of_profile_b = bob.signed_proposal(&encode(&sync(&removes(&bob.user()))).unwrap());
    for (proposal, why) in
        [(absent, "a user is not on the list"), (of_profile_b, "an AppSync of the other profile")]
    {
        let refused = (422, Code::InvalidProposal, why);
        hub.refuses_update(provider(BRAVO), bundle(&[proposal]), refused);
    }
}
