//! Joining by an external commit, with nobody online: new devices, and those that lost the thread (R85–R90).

use mimi_edge::{
    client::{CreateOptions, Event, IntentKind, RoomPhase},
    error::{Error, UsageError},
    mls::{MlsCrypto, labels},
    transport::Response,
    wire::{
        self, FromProvider, GroupInfoRequest, GroupInfoResponse, RatchetTreeOption, RoomCreation,
        UpdateContent, UpdateRequest, UpdateResponseCode, uri::RoomUri,
    },
};
use openmls::prelude::{ExtensionType, ProposalType, Sender, SignatureScheme};

use super::{
    desk::{lacks_proposals, update_response},
    rogue::{self, Twin},
    world::{ALICE, BOB, CATHY, Reopen, World, room, user},
};

fn join(world: &mut World, who: usize) -> u64 {
    world.ask(who, |client, now| client.join_room(&room(), now))
}

fn external_commits(world: &World) -> Vec<UpdateRequest> {
    let updates = world.desk.requests.iter().filter(|(path, _)| path.starts_with("POST update/"));
    updates
        .map(|(_, body)| wire::decode_exact::<UpdateRequest>(body).unwrap())
        .filter(|update| *update.proposal_or_commit.sender() == Sender::NewMemberCommit)
        .collect()
}

fn gap(world: &mut World, who: usize) {
    world.frame(who, &FromProvider::Gap { room_id: room().to_wire() });
}

#[test]
fn r89_d10_a_new_device_joins_with_nobody_online() {
    for reopen in [Reopen::Never, Reopen::Always] {
        let mut world = World::with_bob();
        let second = world.add_device("bob@bravo.example");
        for device in [ALICE, BOB] {
            world.devices[device].online = false;
        }
        world.reopen = reopen;
        let id = join(&mut world, second);
        assert_eq!(world.devices[second].client.rooms().unwrap(), [(room(), RoomPhase::Joining)]);
        world.run();
        let events = &world.devices[second].events;
        assert!(events.contains(&Event::RoomAdded { room: room() }));
        assert!(events.contains(&Event::IntentDone { room: room(), id }));
        world.reopen = Reopen::Never;
        world.send(second, "hello from my new device");
        for device in [ALICE, BOB] {
            world.devices[device].online = true;
        }
        world.run();
        world.assert_agreement(&[ALICE, BOB, second]);
        let devices = world.state(ALICE).participants[1].devices.clone();
        assert_eq!(devices.len(), 2);
        let message = |event: &Event| matches!(event, Event::Message(_));
        for device in [ALICE, BOB] {
            assert_eq!(world.devices[device].events.iter().filter(|it| message(it)).count(), 1);
        }
        // And it follows what comes.
        world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
        world.send(BOB, "welcome");
        world.run();
        world.assert_agreement(&[ALICE, BOB, second]);
        assert!(world.devices[second].events.iter().any(message));
    }
}

#[test]
fn r85_r88_the_request_is_signed_with_the_key_of_the_leaf() {
    let mut world = World::with_bob();
    let second = world.add_device("bob@bravo.example");
    join(&mut world, second);
    world.run();
    let (path, body) =
        world.desk.requests.iter().find(|(path, _)| path.contains("groupInfo")).unwrap();
    assert_eq!(path, "POST groupInfo/clubhouse@alpha.example");
    let request: GroupInfoRequest = wire::decode_exact(body).unwrap();
    assert_eq!(request.tbs.room_id, room().to_wire());
    let key = (SignatureScheme::ED25519, request.tbs.requesting_signature_key.as_slice());
    assert!(labels::verifies_with_label(
        MlsCrypto::new().algorithms(),
        key,
        "GroupInfoRequestTBS",
        &wire::encode(&request.tbs).unwrap(),
        request.signature.as_slice(),
    ));
    let commits = external_commits(&world);
    let UpdateContent::Commit(bundle) = &commits[0].content else { panic!("a commit") };
    assert!(bundle.welcome.is_none());
    assert!(bundle.group_info.extensions().external_pub().is_some());
    assert!(!bundle.group_info.extensions().contains(ExtensionType::RatchetTree));
    // Trap 5 of a.5: the new leaf says what it can do, or it could not come in.
    let RatchetTreeOption::Full(tree) = &bundle.ratchet_tree_option else { panic!("full") };
    let tree = format!("{:?}", tree.nodes().unwrap());
    assert!(tree.contains(&format!("{:?}", ProposalType::SelfRemove)));
}

