//! Proposals of others: every commit covers them, and somebody makes one (R53–R58, R63, D20).

use mimi_edge::{
    client::{Delivery, Event, RoomPhase},
    mls::{self, own_commit::propose_app_sync},
    wire::{
        self, AppSync, OutlineProposal, Role, UpdateRequest, UserRoles, commit_outline,
        uri::UserUri,
    },
};
use openmls::prelude::WireFormat;

use super::{
    desk::{lacks_proposals, refusal},
    rogue::{self, Twin},
    world::{ALICE, BOB, CATHY, World, room, user},
};

/// The proposals by which Bob leaves (R57), bare.
fn leave_of_bob(world: &World) -> Vec<Vec<u8>> {
    let bob = user("bob@bravo.example").to_wire();
    let app_sync = AppSync { remove_users: vec![bob], ..AppSync::default() };
    let mut twin = Twin::of(&world.devices[BOB]);
    let remove = twin.message(|group, provider, key| {
        let leaf = group.own_leaf_index();
        group.propose_remove_member(provider, key, leaf).unwrap().0
    });
    let sync = twin
        .bytes(|group, provider, key| propose_app_sync(group, provider, key, &app_sync).unwrap());
    vec![remove[4..].to_vec(), sync]
}

/// The log has them.
fn fan_out(world: &mut World, proposals: &[Vec<u8>]) {
    for proposal in proposals {
        rogue::append(world, mls::with_header(proposal, WireFormat::PublicMessage));
    }
}

/// The number of references, and what else the last commit had.
fn last_commit(world: &World) -> (usize, Vec<OutlineProposal>) {
    let mut requests = world.desk.requests.iter().rev();
    let (_, body) = requests.find(|(path, _)| path.starts_with("POST update/")).unwrap();
    let update: UpdateRequest = wire::decode_exact(body).unwrap();
    let proposals = commit_outline(update.proposal_or_commit.bytes()).unwrap().proposals;
    let all = proposals.len();
    let values: Vec<_> = proposals
        .into_iter()
        .filter(|proposal| !matches!(proposal, OutlineProposal::Reference(_)))
        .collect();
    (all - values.len(), values)
}

fn users(world: &mut World, who: usize) -> Vec<UserUri> {
    world.state(who).participants.into_iter().map(|participant| participant.user).collect()
}

#[test]
fn r54_a_commit_covers_what_is_pending() {
    let mut world = World::with_bob_and_cathy();
    world.devices[BOB].online = false;
    let leave = leave_of_bob(&world);
    fan_out(&mut world, &leave);
    world.run();
    assert_eq!(world.state(ALICE).epoch, 2, "nobody has anything to commit");
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.run();
    assert_eq!(last_commit(&world), (2, vec![]));
    world.devices[BOB].online = true;
    world.run();
    world.assert_agreement(&[ALICE, CATHY]);
    assert_eq!(
        users(&mut world, CATHY),
        [user("alice@alpha.example"), user("cathy@charlie.example")]
    );
    assert_eq!(world.state(BOB).phase, RoomPhase::Left);
}

#[test]
fn r63_a_401_brings_the_proposals_and_the_commit_is_made_anew() {
    let mut world = World::with_bob_and_cathy();
    let leave = leave_of_bob(&world);
    world.desk.answer("update/", Some(lacks_proposals(&leave)));
    let id = world.ask(CATHY, |cathy, now| cathy.update_keys(&room(), now));
    // Cathy's provider brings the proposals later than the refusal.
    world.devices[BOB].online = false;
    world.exchange(CATHY);
    assert_eq!(world.devices[CATHY].client.next_wake().unwrap(), Some(world.now));
    fan_out(&mut world, &leave);
    world.run();
    assert_eq!(world.desk.count("POST update/"), 2 + 2);
    assert_eq!(last_commit(&world), (2, vec![]));
    assert!(world.devices[CATHY].events.contains(&Event::IntentDone { room: room(), id }));
    assert_eq!(world.failures(CATHY), [] as [&str; 0]);
    world.assert_agreement(&[ALICE, CATHY]);
    assert_eq!(users(&mut world, ALICE).len(), 2);
}

