//! What a follower reads from the public messages of a room of profile A (D7, R69).
#![cfg(not(target_arch = "wasm32"))]

mod common;

use mimi_edge::{
    mls::own_commit::propose_app_sync,
    room::Profile,
    transport::Endpoint,
    wire::{AppSync, Role, RoomProfile, UserRoles},
};

use common::{
    follower::{BOB, Story, user_uri},
    group::{list_change, membership, no_membership},
    own_group::RoomChange,
};

const BOB_USER: &str = "bob@bravo.example";

fn bob_as(role: Role) -> AppSync {
    let entry = UserRoles { user: user_uri(BOB_USER).to_wire(), roles: vec![role] };
    AppSync { update_users: vec![entry], ..AppSync::default() }
}

/// Bob's user was told that it is in the room, or not any more.
fn assert_told(story: &mut Story, told: Endpoint) {
    assert_eq!(story.follower.told(), [(BOB_USER.into(), told, Vec::new())]);
}

#[test]
fn r69_d7_custom_app_syncs_by_value_ban_and_pardon() {
    let mut story = Story::in_profile(Profile::A);
    let (ban, _) = story.commit(list_change(bob_as(Role::Banned)));
    let during = story.message();
    story.follower.accept(&[&ban, &during]);
    assert_told(&mut story, no_membership());
    let (pardon, _) = story.commit(list_change(bob_as(Role::RegularUser)));
    let after = story.message();
    story.follower.accept(&[&pardon, &after]);
    assert_eq!(story.follower.seen(BOB), [1, 3, 4]);
    assert_told(&mut story, membership(Some(RoomProfile::A)));
    assert!(!story.follower.events(BOB, 0).gap);
}

#[test]
fn r69_d7_a_custom_app_sync_by_reference_takes_effect_with_its_commit() {
    let mut story = Story::in_profile(Profile::A);
    let mut cathy = story.add_cathy();
    let ban = cathy
        .with_group(|group, provider, key| {
            propose_app_sync(group, provider, key, &bob_as(Role::Banned))
        })
        .unwrap();
    let before = story.message();
    let proposal = story.proposal(&ban);
    story.follower.accept(&[&proposal, &before]);
    assert_eq!(story.follower.told(), []);
    let (commit, _) = story.commit(RoomChange::default());
    let after = story.message();
    story.follower.accept(&[&commit, &after]);
    assert_told(&mut story, no_membership());
    assert_eq!(story.follower.seen(BOB), [1, 2, 3, 4]);
    assert!(!story.follower.events(BOB, 0).gap);
}