#[test]
fn r86_a_refusal_leaves_nothing_behind() {
    let forbidden = Response::tls(403, wire::encode(&GroupInfoResponse::NotAuthorized).unwrap());
    let unknown = Response::tls(404, wire::encode(&GroupInfoResponse::NoSuchRoom).unwrap());
    for (answer, code) in [
        (forbidden, "not-allowed"),
        (unknown, "room-unknown"),
        (Response::empty(403), "not-allowed"),
        (Response::tls(200, vec![9]), "incompatible"),
    ] {
        let mut world = World::with_bob();
        let second = world.add_device("bob@bravo.example");
        world.desk.answer("groupInfo", Some(answer));
        join(&mut world, second);
        world.run();
        assert_eq!(world.failures(second), [code]);
        assert_eq!(world.devices[second].client.rooms().unwrap(), []);
        assert_eq!(external_commits(&world).len(), 0);
        join(&mut world, second);
        world.run();
        world.assert_agreement(&[ALICE, BOB, second]);
    }
}

#[test]
fn r90_who_is_not_on_the_list_does_not_even_try() {
    let mut world = World::with_bob();
    join(&mut world, CATHY);
    world.run();
    assert_eq!(world.failures(CATHY), ["not-allowed"]);
    assert_eq!(external_commits(&world).len(), 0);
}

#[test]
fn r87_a_tampered_groupinfo_is_not_joined_by() {
    let mut world = World::with_bob();
    let second = world.add_device("bob@bravo.example");
    let name = room().to_string();
    let good = world.desk.group_info(&name);
    for at in [good.body.len() / 2, good.body.len() - 1, 40] {
        let mut bad = good.clone();
        bad.body[at] ^= 1;
        world.desk.answer("groupInfo", Some(bad));
        join(&mut world, second);
        world.run();
        assert_eq!(external_commits(&world).len(), 0, "{at}");
    }
    assert_eq!(world.failures(second), ["incompatible"; 3]);
    join(&mut world, second);
    world.run();
    world.assert_agreement(&[ALICE, BOB, second]);
}

#[test]
fn r8_a_groupinfo_of_another_room_is_not_joined_by() {
    let mut world = World::with_bob();
    let second = world.add_device("bob@bravo.example");
    let mut elsewhere = World::new();
    let other = RoomUri::parse("other@bravo.example").unwrap();
    elsewhere.ask(BOB, |bob, now| bob.create_room(&other, CreateOptions::default(), now));
    elsewhere.run();
    world.desk.answer("groupInfo", Some(elsewhere.desk.group_info("other@bravo.example")));
    join(&mut world, second);
    world.run();
    assert_eq!(world.failures(second), ["incompatible"]);
    assert_eq!(external_commits(&world).len(), 0);
}

#[test]
fn a_welcome_does_not_get_in_the_way_of_an_external_commit() {
    let mut world = World::with_bob();
    let second = world.add_device("bob@bravo.example");
    join(&mut world, second);
    world.exchange(second);
    let (id, call) = world.poll(second).unwrap();
    // Alice adds the device while its external commit is on its way.
    world.devices[second].online = false;
    world.add(ALICE, "bob@bravo.example");
    world.run();
    let response = world.desk.handle(&call);
    assert_eq!(response.as_ref().map(|response| response.status), Some(409));
    world.push(second);
    world.respond(second, id, response);
    world.devices[second].online = true;
    world.run();
    world.assert_agreement(&[ALICE, BOB, second]);
    assert_eq!(world.state(ALICE).participants[1].devices.len(), 2);
}

