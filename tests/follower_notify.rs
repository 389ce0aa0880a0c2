//! What a follower makes of the hub's notifications.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use mimi_edge::{
    mls::{key_package::KeyPackageKind, without_header},
    transport::{Endpoint, Response, Source},
    wire::{
        AppSync, EventPage, FromProvider, IdentifierUri, LogEvent, Role, RoomProfile, UserRoles,
        decode_exact, uri::Domain,
    },
};
use openmls::prelude::WireFormat;

use common::{
    follower::{BOB, Follower, Story, alpha, device, listed, private, user_uri, welcome},
    group::{Member, list_change, membership, no_membership, room},
    member::member,
    own_group::RoomChange,
};

const BOB_USER: &str = "bob@bravo.example";

fn roles(user: &str, role: Role) -> UserRoles {
    UserRoles { user: IdentifierUri(user.into()), roles: vec![role] }
}

fn banned(user: &str) -> RoomChange {
    list_change(AppSync { update_users: vec![roles(user, Role::Banned)], ..AppSync::default() })
}

fn regular(user: &str) -> RoomChange {
    let update_users = vec![roles(user, Role::RegularUser)];
    list_change(AppSync { update_users, ..AppSync::default() })
}

fn taken_off(user: &str, leaves: &[u32]) -> RoomChange {
    let app_sync = AppSync { remove_users: vec![IdentifierUri(user.into())], ..AppSync::default() };
    RoomChange { removes: leaves.to_vec(), ..list_change(app_sync) }
}

fn removed(leaves: &[u32]) -> RoomChange {
    RoomChange { removes: leaves.to_vec(), ..RoomChange::default() }
}

fn gap() -> FromProvider {
    FromProvider::Gap { room_id: room().to_wire() }
}

#[test]
fn d3_the_first_welcome_makes_the_room_known_and_reaches_the_user() {
    let mut alice = member("alice@alpha.example/phone");
    let mut bob = member(BOB);
    alice.create(None);
    let mut follower = Follower::new();
    let package = follower.claimed(&mut bob);
    let commit = alice.commit(listed(BOB_USER, &[&package])).unwrap();
    let invitation = welcome(commit.welcome.as_ref().unwrap(), &commit.tree, 5);

    assert_eq!(follower.notify(&[&invitation]), Response::empty(200));
    assert_eq!(
        follower.told(),
        [
            (BOB_USER.into(), Endpoint::DeliverWelcome { room: room() }, invitation),
            (BOB_USER.into(), membership(None), Vec::new()),
        ]
    );
    // The log starts empty, and bob's device may read it from its start (D11).
    let empty = EventPage { events: Vec::new(), end: 0, more: false, gap: false };
    assert_eq!(follower.events(BOB, 0), empty);
    let message = private(
        &{
            alice.merge_own();
            alice.send(b"hello")
        },
        6,
    );
    follower.accept(&[&message]);
    assert_eq!(follower.seen(BOB), [1]);
    assert_eq!(follower.answer(Source::Own, Endpoint::Exists, b""), Response::empty(200));
}

#[test]
fn r75_r79_commits_and_messages_are_logged_as_they_came_and_pushed() {
    let mut story = Story::new();
    let (commit, _) = story.commit(list_change(AppSync {
        add_users: vec![roles("cathy@charlie.example", Role::RegularUser)],
        ..AppSync::default()
    }));
    let message = story.message();
    story.follower.accept(&[&commit, &message]);
    let event = |position, previous, message: &[u8]| LogEvent {
        room_id: room().to_wire(),
        position,
        previous,
        message: decode_exact(message).unwrap(),
    };
    let [first, second] = [event(1, 0, &commit), event(2, 1, &message)];
    assert_eq!(second.message.timestamp, story.clock);
    let page = story.follower.events(BOB, 0);
    assert_eq!((page.events, page.end), (vec![first.clone(), second.clone()], 2));
    let push = |event| (BOB_USER.to_owned(), vec![BOB.to_owned()], FromProvider::Event(event));
    assert_eq!(story.follower.pushed(), [push(first), push(second)]);
    assert_eq!(story.follower.told(), []);
}

