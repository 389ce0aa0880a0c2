//! How many bytes one Add uploads in rooms of different sizes, with the whole tree and by reference.
//!
//! `npm run figures` asks for more sizes by `FIGURES_MEMBERS` and shows what is printed here.

use mimi_edge::{
    mls::{
        MlsCrypto, MlsProvider, accepted_suite,
        key_package::{KeyPackageKind, create_key_package},
        key_package_lifetime,
    },
    room::codepoints::cipher_suite,
    storage::{MemoryStorage, Transaction},
    wire::{UpdateResponseCode, uri::ClientUri},
};

use super::{
    desk::update_response,
    hubs::with_references,
    world::{ALICE, World, user},
};

const CROWD: &str = "crowd@bravo.example";

/// Gives the desk a KeyPackage for each of the crowd's devices.
fn gather(world: &mut World, devices: usize) {
    let suite = accepted_suite(cipher_suite::DEFAULT).unwrap();
    let (storage, crypto) = (MemoryStorage::default(), MlsCrypto::new());
    for number in 0..devices {
        let client: ClientUri = user(CROWD).client(&format!("device{number}")).unwrap();
        let key = crypto.signature_key_pair(suite).unwrap();
        let mut transaction = Transaction::new(&storage);
        let provider = MlsProvider::new(&mut transaction, &crypto);
        let who = (&client, key.public());
        let made = create_key_package(
            &provider,
            &key,
            who,
            suite,
            KeyPackageKind::SingleUse,
            key_package_lifetime(world.now),
        );
        let stock = world.desk.key_packages.entry(client.as_str().to_owned()).or_default();
        stock.push_back(made.unwrap().bytes);
    }
}

/// The bytes of the last `/update`.
fn last_upload(world: &World) -> usize {
    let mut updates =
        world.desk.requests.iter().filter(|(path, _)| path.starts_with("POST update/"));
    updates.next_back().unwrap().1.len()
}

/// Alice adds somebody, and the hub takes it.
fn add(world: &mut World, name: &str) {
    world.desk.answer("update/", Some(update_response(200, UpdateResponseCode::Success)));
    world.add(ALICE, name);
    while world.exchange(ALICE) {}
}

/// The bytes of an `/update` that adds Bob to a room of `members` devices.
fn one_add(mut world: World, members: usize) -> usize {
    gather(&mut world, members - 1);
    add(&mut world, CROWD);
    let state = world.state(ALICE);
    let in_room: usize = state.participants.iter().map(|entry| entry.devices.len()).sum();
    assert_eq!(in_room, members);
    add(&mut world, "bob@bravo.example");
    assert_eq!(world.state(ALICE).epoch, 2);
    last_upload(&world)
}

#[test]
fn a23_an_add_by_reference_does_not_grow_with_the_room() {
    let wanted = std::env::var("FIGURES_MEMBERS").unwrap_or_else(|_| "10 100".into());
    let mut by_reference = Vec::new();
    for members in wanted.split(' ').map(|text| text.parse::<usize>().unwrap()) {
        let full = one_add(World::with_room(), members);
        let reference = one_add(with_references(), members);
        println!("figures: {members} members: full {full} B, byReference {reference} B");
        assert!(reference < full);
        by_reference.push(reference);
    }
    let (least, most) = (by_reference.iter().min().unwrap(), by_reference.iter().max().unwrap());
    assert!(most - least < 200, "the path is not part of it: {by_reference:?}");
}