#[test]
fn d9_a_welcome_that_is_faster_than_the_external_commit_will_do() {
    let mut world = World::with_bob();
    let second = world.add_device("bob@bravo.example");
    world.devices[second].online = false;
    let id = join(&mut world, second);
    world.add(ALICE, "bob@bravo.example");
    world.run();
    world.push(second);
    world.devices[second].online = true;
    world.run();
    let events = &world.devices[second].events;
    assert!(events.contains(&Event::IntentDone { room: room(), id }));
    assert_eq!(external_commits(&world).len(), 0);
    world.assert_agreement(&[ALICE, BOB, second]);
}

#[test]
fn d20_a_joiner_who_was_too_slow_asks_again() {
    let mut world = World::with_bob();
    let second = world.add_device("bob@bravo.example");
    let answer = update_response(409, UpdateResponseCode::WrongEpoch);
    world.desk.answer("update/", Some(answer));
    join(&mut world, second);
    world.run();
    assert_eq!((world.desk.count("groupInfo"), external_commits(&world).len()), (2, 2));
    world.assert_agreement(&[ALICE, BOB, second]);
    // Again and again too slow.
    let third = world.add_device("bob@bravo.example");
    for _ in 0..40 {
        let answer = update_response(409, UpdateResponseCode::WrongEpoch);
        world.desk.answer("update/", Some(answer));
    }
    join(&mut world, third);
    world.run();
    assert_eq!(world.failures(third), ["conflict"]);
    assert_eq!(world.devices[third].client.rooms().unwrap(), []);
    // A device that lost the thread does not give up.
    world.desk.requests.clear();
    world.desk.script.truncate(25);
    gap(&mut world, ALICE);
    world.run();
    assert_eq!(world.desk.count("groupInfo"), world.desk.count("POST update/"));
    assert!(world.desk.count("groupInfo") > 20);
    world.assert_agreement(&[ALICE, BOB, second]);
}

#[test]
fn r67_a_lost_answer_to_an_external_commit_is_asked_for_again() {
    let mut world = World::with_bob();
    let second = world.add_device("bob@bravo.example");
    join(&mut world, second);
    world.exchange(second);
    let (id, call) = world.poll(second).unwrap();
    world.desk.handle(&call);
    // Its own commit is pushed before it knows what came of it.
    world.push(second);
    world.respond(second, id, None);
    world.run();
    assert_eq!(external_commits(&world).len(), 2);
    assert_eq!(world.desk.rooms[room().as_str()].epoch, 2);
    world.assert_agreement(&[ALICE, BOB, second]);
}

#[test]
fn a17_an_external_commit_covers_the_selfremoves_that_the_hub_holds() {
    let mut world = World::with_bob_and_cathy();
    let second = world.add_device("cathy@charlie.example");
    let leave = Twin::of(&world.devices[BOB])
        .message(|group, provider, key| group.leave_group_via_self_remove(provider, key).unwrap());
    world.devices[BOB].online = false;
    rogue::append(&mut world, leave.clone());
    world.desk.answer("update/", Some(lacks_proposals(&[leave[4..].to_vec()])));
    join(&mut world, second);
    world.run();
    assert_eq!(external_commits(&world).len(), 2);
    world.assert_agreement(&[ALICE, CATHY, second]);
    let bob = user("bob@bravo.example");
    let state = world.state(ALICE);
    let entry = state.participants.iter().find(|entry| entry.user == bob).unwrap();
    assert_eq!(entry.devices, []);
}