#[test]
fn r76_a_welcome_goes_to_the_users_of_its_key_packages_alone() {
    let mut story = Story::new();
    let mut bea = member("bea@bravo.example/phone");
    let mut cathy = member("cathy@charlie.example/phone");
    let package = story.follower.claimed(&mut bea);
    let foreign = cathy.key_package(KeyPackageKind::SingleUse);
    let change = RoomChange {
        app_sync: Some(AppSync {
            add_users: vec![
                roles("bea@bravo.example", Role::RegularUser),
                roles("cathy@charlie.example", Role::RegularUser),
            ],
            ..AppSync::default()
        }),
        adds: vec![package.key_package, foreign.key_package],
        ..RoomChange::default()
    };
    let (commit, invitation) = story.commit(change);
    let invitation = invitation.unwrap();
    story.follower.accept(&[&commit, &invitation]);
    let told = story.follower.told();
    let names: Vec<&str> = told.iter().map(|(user, ..)| user.as_str()).collect();
    assert_eq!(names, ["bea@bravo.example", "bea@bravo.example"]);
    assert!(told.contains(&(
        "bea@bravo.example".into(),
        Endpoint::DeliverWelcome { room: room() },
        invitation
    )));
    // Bea begins after the Commit that adds her (D11).
    let message = story.message();
    story.follower.accept(&[&message]);
    assert_eq!(story.follower.seen("bea@bravo.example/phone"), [2]);
    assert_eq!(story.follower.seen(BOB), [1, 2]);
}

#[test]
fn r78_an_empty_or_broken_body_is_400() {
    let mut story = Story::new();
    let message = story.message();
    story.follower.assert_refused(400, |follower| follower.notify(&[]));
    story.follower.assert_refused(400, |follower| follower.notify(&[&message, b"\0"]));
    let half = &message[..message.len() - 1];
    story.follower.assert_refused(400, |follower| follower.notify(&[half]));
}

#[test]
fn r8_a_message_of_another_group_is_400() {
    let mut story = Story::new();
    let good = story.message();
    // "clubhouse" with another first letter, in the group id alone.
    let mut other = story.message();
    let place = other.windows(4).position(|window| window == b"club").unwrap();
    other[place] = b'C';
    story.follower.assert_refused(400, |follower| follower.notify(&[&good, &other]));
}

#[test]
fn r80_a_welcome_without_its_tree_is_400() {
    let mut story = Story::new();
    let mut bea = member("bea@bravo.example/phone");
    let package = story.follower.claimed(&mut bea);
    let commit = story.alice.commit(listed("bea@bravo.example", &[&package])).unwrap();
    let whole = welcome(commit.welcome.as_ref().unwrap(), &commit.tree, 9);
    let length = whole.len() - mimi_edge::wire::encode(&commit.tree).unwrap().len() - 1;
    story.follower.assert_refused(400, |follower| follower.notify(&[&whole[..length]]));
}

#[test]
fn r81_only_the_rooms_hub_notifies() {
    let mut story = Story::new();
    let message = story.message();
    let charlie = Source::Provider(Domain::parse("charlie.example").unwrap());
    for source in [charlie, device(BOB), Source::Own] {
        story
            .follower
            .assert_refused(403, |follower| follower.notify_from(source.clone(), &message));
    }
}

#[test]
fn r81_an_unknown_room_is_404() {
    let mut story = Story::new();
    let message = story.message();
    let (commit, _) = story.commit(banned(BOB_USER));
    let mut stranger = Follower::new();
    stranger.assert_refused(404, |follower| follower.notify(&[&message]));
    stranger.assert_refused(404, |follower| follower.notify(&[&commit]));
    stranger.assert_refused(404, |follower| {
        follower.answer(device(BOB), Endpoint::Events { room: room(), after: 0 }, b"")
    });
    stranger.assert_refused(404, |follower| follower.answer(Source::Own, Endpoint::Exists, b""));
}

