//! Creating a room and adding users.

use mimi_edge::{
    client::{AddOptions, CreateOptions, Event, HubProposals, LastResort, RoomPhase},
    error::{Error, UsageError},
    room::{ParticipantList, Profile, app_sync, codepoints},
    transport::Response,
    wire::{
        self, ClientKeyMaterial, ClientMaterial, IdentifierUri, KeyMaterialBody,
        KeyMaterialUserCode, OutlineProposal, RatchetTreeOption, Role, RoomCreation, UpdateContent,
        UpdateRequest, UpdateResponseCode, UserRoles, Verbatim, commit_outline, uri::RoomUri,
    },
};
use openmls::prelude::ExtensionType;

use super::{
    desk::{key_material, update_response},
    world::{ALICE, BOB, CATHY, World, room, user},
};

fn failure(world: &World, who: usize) -> Vec<(&'static str, bool)> {
    let events = world.devices[who].events.iter();
    events
        .filter_map(|event| match event {
            Event::IntentFailed { code, retryable, .. } => Some((code.as_str(), *retryable)),
            _ => None,
        })
        .collect()
}

fn creation(world: &World) -> RoomCreation {
    let requests = world.desk.requests.iter();
    let bodies: Vec<_> = requests
        .filter(|(path, _)| path.starts_with("POST rooms/"))
        .map(|(_, body)| body)
        .collect();
    assert_eq!(bodies.len(), 1);
    wire::decode_exact(bodies[0]).unwrap()
}

#[test]
fn r8_the_group_id_is_the_room_and_r15_the_creator_is_its_list() {
    let world = World::with_room();
    let RoomCreation { group_info, ratchet_tree_option } = creation(&world);
    let context = group_info.group_context();
    assert_eq!(context.group_id().as_slice(), b"clubhouse@alpha.example");
    assert_eq!(context.epoch().as_u64(), 0);
    assert!(matches!(ratchet_tree_option, RatchetTreeOption::Full(_)));

    let list = app_sync::participant_list(context.extensions()).unwrap();
    assert_eq!(list, ParticipantList::of_creator(user("alice@alpha.example")));
    let roles = [Role::Owner, Role::Admin, Role::RegularUser];
    assert_eq!(list.roles_of(&user("alice@alpha.example")).unwrap(), roles);
    let required = context.extensions().required_capabilities().unwrap();
    assert_eq!(
        required.extension_types(),
        [ExtensionType::AppDataDictionary, ExtensionType::Unknown(0xF0A7)]
    );
    assert_eq!(required.proposal_types().len(), 1);
    assert_eq!(context.extensions().external_senders().unwrap().len(), 1);
}

#[test]
fn r14_creation_asks_the_own_provider_alone_and_the_room_is_there_after_it() {
    let mut world = World::new();
    world.desk.requests.clear();
    let id = world.create();
    assert_eq!(world.devices[ALICE].client.rooms().unwrap(), [(room(), RoomPhase::Creating)]);
    world.run();
    let paths: Vec<_> = world.desk.requests.iter().map(|(path, _)| path.as_str()).collect();
    let expected = [
        "GET external-sender/1",
        "POST rooms/clubhouse@alpha.example",
        "GET directory/alpha.example",
    ];
    assert_eq!(paths, expected);
    assert_eq!(world.devices[ALICE].client.rooms().unwrap(), [(room(), RoomPhase::Joined)]);
    let added = Event::RoomAdded { room: room() };
    let done = Event::IntentDone { room: room(), id };
    assert!(world.devices[ALICE].events.ends_with(&[added, done]));

    let now = world.now;
    let foreign = RoomUri::parse("clubhouse@bravo.example").unwrap();
    let refused = world.devices[ALICE]
        .act(|alice| alice.create_room(&foreign, CreateOptions::default(), now));
    assert!(matches!(refused, Err(Error::Usage(UsageError::BadArgument(_)))));
    let again =
        world.devices[ALICE].act(|alice| alice.create_room(&room(), CreateOptions::default(), now));
    assert!(matches!(again, Err(Error::Usage(UsageError::BadState(_)))));
    assert_eq!(world.poll(ALICE), None);
}

