//! What a device can be asked to change in a room, each one commit with all that belongs to it.

use mimi_edge::{
    client::{Delivery, ErrorCode, Event, IntentKind, RoomPhase},
    error::{Error, ProtocolError, UsageError},
    mls::own_commit::{own_proposals, resolve_own},
    wire::{
        self, AppSync, OutlineProposal, Role, UpdateRequest, UserRoles, commit_outline,
        uri::{RoomUri, UserUri},
    },
};

use openmls_traits::OpenMlsProvider;

use super::{
    rogue::{self, Twin},
    world::{ALICE, BOB, CATHY, World, room, user},
};

fn bob() -> UserUri {
    user("bob@bravo.example")
}

fn roles_of(world: &mut World, who: &UserUri) -> Option<(Vec<Role>, usize)> {
    let state = world.state(ALICE);
    let entry = state.participants.into_iter().find(|entry| entry.user == *who)?;
    Some((entry.roles, entry.devices.len()))
}

/// The proposals of the last commit that was sent.
fn proposals(world: &World) -> Vec<OutlineProposal> {
    let mut requests = world.desk.requests.iter().rev();
    let (_, body) = requests.find(|(path, _)| path.starts_with("POST update/")).unwrap();
    let update: UpdateRequest = wire::decode_exact(body).unwrap();
    commit_outline(update.proposal_or_commit.bytes()).unwrap().proposals
}

#[test]
fn r41_r42_a_user_is_removed_from_list_and_tree_in_one_commit() {
    let mut world = World::with_bob_and_cathy();
    let id = world.ask(ALICE, |alice, now| alice.remove_user(&room(), &bob(), now));
    let pending = world.state(ALICE).pending;
    assert_eq!((pending[0].what, pending[0].user.as_ref()), (IntentKind::Remove, Some(&bob())));
    world.run();
    assert_eq!(proposals(&world).len(), 2);
    assert_eq!(roles_of(&mut world, &bob()), None);
    assert_eq!(world.state(ALICE).epoch, 3);
    assert!(world.devices[ALICE].events.contains(&Event::IntentDone { room: room(), id }));
    assert_eq!(world.devices[BOB].events, [Event::RoomLeft { room: room() }]);
    assert_eq!(world.state(BOB).phase, RoomPhase::Left);
    world.assert_agreement(&[ALICE, CATHY]);
    // Once more there is nothing to do.
    world.desk.requests.clear();
    world.ask(ALICE, |alice, now| alice.remove_user(&room(), &bob(), now));
    world.run();
    assert_eq!((world.desk.requests.len(), world.failures(ALICE)), (0, vec![]));
}

#[test]
fn r37_r41_a_ban_takes_the_devices_out_and_other_roles_lift_it() {
    let mut world = World::with_bob_and_cathy();
    world.ask(ALICE, |alice, now| alice.set_roles(&room(), &bob(), vec![Role::Banned], now));
    world.run();
    assert_eq!(world.state(ALICE).epoch, 3);
    assert_eq!(roles_of(&mut world, &bob()), Some((vec![Role::Banned], 0)));
    assert_eq!(world.state(BOB).phase, RoomPhase::Left);
    let roles = vec![Role::Admin, Role::RegularUser];
    world.ask(CATHY, |cathy, now| cathy.set_roles(&room(), &bob(), roles.clone(), now));
    world.run();
    assert_eq!(roles_of(&mut world, &bob()), Some((roles, 0)));
    world.assert_agreement(&[ALICE, CATHY]);
    world.add(ALICE, "bob@bravo.example");
    world.run();
    world.assert_agreement(&[ALICE, BOB, CATHY]);
}

#[test]
fn r37_somebody_absent_is_banned_but_gets_no_other_roles() {
    let mut world = World::with_bob();
    let eve = user("eve@bravo.example");
    world.ask(ALICE, |alice, now| alice.set_roles(&room(), &eve, vec![Role::Admin], now));
    world.run();
    assert_eq!(world.failures(ALICE), ["user-unknown"]);
    world.ask(ALICE, |alice, now| alice.set_roles(&room(), &eve, vec![Role::Banned], now));
    world.run();
    assert_eq!(roles_of(&mut world, &eve), Some((vec![Role::Banned], 0)));
    world.assert_agreement(&[ALICE, BOB]);
    // R37: a removal lifts the ban.
    world.ask(BOB, |bob, now| bob.remove_user(&room(), &eve, now));
    world.run();
    assert_eq!(roles_of(&mut world, &eve), None);
}

#[test]
fn one_device_is_removed_and_its_user_stays_on_the_list() {
    let mut world = World::with_bob();
    let device = world.devices[BOB].client.device().clone();
    world.ask(ALICE, |alice, now| alice.remove_device(&room(), &device, now));
    world.run();
    assert_eq!(roles_of(&mut world, &bob()), Some((vec![Role::RegularUser], 0)));
    assert_eq!(world.state(BOB).phase, RoomPhase::Left);
}