#[test]
fn r81_a_welcome_for_others_alone_is_404() {
    let mut alice = member("alice@alpha.example/phone");
    let mut cathy = member("cathy@charlie.example/phone");
    alice.create(None);
    let package = cathy.key_package(KeyPackageKind::SingleUse);
    let commit = alice.commit(listed("cathy@charlie.example", &[&package])).unwrap();
    let invitation = welcome(commit.welcome.as_ref().unwrap(), &commit.tree, 1);
    Follower::new().assert_refused(404, |follower| follower.notify(&[&invitation]));
}

#[test]
fn r81_a_key_package_that_went_out_through_another_hub_is_403() {
    let mut alice = member("alice@alpha.example/phone");
    let mut bob = member(BOB);
    alice.create(None);
    let package = bob.key_package(KeyPackageKind::SingleUse);
    let commit = alice.commit(listed(BOB_USER, &[&package])).unwrap();
    let invitation = welcome(commit.welcome.as_ref().unwrap(), &commit.tree, 1);
    Follower::new().assert_refused(403, |follower| follower.notify(&[&invitation]));
}

#[test]
fn r81_a_key_package_that_the_hub_claimed_without_a_room_is_known_too() {
    let mut alice = member("alice@alpha.example/phone");
    let mut bob = member(BOB);
    alice.create(None);
    let mut follower = Follower::new();
    let mut claims = Follower::named("*@alpha.example");
    let package = claims.claimed_for(&mut bob, "");
    follower.claims = Some(Box::new(claims));
    let commit = alice.commit(listed(BOB_USER, &[&package])).unwrap();
    let invitation = welcome(commit.welcome.as_ref().unwrap(), &commit.tree, 1);
    follower.accept(&[&invitation]);
    assert_eq!(follower.told()[0].0, BOB_USER);
    assert_eq!(follower.events(BOB, 0).events, []);
}

#[test]
fn only_own_objects_ask_whose_a_key_package_is() {
    let mut claims = Follower::named("*@alpha.example");
    for source in [alpha(), device(BOB)] {
        claims.assert_refused(404, |claims| {
            claims.answer(source.clone(), Endpoint::ClaimedBy, b"\0")
        });
    }
}

#[test]
fn d3_known_key_packages_with_unknown_ones_of_ours_are_taken() {
    let mut alice = member("alice@alpha.example/phone");
    let mut bob = member(BOB);
    let mut bea = member("bea@bravo.example/phone");
    alice.create(None);
    let mut follower = Follower::new();
    let known = follower.claimed(&mut bob);
    let unknown = bea.key_package(KeyPackageKind::SingleUse);
    let mut change = listed(BOB_USER, &[&known, &unknown]);
    change.app_sync.as_mut().unwrap().add_users.push(roles("bea@bravo.example", Role::RegularUser));
    let commit = alice.commit(change).unwrap();
    let invitation = welcome(commit.welcome.as_ref().unwrap(), &commit.tree, 1);
    follower.accept(&[&invitation]);
    assert!(follower.told().iter().all(|(user, ..)| user == BOB_USER));
}

#[test]
fn r82_a_message_that_came_before_is_answered_and_has_no_effect() {
    let mut story = Story::new();
    let (commit, _) = story.commit(removed(&[]));
    let message = story.message();
    story.follower.accept(&[&commit, &message, &message]);
    assert_eq!(story.follower.pushed().len(), 2);
    let before = story.follower.storage.snapshot();
    story.follower.accept(&[&message]);
    story.follower.accept(&[&commit, &message]);
    assert_eq!(story.follower.storage.snapshot(), before);
    assert_eq!(story.follower.pushed(), []);
    assert_eq!(story.follower.seen(BOB), [1, 2]);
    // Another timestamp makes it another message.
    let mut later = message.clone();
    *later.last_mut().unwrap() += 9;
    story.follower.accept(&[&message, &later]);
    assert_eq!(story.follower.seen(BOB), [1, 2, 3]);
}