#[test]
fn d1_without_hub_proposals_the_hub_has_no_key_in_the_room() {
    let mut world = World::new();
    let now = world.now;
    world.desk.requests.clear();
    let options = CreateOptions { hub_proposals: HubProposals::Off, ..CreateOptions::default() };
    world.devices[ALICE].act(|alice| alice.create_room(&room(), options, now)).unwrap();
    world.run();
    assert_eq!(world.desk.count("external-sender"), 0);
    assert!(creation(&world).group_info.group_context().extensions().external_senders().is_none());
}

#[test]
fn d1_a_room_that_is_taken_is_a_conflict_and_nothing_of_it_stays() {
    let mut world = World::new();
    let before = world.devices[ALICE].stored.rows().count();
    world.desk.answer("rooms/", Some(Response::empty(409)));
    world.create();
    world.add(ALICE, "bob@bravo.example");
    world.run();
    assert_eq!(failure(&world, ALICE), [("conflict", false), ("conflict", true)]);
    assert_eq!(world.devices[ALICE].client.rooms().unwrap(), []);
    assert_eq!(world.desk.count("keyMaterial"), 0);
    assert_eq!(world.devices[ALICE].stored.rows().count(), before);
}

#[test]
fn r21_r22_r23_a_claim_names_the_room_and_what_it_needs() {
    let mut world = World::with_room();
    world.add(ALICE, "bob@bravo.example");
    world.run();
    let claim = world.desk.claim.take().unwrap();
    assert_eq!(claim.requesting_user.0, "alice@alpha.example");
    assert_eq!(claim.target_users, [IdentifierUri("bob@bravo.example".into())]);
    assert_eq!(claim.room_id.0, "clubhouse@alpha.example");
    let KeyMaterialBody::Mls10(body) = claim.body else { panic!("mls10") };
    assert_eq!(body.acceptable_ciphersuites, [codepoints::cipher_suite::DEFAULT]);
    assert_eq!(body.required_capabilities, app_sync::required_capabilities(Profile::B));
    assert!(!body.last_resort_allowed);
}

#[test]
fn r19_a_claim_goes_to_the_own_provider_and_is_made_once() {
    let mut world = World::with_room();
    world.add(ALICE, "bob@bravo.example");
    world.run();
    assert_eq!(world.desk.count("POST keyMaterial/bob@bravo.example"), 1);
    assert_eq!(world.devices[BOB].epoch(), 1);
}

#[test]
fn d16_last_resort_is_asked_for_when_the_caller_says_so() {
    let mut world = World::with_room();
    let now = world.now;
    let options = AddOptions { last_resort: LastResort::Allowed, ..AddOptions::default() };
    let bob = user("bob@bravo.example");
    world.devices[ALICE].act(|alice| alice.add_user(&room(), &bob, options, now)).unwrap();
    world.run();
    let KeyMaterialBody::Mls10(body) = world.desk.claim.unwrap().body else { panic!("mls10") };
    assert!(body.last_resort_allowed);
}

