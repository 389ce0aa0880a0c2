//! Own commits under every answer, and what members reject.

use mimi_edge::{
    client::{Event, RoomPhase},
    mls::{self, MlsProvider, SignatureKeyPair, key_package},
    room::{Profile, app_sync},
    time::UnixMillis,
    transport::Response,
    wire::{self, AppSync, Role, UpdateResponseCode, UserRoles},
};
use openmls::{
    component::ComponentData,
    framing::MlsMessageOut,
    group::MlsGroup,
    prelude::{Ciphersuite, LeafNodeParameters},
};
use openmls_traits::OpenMlsProvider;

use super::{
    clock::real_time,
    desk::update_response,
    rogue::{self, Twin},
    world::{ALICE, BOB, CATHY, World, room, user},
};

fn updates(world: &World) -> Vec<&Vec<u8>> {
    let requests = world.desk.requests.iter();
    requests.filter(|(path, _)| path.starts_with("POST update/")).map(|(_, body)| body).collect()
}

#[test]
fn r67_a_lost_or_late_answer_is_followed_by_the_same_bytes() {
    for silence in [None, Some(update_response(504, UpdateResponseCode::HubUnresponsive))] {
        let mut world = World::with_room();
        world.desk.answer("update/", silence);
        world.add(ALICE, "bob@bravo.example");
        world.run();
        let sent = updates(&world);
        assert_eq!(sent.len(), 2);
        assert_eq!(sent[0], sent[1]);
        world.assert_agreement(&[ALICE, BOB]);
    }
}

#[test]
fn r67_the_echo_before_the_answer_and_the_answer_after_it_have_one_effect() {
    let mut world = World::with_room();
    world.add(ALICE, "bob@bravo.example");
    world.exchange(ALICE);
    let (id, call) = world.poll(ALICE).unwrap();
    let response = world.desk.handle(&call);
    assert!(world.push(ALICE));
    assert_eq!(world.devices[ALICE].epoch(), 1);
    world.respond(ALICE, id, response);
    world.run();
    assert_eq!(world.devices[ALICE].epoch(), 1);
    let done = |event: &&Event| matches!(event, Event::IntentDone { id: 1, .. });
    assert_eq!(world.devices[ALICE].events.iter().filter(done).count(), 1);
    world.assert_agreement(&[ALICE, BOB]);
}

#[test]
fn d6_a_success_is_merged_at_the_end_of_a_log_that_does_not_have_the_commit_yet() {
    let mut world = World::with_room();
    world.add(ALICE, "bob@bravo.example");
    world.exchange(ALICE);
    world.exchange(ALICE);
    // Alice's provider is slow: the commit is at the hub alone.
    let commit = world.desk.rooms.get_mut(room().as_str()).unwrap().log.pop().unwrap();
    assert_eq!(world.devices[ALICE].epoch(), 0);
    world.exchange(ALICE);
    assert_eq!(world.devices[ALICE].epoch(), 1);
    // The echo changes nothing any more.
    world.desk.rooms.get_mut(room().as_str()).unwrap().log.push(commit);
    world.run();
    assert_eq!(world.devices[ALICE].epoch(), 1);
    world.assert_agreement(&[ALICE, BOB]);
}

#[test]
fn d6_another_commit_for_an_epoch_that_this_device_ended_is_divergence() {
    let mut world = World::with_bob();
    let rival = Twin::of(&world.devices[BOB]).update();
    // Alice's commit is said to be accepted; the log says otherwise.
    world.devices[BOB].online = false;
    world.desk.answer("update/", Some(update_response(200, UpdateResponseCode::Success)));
    world.add(ALICE, "cathy@charlie.example");
    world.run();
    assert_eq!(world.devices[ALICE].epoch(), 2);
    rogue::append(&mut world, rival);
    world.run();
    assert!(world.devices[ALICE].events.contains(&Event::Diverged { room: room() }));
}

#[test]
fn d6_d20_wrong_epoch_catches_up_and_replays_with_the_same_keypackages() {
    let mut world = World::with_bob();
    // Bob is faster: both commit in epoch 1.
    let now = world.now;
    world.add(ALICE, "cathy@charlie.example");
    world.exchange(ALICE);
    let (id, call) = world.poll(ALICE).unwrap();
    world.devices[BOB].online = false;
    let rival = Twin::of(&world.devices[BOB]).update();
    rogue::accept(&mut world, rival);
    let response = world.desk.handle(&call);
    world.respond(ALICE, id, response);
    world.run();
    assert_eq!(world.failures(ALICE), [] as [&str; 0]);
    assert!(world.now.since(now) <= 250);
    assert_eq!(world.desk.count("keyMaterial/cathy"), 1);
    // One for Bob, two for Cathy.
    assert_eq!(updates(&world).len(), 3);
    world.assert_agreement(&[ALICE, CATHY]);
    assert_eq!(world.devices[ALICE].epoch(), 3);
}