#[test]
fn r82_a_welcome_that_came_before_is_not_delivered_again() {
    let mut story = Story::new();
    let mut bea = member("bea@bravo.example/phone");
    let package = story.follower.claimed(&mut bea);
    let (commit, invitation) = story.commit(listed("bea@bravo.example", &[&package]));
    let invitation = invitation.unwrap();
    story.follower.accept(&[&commit, &invitation]);
    assert_eq!(story.follower.told().len(), 2);
    story.follower.accept(&[&invitation]);
    assert_eq!(story.follower.told(), []);
}

#[test]
fn r82_a_body_is_taken_whole_or_not_at_all() {
    let mut story = Story::new();
    let message = story.message();
    let mut alien = member("cathy@charlie.example/phone");
    let mut other = member("alice@alpha.example/other");
    other.create(None);
    let package = alien.key_package(KeyPackageKind::SingleUse);
    let commit = other.commit(listed("cathy@charlie.example", &[&package])).unwrap();
    let invitation = welcome(commit.welcome.as_ref().unwrap(), &commit.tree, 1);
    story.follower.assert_refused(404, |follower| follower.notify(&[&message, &invitation]));
    story.follower.accept(&[&message]);
    assert_eq!(story.follower.seen(BOB), [1]);
}

#[test]
fn d7_adds_take_the_leftmost_blank_leaf_and_removes_name_it() {
    let mut story = Story::new();
    // Leaves: alice 0, bob 1, cathy 2, bea 3.
    let mut cathy = member("cathy@charlie.example/phone");
    let package = cathy.key_package(KeyPackageKind::SingleUse);
    let (first, _) = story.commit(listed("cathy@charlie.example", &[&package]));
    let mut bea = member("bea@bravo.example/phone");
    let package = story.follower.claimed(&mut bea);
    let (second, invitation) = story.commit(listed("bea@bravo.example", &[&package]));
    story.follower.accept(&[&first, &second, &invitation.unwrap()]);
    // Cathy goes; dora takes leaf 2.
    let (third, _) = story.commit(taken_off("cathy@charlie.example", &[2]));
    let mut dora = member("dora@bravo.example/phone");
    let package = story.follower.claimed(&mut dora);
    let (fourth, invitation) = story.commit(listed("dora@bravo.example", &[&package]));
    story.follower.accept(&[&third, &fourth, &invitation.unwrap()]);
    let (fifth, _) = story.commit(removed(&[2]));
    let message = story.message();
    story.follower.accept(&[&fifth, &message]);
    // Dora gets the Commit that removes her leaf, and nothing after (R83, D11).
    assert_eq!(story.follower.seen("dora@bravo.example/phone"), [5]);
    assert_eq!(story.follower.seen("bea@bravo.example/phone"), [3, 4, 5, 6]);
    assert_eq!(story.follower.seen(BOB), [1, 2, 3, 4, 5, 6]);
    assert!(!story.follower.events(BOB, 0).gap);
}

#[test]
fn d7_one_commit_removes_before_it_adds() {
    let mut story = Story::new();
    let mut bea = member("bea@bravo.example/phone");
    let package = story.follower.claimed(&mut bea);
    let change = RoomChange { removes: vec![1], ..listed("bea@bravo.example", &[&package]) };
    let (commit, invitation) = story.commit(change);
    story.follower.accept(&[&commit, &invitation.unwrap()]);
    let (last, _) = story.commit(removed(&[1]));
    story.follower.accept(&[&last]);
    assert_eq!(story.follower.seen(BOB), [1]);
    assert_eq!(story.follower.seen("bea@bravo.example/phone"), [2]);
}