#[test]
fn r25_r30_unusable_answers_to_a_claim_fail_with_their_code() {
    type Change = fn(&mut World) -> wire::KeyMaterialResponse;
    let cases: [(&str, bool, Change); 11] = [
        ("no-consent", false, |_| {
            key_material("bob@bravo.example", KeyMaterialUserCode::NoConsent)
        }),
        ("no-consent", false, |_| {
            key_material("bob@bravo.example", KeyMaterialUserCode::NoConsentForThisRoom)
        }),
        ("user-unknown", false, |_| {
            key_material("bob@bravo.example", KeyMaterialUserCode::UserUnknown)
        }),
        ("incompatible", false, |_| {
            key_material("bob@bravo.example", KeyMaterialUserCode::IncompatibleProtocol)
        }),
        ("no-key-package", true, |_| {
            key_material("bob@bravo.example", KeyMaterialUserCode::NoCompatibleMaterial)
        }),
        // Another user's answer.
        ("incompatible", false, |_| {
            key_material("eve@bravo.example", KeyMaterialUserCode::Success)
        }),
        // Clients where none may be (R25).
        ("incompatible", false, |world| {
            let mut answer = key_material("bob@bravo.example", KeyMaterialUserCode::NoConsent);
            answer.clients.push(of(world, BOB, BOB));
            answer
        }),
        // A KeyPackage of Cathy's, said to be Bob's (R30).
        ("incompatible", false, |world| {
            let mut answer = key_material("bob@bravo.example", KeyMaterialUserCode::Success);
            answer.clients.push(of(world, BOB, CATHY));
            answer
        }),
        // A KeyPackage of Cathy's, under her own name (R30).
        ("incompatible", false, |world| {
            let mut answer = key_material("bob@bravo.example", KeyMaterialUserCode::Success);
            answer.clients.push(of(world, CATHY, CATHY));
            answer
        }),
        // One device's KeyPackage under the name of another (R30).
        ("incompatible", false, |world| {
            let mut answer = key_material("bob@bravo.example", KeyMaterialUserCode::Success);
            let mut client = of(world, BOB, BOB);
            client.client_uri = IdentifierUri("bob@bravo.example/tablet".into());
            answer.clients.push(client);
            answer
        }),
        // A last-resort one that nobody asked for (R23).
        ("incompatible", false, |world| {
            let mut answer = key_material("bob@bravo.example", KeyMaterialUserCode::Success);
            let client = world.devices[BOB].client.device().to_string();
            let stock = world.desk.key_packages.get_mut(&client).unwrap();
            stock.rotate_right(1);
            answer.clients.push(of(world, BOB, BOB));
            answer
        }),
    ];
    for (code, retryable, change) in cases {
        let mut world = World::with_room();
        let answer = change(&mut world);
        let body = wire::encode(&answer).unwrap();
        world.desk.answer("keyMaterial/", Some(Response::tls(200, body)));
        world.add(ALICE, "bob@bravo.example");
        world.run();
        assert_eq!(failure(&world, ALICE), [(code, retryable)], "{answer:?}");
        assert_eq!(world.desk.count("update/"), 0);
        assert_eq!(world.devices[ALICE].epoch(), 0);
    }
}

/// The next KeyPackage of one device under the name of another.
fn of(world: &mut World, named: usize, owner: usize) -> ClientKeyMaterial {
    let owner = world.devices[owner].client.device().to_string();
    let key_package = world.desk.key_packages.get_mut(&owner).unwrap().pop_front().unwrap();
    ClientKeyMaterial {
        client_uri: world.devices[named].client.device().to_wire(),
        material: ClientMaterial::Success(Box::new(Verbatim::own(key_package).unwrap())),
    }
}