#[test]
fn d5_somebody_else_added_the_user_meanwhile_and_it_is_done() {
    let mut world = World::with_bob();
    world.add(ALICE, "cathy@charlie.example");
    world.exchange(ALICE);
    let (id, call) = world.poll(ALICE).unwrap();
    // Bob adds Cathy while Alice's commit is on its way.
    world.devices[ALICE].online = false;
    world.add(BOB, "cathy@charlie.example");
    world.run();
    world.devices[ALICE].online = true;
    let response = world.desk.handle(&call);
    world.respond(ALICE, id, response);
    world.run();
    assert!(world.devices[ALICE].events.contains(&Event::IntentDone { room: room(), id: 2 }));
    assert_eq!(world.failures(ALICE), [] as [&str; 0]);
    world.assert_agreement(&[ALICE, BOB, CATHY]);
    assert_eq!(world.devices[ALICE].epoch(), 2);
}

#[test]
fn d20_after_twenty_tries_or_thirty_seconds_it_is_a_conflict_that_may_be_retried() {
    let mut world = World::with_room();
    for _ in 0..40 {
        let answer = update_response(409, UpdateResponseCode::WrongEpoch);
        world.desk.answer("update/", Some(answer));
    }
    let before = world.now;
    let id = world.add(ALICE, "bob@bravo.example");
    world.run();
    let failed = world.devices[ALICE].events.iter().find_map(|event| match event {
        Event::IntentFailed { id, code, retryable, .. } => Some((*id, code.as_str(), *retryable)),
        _ => None,
    });
    assert_eq!(failed, Some((id, "conflict", true)));
    assert!(world.now.since(before) <= 60_000);
    let asked = world.desk.count("events/");
    assert!((2..=21).contains(&asked), "{asked}");
    // The pending commit is gone: the same again goes through.
    world.desk.script.clear();
    world.add(ALICE, "bob@bravo.example");
    world.run();
    world.assert_agreement(&[ALICE, BOB]);
}

/// A commit with an AppSync that claims `list` as its result.
fn list_change(
    group: &mut MlsGroup,
    provider: &MlsProvider<'_, '_>,
    key: &SignatureKeyPair,
    app_sync: &AppSync,
    list: Vec<u8>,
) -> MlsMessageOut {
    let proposal = app_sync::app_sync_proposal(Profile::B, app_sync).unwrap();
    let builder = group.commit_builder().add_proposal(proposal);
    let mut builder = builder.load_psks(provider.storage()).unwrap();
    let mut updater = builder.app_data_dictionary_updater();
    updater.set(ComponentData::from_parts(0xF022, list.into()));
    let updates = updater.changes();
    builder.with_app_data_dictionary_updates(updates);
    rogue::commit(builder, provider, key)
}

fn eve() -> UserRoles {
    UserRoles { user: user("eve@bravo.example").to_wire(), roles: vec![Role::RegularUser] }
}

/// Bob sends this; Alice rejects it, sends nothing any more and says so.
fn assert_diverges(
    make: impl FnOnce(&mut MlsGroup, &MlsProvider<'_, '_>, &SignatureKeyPair) -> MlsMessageOut,
) {
    let mut world = World::with_bob();
    let commit = rogue::message(&world.devices[BOB], make);
    assert_rejected(&mut world, commit);
}

fn assert_rejected(world: &mut World, commit: Vec<u8>) {
    let before = world.devices[ALICE].client.room_state(&room()).unwrap().unwrap();
    world.desk.answer("groupInfo", Some(Response::empty(403)));
    rogue::append(world, commit);
    world.devices[BOB].online = false;
    world.run();
    assert_eq!(world.devices[ALICE].events, [Event::Diverged { room: room() }]);
    let after = world.devices[ALICE].client.room_state(&room()).unwrap().unwrap();
    assert_eq!(after.phase, RoomPhase::Diverged);
    assert_eq!(after.epoch_authenticator, before.epoch_authenticator);
    world.desk.requests.clear();
    world.send(ALICE, "anybody there?");
    world.add(ALICE, "cathy@charlie.example");
    world.run();
    assert_eq!(world.failures(ALICE), ["diverged"]);
    assert_eq!(world.desk.count("POST"), 0);
}

#[test]
fn r44_members_reject_a_list_that_is_not_the_result_of_its_appsyncs() {
    assert_diverges(|group, provider, key| {
        let list = app_sync::participant_list(group.extensions()).unwrap();
        let app_sync = AppSync { add_users: vec![eve()], ..AppSync::default() };
        list_change(group, provider, key, &app_sync, list.encode().unwrap())
    });
}