#[test]
fn d7_proposals_by_reference_take_effect_with_the_commit() {
    let mut story = Story::new();
    let mut cathy = story.add_cathy();
    // Cathy proposes that bob's leaf goes; Alice commits it.
    let bare = cathy
        .with_group(|group, provider, key| {
            let bob = group.members().find(|member| member.index.u32() == 1).unwrap();
            let (message, _) = group.propose_remove_member(provider, key, bob.index).unwrap();
            without_header(&message, WireFormat::PublicMessage)
        })
        .unwrap();
    let proposal = story.proposal(&bare);
    story.follower.accept(&[&proposal]);
    let (commit, _) = story.commit(RoomChange::default());
    let after = story.message();
    story.follower.accept(&[&commit, &after]);
    // The Commit that covers the Remove is the last that bob's device gets.
    assert_eq!(story.follower.seen(BOB), [1, 2, 3]);
    assert!(!story.follower.events(BOB, 0).gap);
}

/// A commit by which `joiner` enters Alice's group, which follows it.
fn external_commit(story: &mut Story, joiner: &mut Member) -> Vec<u8> {
    let upload = story.upload_of(joiner);
    story.entered(&upload)
}

#[test]
fn d7_who_joins_by_an_external_commit_takes_the_leftmost_blank_leaf() {
    let mut story = Story::new();
    let mut cathy = member("cathy@charlie.example/phone");
    // Leaves: alice 0, bob's phone 1, cathy 2, bob's laptop 3.
    let first = external_commit(&mut story, &mut cathy);
    let mut laptop = member("bob@bravo.example/laptop");
    let second = external_commit(&mut story, &mut laptop);
    let message = story.message();
    let (third, _) = story.commit(removed(&[3]));
    let (fourth, _) = story.commit(removed(&[2]));
    story.follower.accept(&[&first, &second, &message, &third, &fourth]);
    // D11: from the position after its external commit.
    assert_eq!(story.follower.seen("bob@bravo.example/laptop"), [3, 4]);
    assert_eq!(story.follower.seen(BOB), [1, 2, 3, 4, 5]);
    assert!(!story.follower.events(BOB, 0).gap);
}

#[test]
fn d7_who_rejoins_by_an_external_commit_leaves_the_old_leaf() {
    let mut story = Story::new();
    // Bob's device, with the same key; its group is lost.
    let mut bob = std::mem::replace(&mut story.bob, member(BOB));
    let first = external_commit(&mut story, &mut bob);
    let message = story.message();
    let (last, _) = story.commit(removed(&[1]));
    story.follower.accept(&[&first, &message, &last]);
    assert_eq!(story.follower.seen(BOB), [1, 2, 3]);
    assert!(!story.follower.events(BOB, 0).gap);
}

#[test]
fn d7_a_commit_of_an_unknown_proposal_is_a_gap() {
    let mut story = Story::new();
    let bare = story
        .alice
        .with_group(|group, provider, key| {
            let bob = group.members().find(|member| member.index.u32() == 1).unwrap();
            let (message, _) = group.propose_remove_member(provider, key, bob.index).unwrap();
            without_header(&message, WireFormat::PublicMessage)
        })
        .unwrap();
    assert!(!bare.is_empty());
    let (commit, _) = story.commit(RoomChange::default());
    story.follower.accept(&[&commit]);
    let pushed = story.follower.pushed();
    assert_eq!(pushed[0], (BOB_USER.into(), vec![BOB.into()], gap()));
    assert_eq!(pushed.len(), 2);
    assert!(story.follower.events(BOB, 0).gap);
    assert!(!story.follower.events(BOB, 1).gap);
}

