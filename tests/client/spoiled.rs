//! Rooms that no rule-abiding hub would have: a device does not enter them, and goes on in the others.

use mimi_edge::{
    client::{Event, RoomPhase},
    mls::{MlsCrypto, MlsProvider, SignatureKeyPair, key_package::check_key_package},
    room::{Profile, app_sync::required_capabilities, codepoints::extension},
    storage::{Storage as _, Write},
    transport::Response,
    wire::{
        self, FanoutMessage, FromProvider, GroupInfoResponse, LogEvent, RatchetTree,
        RatchetTreeOption, Verbatim,
    },
};
use openmls::{
    credentials::{BasicCredential, CredentialWithKey},
    extensions::{Extension, UnknownExtension},
    group::MlsGroup,
    key_packages::{KeyPackage, KeyPackageIn},
    prelude::LeafNodeParameters,
};
use openmls_traits::OpenMlsProvider;

use super::{
    rogue::{self, Twin},
    world::{ALICE, BOB, World, room},
};

/// What Alice's leaf or the room's policy is made.
enum Spoiled {
    Leaf(String),
    Policy,
}

/// Each way to spoil a room; `client` is one that is in it, or will be.
fn ways(client: &str) -> [Spoiled; 3] {
    [Spoiled::Leaf("nobody".into()), Spoiled::Leaf(client.into()), Spoiled::Policy]
}

impl Spoiled {
    fn apply(&self, group: &mut MlsGroup, provider: &MlsProvider<'_, '_>, key: &SignatureKeyPair) {
        match self {
            Self::Leaf(name) => {
                let credential = CredentialWithKey {
                    credential: BasicCredential::new(name.clone().into_bytes()).into(),
                    signature_key: key.public().into(),
                };
                let parameters =
                    LeafNodeParameters::builder().with_credential_with_key(credential).build();
                rogue::update(group, provider, key, parameters);
            }
            Self::Policy => {
                let mut extensions = group.extensions().clone();
                let nonsense = UnknownExtension(vec![0xFF]);
                extensions.add(Extension::Unknown(extension::ROOM_POLICY, nonsense)).unwrap();
                group.update_group_context_extensions(provider, extensions, key).unwrap();
            }
        }
        group.merge_pending_commit(provider).unwrap();
    }
}

/// What the hub gives to whoever joins the twin's room.
fn group_info(twin: &mut Twin) -> Response {
    let mut tree = None;
    let info = twin.message(|group, provider, key| {
        tree = Some(wire::encode(&group.export_ratchet_tree()).unwrap());
        group.export_group_info(provider.crypto(), key, false).unwrap()
    });
    let answer = GroupInfoResponse::Success {
        group_info: Box::new(Verbatim::own(info[4..].to_vec()).unwrap()),
        ratchet_tree_option: full(&tree.unwrap()),
    };
    Response::tls(200, wire::encode(&answer).unwrap())
}

fn full(tree: &[u8]) -> RatchetTreeOption {
    RatchetTreeOption::Full(RatchetTree::from_encoded(tree).unwrap())
}

fn key_package_of(world: &World, client: &str) -> KeyPackage {
    let crypto = MlsCrypto::new();
    let required = required_capabilities(Profile::B);
    let valid = world.desk.published.iter().find_map(|bytes| {
        let key_package = Verbatim::<KeyPackageIn>::own(bytes.clone()).unwrap().into_value();
        let valid =
            check_key_package(crypto.algorithms(), key_package, &required, world.now).ok()?;
        (valid.client.as_str() == client).then_some(valid.key_package)
    });
    valid.unwrap()
}