#[test]
fn d4_d22_a_device_that_lost_the_thread_joins_anew_by_itself() {
    let mut world = World::with_bob();
    world.devices[ALICE].online = false;
    let before = world.state(BOB);
    gap(&mut world, BOB);
    assert_eq!(world.state(BOB).phase, RoomPhase::Joining);
    world.send(BOB, "after it");
    world.run();
    let events = &world.devices[BOB].events;
    assert_eq!(events[0], Event::Gap { room: room() });
    assert!(events.contains(&Event::Rejoined { room: room() }));
    assert_eq!(world.state(BOB).pending, []);
    world.devices[ALICE].online = true;
    world.run();
    world.assert_agreement(&[ALICE, BOB]);
    // R90: the old leaf is gone, and the list is as it was.
    assert_eq!(world.state(ALICE).participants, before.participants);
    let message = |event: &Event| matches!(event, Event::Message(_));
    assert!(world.devices[ALICE].events.iter().any(message));
}

#[test]
fn d8_after_divergence_a_device_joins_anew_once() {
    let mut world = World::with_bob();
    let bad = || {
        let mut commit = Twin::of(&world.devices[BOB]).update();
        let signature_end = commit.len() - 66 - 1;
        commit[signature_end] ^= 1;
        commit
    };
    let commit = bad();
    rogue::append(&mut world, commit);
    world.devices[BOB].online = false;
    world.run();
    let events = world.devices[ALICE].events.clone();
    assert_eq!(events[0], Event::Diverged { room: room() });
    assert!(events.contains(&Event::Rejoined { room: room() }));
    assert_eq!(world.state(ALICE).phase, RoomPhase::Joined);
    // It happens again before anything good came: now it is over.
    world.forget_events();
    gap(&mut world, ALICE);
    world.run();
    assert_eq!(world.devices[ALICE].events, [Event::Gap { room: room() }]);
    assert_eq!(world.state(ALICE).phase, RoomPhase::Gap);
    // Unless somebody asks for it.
    let id = join(&mut world, ALICE);
    assert_eq!(world.state(ALICE).pending[0].what, IntentKind::Join);
    world.run();
    assert!(world.devices[ALICE].events.contains(&Event::IntentDone { room: room(), id }));
    assert_eq!(world.state(ALICE).phase, RoomPhase::Joined);
}

#[test]
fn what_was_wanted_before_the_gap_is_done_after_it() {
    let mut world = World::with_bob();
    world.devices[CATHY].online = true;
    let id = world.add(ALICE, "cathy@charlie.example");
    gap(&mut world, ALICE);
    world.run();
    assert!(world.devices[ALICE].events.contains(&Event::IntentDone { room: room(), id }));
    world.assert_agreement(&[ALICE, BOB, CATHY]);
}

#[test]
fn a_device_that_cannot_join_anew_stays_where_it_was() {
    let mut world = World::with_bob();
    let before = world.state(ALICE);
    world.desk.answer("groupInfo", Some(Response::empty(403)));
    let id = world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    gap(&mut world, ALICE);
    world.run();
    assert_eq!(world.devices[ALICE].events[0], Event::Gap { room: room() });
    assert!(
        matches!(world.devices[ALICE].events[1], Event::IntentFailed { id: of, .. } if of == id)
    );
    let after = world.state(ALICE);
    assert_eq!(after.phase, RoomPhase::Gap);
    assert_eq!(after.epoch_authenticator, before.epoch_authenticator);
}

#[test]
fn d9_a_welcome_that_cannot_be_opened_leads_to_an_external_commit() {
    let mut world = World::with_room();
    world.devices[BOB].online = false;
    let creation = &world.desk.requests.iter().find(|(path, _)| path.contains("rooms/")).unwrap().1;
    let creation: RoomCreation = wire::decode_exact(creation).unwrap();
    world.add(ALICE, "bob@bravo.example");
    world.run();
    // The tree that comes with the Welcome is another.
    let tree = Some(creation.ratchet_tree_option);
    world.desk.inbox_of("bob@bravo.example")[0].message.ratchet_tree_option = tree;
    world.devices[BOB].online = true;
    world.run();
    let events = &world.devices[BOB].events;
    assert!(events.contains(&Event::WelcomeFailed { room: room() }));
    assert!(events.contains(&Event::RoomAdded { room: room() }));
    world.assert_agreement(&[ALICE, BOB]);
    assert_eq!(world.state(ALICE).participants[1].devices.len(), 1);
}