#[test]
fn d20_five_commits_are_made_anew_and_then_it_is_a_conflict() {
    let mut world = World::with_bob_and_cathy();
    let leave = leave_of_bob(&world);
    world.devices[BOB].online = false;
    for _ in 0..20 {
        world.desk.answer("update/", Some(lacks_proposals(&leave)));
    }
    world.desk.requests.clear();
    world.ask(CATHY, |cathy, now| cathy.update_keys(&room(), now));
    world.run();
    assert_eq!(world.desk.count("POST update/"), 6);
    assert_eq!(world.failures(CATHY), ["conflict"]);
    assert_eq!(world.state(CATHY).epoch, 2);
    // The next wish has its own count, and the room goes on.
    world.desk.script.clear();
    fan_out(&mut world, &leave);
    world.ask(CATHY, |cathy, now| cathy.update_keys(&room(), now));
    world.run();
    world.assert_agreement(&[ALICE, CATHY]);
}

#[test]
fn r58_what_is_pending_about_the_same_user_is_committed_before() {
    let mut world = World::with_bob_and_cathy();
    world.devices[BOB].online = false;
    let leave = leave_of_bob(&world);
    fan_out(&mut world, &leave);
    world.run();
    let bob = user("bob@bravo.example");
    world.ask(ALICE, |alice, now| alice.remove_user(&room(), &bob, now));
    world.run();
    // Nothing was left to do after it.
    assert_eq!((world.state(ALICE).epoch, last_commit(&world)), (3, (2, vec![])));
    world.assert_agreement(&[ALICE, CATHY]);
}

#[test]
fn r36_a_policy_waits_until_pending_appsyncs_are_committed() {
    let mut world = World::with_bob_and_cathy();
    world.devices[BOB].online = false;
    let leave = leave_of_bob(&world);
    fan_out(&mut world, &leave);
    world.run();
    world.ask(ALICE, |alice, now| alice.set_policy(&room(), vec![7], now));
    world.run();
    assert_eq!(world.state(CATHY).epoch, 4);
    assert_eq!(last_commit(&world), (0, vec![OutlineProposal::Other(7)]));
    assert_eq!(world.state(CATHY).policy, Some(vec![7]));
    world.assert_agreement(&[ALICE, CATHY]);
}

#[test]
fn r57_who_wants_to_send_commits_what_is_pending_first() {
    let mut world = World::with_bob_and_cathy();
    world.devices[BOB].online = false;
    let leave = leave_of_bob(&world);
    fan_out(&mut world, &leave);
    world.run();
    let before = world.now;
    let key = world.send(ALICE, "goodbye, Bob");
    assert_eq!(world.state(ALICE).pending, [], "nobody asked for the commit");
    world.run();
    assert!(world.now.since(before) < 1_000);
    assert_eq!(last_commit(&world), (2, vec![]));
    let accepted = |event: &Event| matches!(event, Event::Delivery(own) if own.key == key && matches!(own.delivery, Delivery::Accepted { .. }));
    assert!(world.devices[ALICE].events.iter().any(accepted));
    let intents =
        |event: &&Event| matches!(event, Event::IntentDone { .. } | Event::IntentFailed { .. });
    assert_eq!(world.devices[ALICE].events.iter().find(intents), None);
    assert!(world.devices[CATHY].events.iter().any(|event| matches!(event, Event::Message(_))));
}

#[test]
fn r56_a_departed_user_is_taken_off_the_list_when_the_hub_asks_for_it() {
    let mut world = World::with_bob_and_cathy();
    // Bob's device has gone without the AppSync.
    let device = world.devices[BOB].client.device().clone();
    world.ask(ALICE, |alice, now| alice.remove_device(&room(), &device, now));
    world.run();
    assert_eq!(users(&mut world, CATHY).len(), 3);
    world.desk.answer("update/", Some(refusal("appsync-remove bob@bravo.example")));
    world.ask(CATHY, |cathy, now| cathy.update_keys(&room(), now));
    world.run();
    assert_eq!(world.failures(CATHY), [] as [&str; 0]);
    world.assert_agreement(&[ALICE, CATHY]);
    assert_eq!(users(&mut world, ALICE).len(), 2);
}