#[test]
fn r36_a_policy_is_seen_by_all() {
    let mut world = World::with_bob();
    assert_eq!(world.state(BOB).policy, None);
    let policy = b"be kind".to_vec();
    world.ask(ALICE, |alice, now| alice.set_policy(&room(), policy.clone(), now));
    world.run();
    assert_eq!(proposals(&world), [OutlineProposal::Other(7)]);
    world.assert_agreement(&[ALICE, BOB]);
    assert_eq!(world.state(BOB).policy.as_deref(), Some(&b"be kind"[..]));
    // It is so already.
    world.ask(BOB, |bob, now| bob.set_policy(&room(), policy, now));
    world.run();
    assert_eq!(world.state(BOB).epoch, 2);
}

#[test]
fn new_keys_are_a_commit_of_nothing_else() {
    let mut world = World::with_bob();
    let before = world.state(ALICE);
    let id = world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.run();
    assert_eq!(proposals(&world), []);
    assert_eq!(world.state(ALICE).participants, before.participants);
    assert!(world.devices[ALICE].events.contains(&Event::IntentDone { room: room(), id }));
    world.assert_agreement(&[ALICE, BOB]);
}

#[test]
fn d20_a_change_is_replayed_over_the_room_as_it_stands() {
    for number in 0..4 {
        let mut world = World::with_bob_and_cathy();
        let device = world.devices[BOB].client.device().clone();
        match number {
            0 => world.ask(ALICE, |alice, now| alice.remove_user(&room(), &bob(), now)),
            1 => world.ask(ALICE, |alice, now| alice.update_keys(&room(), now)),
            2 => world.ask(ALICE, |alice, now| alice.set_policy(&room(), vec![1], now)),
            _ => world.ask(ALICE, |alice, now| alice.remove_device(&room(), &device, now)),
        };
        let epoch = world.state(ALICE).epoch;
        let (id, call) = world.poll(ALICE).unwrap();
        world.devices[CATHY].online = false;
        // Cathy's twin is faster, and Cathy follows it no more.
        let rival = Twin::of(&world.devices[CATHY]).update();
        rogue::accept(&mut world, rival);
        let response = world.desk.handle(&call);
        world.respond(ALICE, id, response);
        world.run();
        assert_eq!(world.failures(ALICE), [] as [&str; 0], "{number}");
        assert_eq!(world.state(ALICE).epoch, epoch + 2, "{number}");
    }
}

#[test]
fn what_nobody_can_ask_for_is_refused_at_once() {
    let mut world = World::with_bob();
    let now = world.now;
    let alice = user("alice@alpha.example");
    let own = world.devices[ALICE].client.device().clone();
    let elsewhere = RoomUri::parse("other@alpha.example").unwrap();
    let client = &mut world.devices[ALICE].client;
    let bad = [
        client.remove_user(&room(), &alice, now),
        client.remove_device(&room(), &own, now),
        client.set_roles(&room(), &alice, vec![Role::Banned], now),
        client.set_roles(&room(), &bob(), vec![], now),
        client.set_roles(&room(), &bob(), vec![Role::Banned, Role::Admin], now),
    ];
    for refused in bad {
        assert!(matches!(refused, Err(Error::Usage(UsageError::BadArgument(_)))), "{refused:?}");
    }
    let too_large = client.set_policy(&room(), vec![0; (16 << 10) + 1], now);
    assert_eq!(too_large, Err(Error::Protocol(ProtocolError::TooLarge)));
    let unknown = client.update_keys(&elsewhere, now);
    assert_eq!(unknown, Err(Error::Usage(UsageError::RoomUnknown)));
    assert_eq!(world.poll(ALICE), None);
}

#[test]
fn r45_who_was_removed_from_the_list_alone_is_told_that_it_may_not_send() {
    let mut world = World::with_bob();
    let ban = AppSync {
        update_users: vec![UserRoles { user: bob().to_wire(), roles: vec![Role::Banned] }],
        ..AppSync::default()
    };
    let mut twin = Twin::of(&world.devices[ALICE]);
    let commit = twin.message(|group, provider, key| {
        let proposals = own_proposals(group, Some(&ban), None).unwrap();
        let extensions = group.extensions().clone();
        let builder = group.commit_builder().add_proposals(proposals);
        let mut builder = builder.load_psks(provider.storage()).unwrap();
        resolve_own(&extensions, &mut builder).unwrap();
        rogue::commit(builder, provider, key)
    });
    world.devices[ALICE].online = false;
    rogue::accept(&mut world, commit);
    world.run();
    assert_eq!(world.state(BOB).participants[1].roles, [Role::Banned]);
    world.desk.requests.clear();
    let key = world.send(BOB, "but");
    world.run();
    let delivery = Delivery::Failed { code: ErrorCode::NotAllowed, retryable: false };
    let [own] = &world.devices[BOB].client.unsent(&room()).unwrap()[..] else { panic!("one") };
    assert_eq!((&own.key, own.delivery), (&key, delivery));
    assert!(world.devices[BOB].events.contains(&Event::Delivery(own.clone())));
    assert_eq!(world.desk.count("submitMessage"), 0);
}