#[test]
fn d22_an_epoch_that_was_skipped_is_a_gap() {
    let mut story = Story::new();
    let (first, _) = story.commit(RoomChange::default());
    let (_lost, _) = story.commit(RoomChange::default());
    let (third, _) = story.commit(RoomChange::default());
    let (fourth, _) = story.commit(RoomChange::default());
    story.follower.accept(&[&first]);
    assert!(!story.follower.events(BOB, 0).gap);
    story.follower.pushed();
    story.follower.accept(&[&third]);
    assert_eq!(story.follower.pushed()[0].2, gap());
    let page = story.follower.events(BOB, 1);
    assert_eq!((page.gap, page.events.len()), (true, 1));
    // From there on it fits again.
    story.follower.accept(&[&fourth]);
    assert_eq!(story.follower.pushed().len(), 1);
    assert!(!story.follower.events(BOB, 2).gap);
}

#[test]
fn d7_a_leaf_that_is_not_there_cannot_be_removed() {
    let mut story = Story::new();
    let mut cathy = member("cathy@charlie.example/phone");
    let package = cathy.key_package(KeyPackageKind::SingleUse);
    let (_lost, _) = story.commit(listed("cathy@charlie.example", &[&package]));
    let (commit, _) = story.commit(removed(&[2]));
    story.follower.accept(&[&commit]);
    assert_eq!(story.follower.pushed()[0].2, gap());
    assert!(story.follower.events(BOB, 0).gap);
}

#[test]
fn r69_d11_a_banned_user_gets_handshakes_and_no_messages() {
    let mut story = Story::new();
    let (ban, _) = story.commit(banned(BOB_USER));
    let during = story.message();
    let (pardon, _) = story.commit(regular(BOB_USER));
    let after = story.message();
    story.follower.accept(&[&ban, &during]);
    assert_eq!(story.follower.pushed().len(), 1);
    assert_eq!(story.follower.told(), [(BOB_USER.into(), no_membership(), Vec::new())]);
    story.follower.accept(&[&pardon, &after]);
    assert_eq!(story.follower.seen(BOB), [1, 3, 4]);
    assert_eq!(
        story.follower.told(),
        [(BOB_USER.into(), membership(Some(RoomProfile::B)), Vec::new())]
    );
}

#[test]
fn r83_a_provider_that_is_out_comes_back_by_a_welcome() {
    let mut story = Story::new();
    let (leaving, _) = story.commit(taken_off(BOB_USER, &[1]));
    story.follower.accept(&[&leaving]);
    // The hub sends nothing in between.
    let mut cathy = member("cathy@charlie.example/phone");
    let package = cathy.key_package(KeyPackageKind::SingleUse);
    story.commit(listed("cathy@charlie.example", &[&package]));
    let package = story.follower.claimed(&mut story.bob);
    let (_, invitation) = story.commit(listed(BOB_USER, &[&package]));
    let message = story.message();
    let (last, _) = story.commit(removed(&[2]));
    story.follower.accept(&[&invitation.unwrap(), &message, &last]);
    assert_eq!(story.follower.seen(BOB), [1, 2, 3]);
    assert!(!story.follower.events(BOB, 0).gap);
    // Leaf 1 was cathy's: the table is that of the new tree.
    assert_eq!(
        story
            .follower
            .answer(
                device(BOB),
                Endpoint::SubmitMessage { room: room(), sending_user: Some(user_uri(BOB_USER)) },
                &message,
            )
            .status,
        403
    );
}

#[test]
fn d11_a_device_that_was_never_in_the_room_reads_nothing() {
    let mut story = Story::new();
    story.follower.assert_refused(403, |follower| {
        let events = Endpoint::Events { room: room(), after: 0 };
        follower.answer(device("bob@bravo.example/other"), events, b"")
    });
    story.follower.assert_refused(403, |follower| {
        follower.answer(alpha(), Endpoint::Events { room: room(), after: 0 }, b"")
    });
}

#[test]
fn d18_a_notification_of_more_than_1024_messages_is_too_large() {
    let mut story = Story::new();
    let message = story.message();
    let many: Vec<&[u8]> = vec![&message; 1025];
    story.follower.assert_refused(413, |follower| follower.notify(&many));
    story.follower.accept(&many[1..]);
}