#[test]
fn r56_a_hub_cannot_have_somebody_removed_who_is_there() {
    let mut world = World::with_bob_and_cathy();
    for _ in 0..9 {
        world.desk.answer("update/", Some(refusal("appsync-remove bob@bravo.example")));
    }
    world.ask(CATHY, |cathy, now| cathy.update_keys(&room(), now));
    world.run();
    assert_eq!(world.failures(CATHY), ["conflict"]);
    assert_eq!(last_commit(&world), (0, vec![]));
    assert_eq!(users(&mut world, ALICE).len(), 3);
}

#[test]
fn r55_what_was_pending_goes_with_its_epoch() {
    let mut world = World::with_bob_and_cathy();
    world.devices[BOB].online = false;
    let leave = leave_of_bob(&world);
    fan_out(&mut world, &leave);
    world.devices[CATHY].online = false;
    world.run();
    // A commit of Cathy's that does not cover it, as an external one would not.
    let commit = Twin::of(&world.devices[CATHY]).update();
    rogue::accept(&mut world, commit);
    world.run();
    assert_eq!(world.state(ALICE).epoch, 3);
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.run();
    assert_eq!(last_commit(&world), (0, vec![]));
    assert_eq!(users(&mut world, ALICE).len(), 3);
    assert_eq!(world.failures(ALICE), [] as [&str; 0]);
}

/// Cathy's proposal to make Bob an admin, bare.
fn promotion_of_bob(world: &World) -> Vec<u8> {
    let admin = UserRoles { user: user("bob@bravo.example").to_wire(), roles: vec![Role::Admin] };
    let app_sync = AppSync { update_users: vec![admin], ..AppSync::default() };
    Twin::of(&world.devices[CATHY])
        .bytes(|group, provider, key| propose_app_sync(group, provider, key, &app_sync).unwrap())
}

/// Cathy's proposal to take Bob off the list, bare.
fn removal_of_bob(world: &World) -> Vec<u8> {
    let bob = user("bob@bravo.example").to_wire();
    let app_sync = AppSync { remove_users: vec![bob], ..AppSync::default() };
    Twin::of(&world.devices[CATHY])
        .bytes(|group, provider, key| propose_app_sync(group, provider, key, &app_sync).unwrap())
}

#[test]
fn r53_r57_who_leaves_voids_what_was_pending_about_it() {
    let mut world = World::with_bob_and_cathy();
    world.devices[BOB].online = false;
    let promotion = promotion_of_bob(&world);
    let leave = leave_of_bob(&world);
    fan_out(&mut world, &[&[promotion][..], &leave].concat());
    world.run();
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.run();
    assert_eq!(last_commit(&world), (2, vec![]), "the leave");
    world.assert_agreement(&[ALICE, CATHY]);
    assert_eq!(users(&mut world, CATHY).len(), 2);
}

#[test]
fn r54_r63_what_a_401_does_not_list_is_not_covered_any_more() {
    let mut world = World::with_bob_and_cathy();
    world.devices[BOB].online = false;
    let promotion = promotion_of_bob(&world);
    let removal = leave_of_bob(&world)[..1].to_vec();
    fan_out(&mut world, &[vec![promotion], removal.clone()].concat());
    world.run();
    world.desk.answer("update/", Some(lacks_proposals(&removal)));
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.run();
    assert_eq!(last_commit(&world), (1, vec![]), "the removal");
    world.assert_agreement(&[ALICE, CATHY]);
    assert_eq!(world.failures(ALICE), [] as [&str; 0]);
    // Nothing waits: nothing is to be covered at all.
    let removal = removal_of_bob(&world);
    fan_out(&mut world, &[removal]);
    world.run();
    world.desk.answer("update/", Some(lacks_proposals(&[])));
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.run();
    assert_eq!(last_commit(&world), (0, vec![]));
    world.assert_agreement(&[ALICE, CATHY]);
}