#[test]
fn r40_one_commit_carries_the_list_change_and_the_adds() {
    let mut world = World::with_room();
    world.add(ALICE, "bob@bravo.example");
    world.run();
    let (_, body) =
        world.desk.requests.iter().find(|(path, _)| path.starts_with("POST update/")).unwrap();
    let update: UpdateRequest = wire::decode_exact(body).unwrap();
    let outline = commit_outline(update.proposal_or_commit.bytes()).unwrap();
    let expected = wire::AppSync {
        add_users: vec![UserRoles {
            user: IdentifierUri("bob@bravo.example".into()),
            roles: vec![Role::RegularUser],
        }],
        ..wire::AppSync::default()
    };
    assert_eq!(outline.proposals.len(), 2);
    for proposal in outline.proposals {
        match proposal {
            OutlineProposal::AppDataUpdate { component_id, update } => {
                assert_eq!(component_id, codepoints::component::PARTICIPANT_LIST);
                assert_eq!(update.unwrap(), wire::encode(&expected).unwrap());
            }
            OutlineProposal::Add(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let UpdateContent::Commit(bundle) = update.content else { panic!("a commit") };
    assert!(bundle.welcome.is_some());
    assert!(matches!(bundle.ratchet_tree_option, RatchetTreeOption::Full(_)));
    assert!(bundle.group_info.extensions().external_pub().is_some());
    assert!(!bundle.group_info.extensions().contains(ExtensionType::RatchetTree));
}

#[test]
fn d5_a_user_whose_devices_are_all_in_already_is_done_without_a_commit() {
    let mut world = World::with_bob();
    world.desk.requests.clear();
    let id = world.add(ALICE, "bob@bravo.example");
    world.run();
    assert_eq!(world.devices[ALICE].events, [Event::IntentDone { room: room(), id }]);
    assert_eq!(world.desk.count("POST update"), 0);
}

#[test]
fn r38_roles_that_nobody_can_have_are_a_bad_argument() {
    let mut world = World::with_room();
    let now = world.now;
    for roles in [vec![], vec![Role::Admin, Role::Admin], vec![Role::Banned]] {
        let options = AddOptions { roles, ..AddOptions::default() };
        let bob = user("bob@bravo.example");
        let refused = world.devices[ALICE].act(|alice| alice.add_user(&room(), &bob, options, now));
        assert!(matches!(refused, Err(Error::Usage(UsageError::BadArgument(_)))));
    }
    assert_eq!(world.poll(ALICE), None);
}

#[test]
fn r62_a_refused_commit_leaves_the_room_as_it_was_and_the_next_one_goes_through() {
    for (status, answer, code) in [
        (403, UpdateResponseCode::NotAllowed, "not-allowed"),
        (422, UpdateResponseCode::InvalidProposal, "invalid-proposal"),
    ] {
        let mut world = World::with_room();
        world.desk.answer("update/", Some(update_response(status, answer)));
        world.add(ALICE, "bob@bravo.example");
        world.run();
        assert_eq!(failure(&world, ALICE), [(code, false)]);
        assert_eq!(world.devices[ALICE].epoch(), 0);
        world.add(ALICE, "cathy@charlie.example");
        world.run();
        world.assert_agreement(&[ALICE, CATHY]);
    }
}

#[test]
fn a_welcome_to_another_group_under_the_rooms_name_brings_nobody_out_of_the_room() {
    let mut world = World::with_bob();
    let bob = world.devices[BOB].client.device().to_string();
    let stock = world.desk.key_packages[&bob].clone();
    // Somebody makes a room of the same name elsewhere and adds this very device.
    let mut elsewhere = World::with_room();
    elsewhere.desk.published.extend(stock.iter().cloned());
    elsewhere.desk.key_packages.retain(|client, _| !client.starts_with("bob@"));
    elsewhere.desk.key_packages.insert(bob, stock);
    elsewhere.add(ALICE, "bob@bravo.example");
    elsewhere.run();
    let mut welcome = elsewhere.desk.inbox_of("bob@bravo.example")[0].clone();
    (welcome.position, welcome.previous) = (2, 1);
    world.desk.inbox_of("bob@bravo.example").push(welcome);
    world.run();
    assert_eq!(world.devices[BOB].events, []);
    world.assert_agreement(&[ALICE, BOB]);
}

#[test]
fn r38_a_room_with_its_users_is_created_altogether_or_not_at_all() {
    let mut world = World::new();
    let now = world.now;
    let add = |roles: &[Role]| AddOptions { roles: roles.to_vec(), ..AddOptions::default() };
    for bad in [&[][..], &[Role::Banned], &[Role::Owner, Role::Owner]] {
        let users = vec![
            (user("bob@bravo.example"), AddOptions::default()),
            (user("cathy@charlie.example"), add(bad)),
        ];
        let options = CreateOptions::default();
        let refused =
            world.devices[ALICE].act(|alice| alice.create_room_with(&room(), options, users, now));
        assert_eq!(refused, Err(Error::Usage(UsageError::BadArgument("roles"))));
        assert_eq!(world.devices[ALICE].client.rooms().unwrap(), []);
    }
    let users = vec![
        (user("bob@bravo.example"), AddOptions::default()),
        (user("cathy@charlie.example"), add(&[Role::Owner])),
    ];
    world.ask(ALICE, |alice, now| {
        alice.create_room_with(&room(), CreateOptions::default(), users, now)
    });
    world.run();
    world.assert_agreement(&[ALICE, BOB, CATHY]);
    assert_eq!(world.state(BOB).participants[2].roles, [Role::Owner]);
}