#[test]
fn r38_members_reject_an_appsync_that_is_not_valid() {
    assert_diverges(|group, provider, key| {
        let list = app_sync::participant_list(group.extensions()).unwrap();
        let again = UserRoles { user: user("bob@bravo.example").to_wire(), ..eve() };
        let app_sync = AppSync { add_users: vec![again], ..AppSync::default() };
        list_change(group, provider, key, &app_sync, list.encode().unwrap())
    });
}

#[test]
fn r65_members_reject_another_credential_in_a_path() {
    assert_diverges(|group, provider, key| {
        let credential = mls::credential::credential_with_key(
            &user("eve@bravo.example").client("x").unwrap(),
            key.public(),
        );
        let parameters = LeafNodeParameters::builder().with_credential_with_key(credential).build();
        rogue::update(group, provider, key, parameters)
    });
}

/// A KeyPackage of `client` with a key of its own, and the commit that adds it.
fn add(
    group: &mut MlsGroup,
    provider: &MlsProvider<'_, '_>,
    key: &SignatureKeyPair,
    client: &wire::uri::ClientUri,
    made_at: UnixMillis,
) -> MlsMessageOut {
    let suite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
    let other = mls::MlsCrypto::new().signature_key_pair(suite).unwrap();
    let made = key_package::create_key_package(
        provider,
        &other,
        (client, other.public()),
        suite,
        key_package::KeyPackageKind::SingleUse,
        mls::key_package_lifetime(made_at),
    )
    .unwrap();
    let builder = group.commit_builder().propose_adds([made.key_package]);
    rogue::commit(builder.load_psks(provider.storage()).unwrap(), provider, key)
}

#[test]
fn r65_members_reject_a_second_leaf_of_one_client() {
    let mut world = World::with_bob();
    let twin = world.devices[BOB].client.device().clone();
    let commit = rogue::message(&world.devices[BOB], |group, provider, key| {
        add(group, provider, key, &twin, real_time())
    });
    assert_rejected(&mut world, commit);
}

#[test]
fn r7_d8_members_reject_a_signature_that_does_not_verify() {
    let mut world = World::with_bob();
    let mut commit = Twin::of(&world.devices[BOB]).update();
    // Confirmation tag and membership tag are the last 2 × 33 bytes; the signature ends before them.
    let signature_end = commit.len() - 66 - 1;
    commit[signature_end] ^= 1;
    assert_rejected(&mut world, commit);
}

#[test]
fn d4_a_keypackage_that_expired_on_the_way_is_a_gap() {
    let mut world = World::with_bob();
    let eve = user("eve@bravo.example").client("x").unwrap();
    // It is valid for some seconds more. openmls reads its own clock, so there is no way but to wait.
    let expiry = real_time().plus(4_000);
    let made_at = UnixMillis(expiry.0 - 84 * 24 * 60 * 60 * 1000);
    let commit = rogue::message(&world.devices[BOB], |group, provider, key| {
        add(group, provider, key, &eve, made_at)
    });
    while real_time() <= expiry {
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    rogue::append(&mut world, commit);
    world.devices[BOB].online = false;
    world.run();
    let expected = [
        Event::Gap { room: room() },
        Event::Rejoined { room: room() },
        Event::RoomChanged { room: room(), epoch: 2 },
    ];
    assert_eq!(world.devices[ALICE].events, expected);
}

#[test]
fn r62_a_conflict_without_a_body_is_a_wrong_epoch() {
    let mut world = World::with_room();
    world.desk.answer("update/", Some(Response::empty(409)));
    world.add(ALICE, "bob@bravo.example");
    // Nothing ended the epoch, so the log is asked again until the time is up.
    world.run();
    assert_eq!(world.failures(ALICE), ["conflict"]);
}

#[test]
fn d4_a_joiner_takes_a_leaf_that_has_outlived_its_keypackage() {
    let today = real_time();
    let mut world = World::at(UnixMillis(today.0 - 100 * 24 * 60 * 60 * 1000));
    world.create();
    world.run();
    // A hundred days later Alice's leaf has expired, and new KeyPackages are made.
    world.now = today;
    world.desk.key_packages.clear();
    world.run();
    world.add(ALICE, "bob@bravo.example");
    world.run();
    world.assert_agreement(&[ALICE, BOB]);
}

#[test]
fn d4_an_expired_keypackage_is_not_added() {
    let today = real_time();
    let mut world = World::at(UnixMillis(today.0 - 100 * 24 * 60 * 60 * 1000));
    world.create();
    world.run();
    world.now = today;
    world.devices[BOB].online = false;
    world.add(ALICE, "bob@bravo.example");
    world.run();
    assert_eq!(world.failures(ALICE), ["incompatible"]);
    assert_eq!(world.desk.count("update/"), 0);
}