#[test]
fn d9_r87_a_welcome_into_a_room_that_breaks_the_rules_is_not_followed() {
    let bob = World::with_room().devices[BOB].client.device().to_string();
    for index in 0..ways(&bob).len() {
        let mut world = World::with_room();
        let bob = world.devices[BOB].client.device().to_string();
        let key_package = key_package_of(&world, &bob);
        let mut twin = Twin::of(&world.devices[ALICE]);
        let mut tree = None;
        let welcome = twin.message(|group, provider, key| {
            ways(&bob)[index].apply(group, provider, key);
            let (_, welcome, _) = group.add_members(provider, key, &[key_package]).unwrap();
            group.merge_pending_commit(provider).unwrap();
            tree = Some(wire::encode(&group.export_ratchet_tree()).unwrap());
            welcome
        });
        let info = group_info(&mut twin);
        world.desk.answer("groupInfo", Some(info));
        let message = FanoutMessage {
            message: Verbatim::own(welcome).unwrap(),
            timestamp: 1,
            ratchet_tree_option: Some(full(&tree.unwrap())),
        };
        let room_id = room().to_wire();
        world.frame(
            BOB,
            &FromProvider::Inbox(LogEvent { room_id, position: 1, previous: 0, message }),
        );
        assert_eq!(world.devices[BOB].events.last(), Some(&Event::WelcomeFailed { room: room() }));
        world.run();
        assert_eq!(world.devices[BOB].client.rooms().unwrap(), [], "{index}");
        let now = world.now;
        world.devices[BOB].reopen(now);
        assert_eq!(world.devices[BOB].client.room_state(&room()), Ok(None));
    }
}

#[test]
fn r87_a_group_info_of_a_room_that_breaks_the_rules_is_not_followed() {
    for index in 0..3 {
        let mut world = World::with_bob();
        let second = world.add_device("bob@bravo.example");
        let bob = world.devices[BOB].client.device().to_string();
        let mut twin = Twin::of(&world.devices[ALICE]);
        twin.bytes(|group, provider, key| {
            ways(&bob)[index].apply(group, provider, key);
            Vec::new()
        });
        let info = group_info(&mut twin);
        world.desk.answer("groupInfo", Some(info));
        world.ask(second, |client, now| client.join_room(&room(), now));
        world.run();
        assert_eq!(world.failures(second), ["incompatible"], "{index}");
        assert_eq!(world.devices[second].client.rooms().unwrap(), []);
        assert_eq!(world.state(BOB).phase, RoomPhase::Joined);
    }
}

#[test]
fn a_room_that_is_broken_on_this_device_does_not_stop_the_others() {
    let mut world = World::with_bob();
    let den = wire::uri::RoomUri::parse("den@alpha.example").unwrap();
    world.ask(ALICE, |alice, now| alice.create_room(&den, Default::default(), now));
    world.run();
    // Something of the clubhouse's group is lost, and a change of it waits.
    let rows = world.devices[ALICE].stored.rows();
    let name = room().to_string().into_bytes();
    let lost = |key: &[u8]| {
        key[0] == mimi_edge::mls::MLS_TABLE && key.windows(name.len()).any(|part| part == name)
    };
    let lost: Vec<_> = rows
        .filter(|(key, _)| lost(key))
        .map(|(key, _)| Write { key: key.to_vec(), value: None })
        .collect();
    assert!(!lost.is_empty());
    world.desk.answer("update/", Some(Response::empty(409)));
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.exchange(ALICE);
    world.devices[ALICE].stored.apply(lost).unwrap();
    let now = world.now;
    world.devices[ALICE].reopen(now);
    world.devices[ALICE].events.clear();
    let id = world.ask(ALICE, |alice, now| alice.update_keys(&den, now));
    for _ in 0..50 {
        let now = world.now;
        let _ = world.devices[ALICE].act(|alice| alice.poll_request(now)).map(|request| {
            let Some(request) = request else { return };
            let mimi_edge::transport::Outgoing::Http(call) = request.outgoing else { return };
            let answer = world.desk.handle(&call);
            let _ =
                world.devices[ALICE].act(|alice| alice.handle_response(request.id, answer, now));
        });
        world.now = now.plus(1_000);
    }
    assert!(world.devices[ALICE].events.contains(&Event::IntentDone { room: den, id }));
}