#[test]
fn who_was_removed_and_is_on_the_list_again_can_join() {
    let mut world = World::with_bob();
    let device = world.devices[BOB].client.device().clone();
    world.ask(ALICE, |alice, now| alice.remove_device(&room(), &device, now));
    world.run();
    assert_eq!(world.state(BOB).phase, RoomPhase::Left);
    world.forget_events();
    join(&mut world, BOB);
    world.run();
    assert!(world.devices[BOB].events.contains(&Event::Rejoined { room: room() }));
    world.assert_agreement(&[ALICE, BOB]);
    let now = world.now;
    let again = world.devices[BOB].client.join_room(&room(), now);
    assert!(matches!(again, Err(Error::Usage(UsageError::BadState(_)))));
}

#[test]
fn d2_a_page_of_the_log_from_before_this_device_came_in_anew_does_not_hide_anything() {
    let mut world = World::with_bob();
    let device = world.devices[BOB].client.device().clone();
    world.ask(ALICE, |alice, now| alice.remove_device(&room(), &device, now));
    world.run();
    world.devices[BOB].online = false;
    world.add(ALICE, "bob@bravo.example");
    world.run();
    world.send(ALICE, "one");
    world.run();
    world.forget_events();
    // The log is pushed, the Welcome is not yet; one event got lost, so a page of the log is on its way.
    let seen = |world: &World| world.desk.seen_by(device.as_str(), room().as_str(), 0);
    for event in seen(&world) {
        world.frame(BOB, &FromProvider::Event(event));
    }
    while world.exchange(BOB) {}
    for text in ["two", "three"] {
        world.send(ALICE, text);
        world.run();
    }
    let last = seen(&world).pop().unwrap();
    world.frame(BOB, &FromProvider::Event(last));
    let (id, call) = world.poll(BOB).unwrap();
    assert!(call.url.contains("events/"), "{}", call.url);
    let page = world.desk.handle(&call);
    let inbox = world.desk.inboxes[device.as_str()].clone();
    for event in inbox {
        world.frame(BOB, &FromProvider::Inbox(event));
    }
    assert_eq!(world.state(BOB).phase, RoomPhase::Joined);
    world.respond(BOB, id, page);
    world.devices[BOB].online = true;
    world.run();
    let texts = world.devices[BOB].events.iter().filter_map(|event| match event {
        Event::Message(message) => Some(String::from_utf8(message.content.clone()).unwrap()),
        _ => None,
    });
    assert_eq!(texts.collect::<Vec<_>>(), ["one", "two", "three"]);
}

#[test]
fn a_welcome_that_is_faster_than_the_way_back_is_told_as_one() {
    let mut world = World::with_bob();
    let device = world.devices[BOB].client.device().clone();
    world.ask(ALICE, |alice, now| alice.remove_device(&room(), &device, now));
    world.run();
    world.forget_events();
    world.devices[BOB].online = false;
    let id = join(&mut world, BOB);
    world.add(ALICE, "bob@bravo.example");
    world.run();
    world.push(BOB);
    let events = world.devices[BOB].events.clone();
    assert!(events.contains(&Event::Rejoined { room: room() }));
    assert!(events.contains(&Event::IntentDone { room: room(), id }));
    assert!(!events.contains(&Event::RoomAdded { room: room() }));
    world.devices[BOB].online = true;
    world.run();
    world.assert_agreement(&[ALICE, BOB]);
}
