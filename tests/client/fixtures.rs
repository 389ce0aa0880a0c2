//! Stores of earlier versions: what a device had on disk then opens now, with all that was in it, and
//! goes on.
//!
//! `tests/fixtures/store/core-N.json` has what devices of version N of the rows stored, with what their
//! hub knew. `npm run fixtures` writes the one of today's version; those of versions that were
//! published are never written again.

use std::{collections::BTreeMap, fs, path::PathBuf};

use base64ct::{Base64, Encoding as _};
use mimi_edge::{
    client::{ClientOptions, Event, RoomPhase},
    storage::MemoryStorage,
    time::UnixMillis,
    wire::{self, FanoutMessage, Role},
};
use serde::{Deserialize, Serialize};

use super::{
    desk::Desk,
    world::{ALICE, BOB, CATHY, Device, Reopen, World, room, user},
};

/// A time after which all KeyPackages are replaced.
const REPLACED_MILLIS: u64 = 43 * 24 * 60 * 60 * 1000;

/// What is kept of a world: bytes are base64.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// When it was written, in ms since 1970.
    now: u64,
    /// The room's epoch at its hub.
    epoch: u64,
    /// The room's log, as FanoutMessages.
    log: Vec<String>,
    /// The position after which each client reads.
    windows: BTreeMap<String, u64>,
    devices: Vec<KeptDevice>,
}

#[derive(Serialize, Deserialize)]
struct KeptDevice {
    client: String,
    user: String,
    /// Keys and values, in key order.
    rows: Vec<(String, String)>,
}

fn bytes(text: &str) -> Vec<u8> {
    Base64::decode_vec(text).unwrap()
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", "store"].iter().collect()
}

/// Three devices in a room that has a history. Alice is offline, with a message and a change that wait;
/// Bob wrote something in the meantime.
fn world() -> World {
    let mut world = World::with_bob_and_cathy();
    world.send(ALICE, "hello");
    world.run();
    world.send(BOB, "hi");
    world.ask(ALICE, |alice, now| alice.request_pseudonym(now));
    world.run();
    world.devices[ALICE].online = false;
    world.send(BOB, "while you were away");
    world.run();
    world.send(ALICE, "on its way");
    world.ask(ALICE, |alice, now| {
        alice.set_roles(&room(), &user("cathy@charlie.example"), vec![Role::Visitor], now)
    });
    world
}

fn keep(world: &World) -> Kept {
    let known = &world.desk.rooms[room().as_str()];
    let device = |device: &Device| KeptDevice {
        client: device.client.device().to_string(),
        user: device.client.device().user().to_string(),
        rows: device
            .stored
            .rows()
            .map(|(key, value)| (Base64::encode_string(key), Base64::encode_string(value)))
            .collect(),
    };
    let message = |message| Base64::encode_string(&wire::encode::<FanoutMessage>(message).unwrap());
    Kept {
        now: world.now.0,
        epoch: known.epoch,
        log: known.log.iter().map(message).collect(),
        windows: known.windows.clone(),
        devices: world.devices.iter().map(device).collect(),
    }
}

/// The world as it was, a second later.
fn open(kept: Kept) -> World {
    let now = UnixMillis(kept.now).plus(1_000);
    let log = kept.log.iter().map(|message| wire::decode_exact(&bytes(message)).unwrap()).collect();
    let clients = kept.devices.iter().map(|device| device.client.clone()).collect();
    let desk = Desk::with_room(room().as_str(), (kept.epoch, log, kept.windows), clients);
    let device = |device: KeptDevice| {
        let rows = device.rows.iter().map(|(key, value)| (bytes(key), bytes(value)));
        let opened = Device::over(
            ClientOptions::new(user(&device.user)),
            MemoryStorage::with_rows(rows),
            now,
        );
        assert_eq!(opened.client.device().as_str(), device.client);
        opened
    };
    let devices = kept.devices.into_iter().map(device).collect();
    World { desk, devices, now, reopen: Reopen::Never }
}

fn history(world: &World, of: usize) -> Vec<String> {
    let messages = world.devices[of].client.history(&room(), 0, 99).unwrap();
    messages.into_iter().map(|message| String::from_utf8(message.content).unwrap()).collect()
}

/// Everything is there, and goes on.
fn check(kept: Kept) {
    let mut world = open(kept);
    let state = world.state(ALICE);
    assert_eq!((state.phase, state.epoch), (RoomPhase::Joined, 2));
    let users: Vec<_> = state.participants.iter().map(|one| one.user.as_str()).collect();
    assert_eq!(users, ["alice@alpha.example", "bob@bravo.example", "cathy@charlie.example"]);
    let pending: Vec<_> = state.pending.iter().map(|intent| intent.what.as_str()).collect();
    assert_eq!(pending, ["roles"]);
    assert_eq!(world.devices[ALICE].client.pseudonyms().unwrap().len(), 1);
    assert_eq!(history(&world, ALICE), ["hello", "hi"]);
    assert_eq!(history(&world, BOB), ["hello", "hi", "while you were away"]);

    world.run();
    for (who, text) in [(ALICE, "Alice goes on"), (BOB, "Bob too"), (CATHY, "Cathy too")] {
        world.send(who, text);
        world.run();
    }
    world.assert_agreement(&[ALICE, BOB, CATHY]);
    assert_eq!(world.state(ALICE).participants[2].roles, [Role::Visitor]);
    let expected = ["hello", "hi", "while you were away", "on its way"];
    let expected = [&expected[..], &["Alice goes on", "Bob too", "Cathy too"]].concat();
    for who in [ALICE, BOB, CATHY] {
        assert_eq!(history(&world, who), expected);
        let failed = |event: &Event| {
            matches!(
                event,
                Event::Undecryptable { .. } | Event::Gap { .. } | Event::Diverged { .. }
            )
        };
        assert!(!world.devices[who].events.iter().any(failed));
    }

    let published = world.desk.count("POST keyPackages");
    assert_eq!(published, 0);
    world.now = world.now.plus(REPLACED_MILLIS);
    world.run();
    assert_eq!(world.desk.count("POST keyPackages"), 3);
}

/// The version of a device's rows.
fn version(kept: &Kept) -> u8 {
    let key = Base64::encode_string(&[1]);
    let row = kept.devices[ALICE].rows.iter().find(|(name, _)| *name == key).unwrap();
    bytes(&row.1)[0]
}

#[test]
fn what_this_version_stores_opens_again_and_is_kept_for_the_versions_after_it() {
    let kept = keep(&world());
    let path = folder().join(format!("core-{}.json", version(&kept)));
    if std::env::var_os("FIXTURES").is_some() {
        fs::create_dir_all(folder()).unwrap();
        fs::write(&path, serde_json::to_string_pretty(&kept).unwrap() + "\n").unwrap();
    }
    assert!(path.exists(), "`npm run fixtures` writes {}", path.display());
    check(kept);
}

#[test]
fn what_earlier_versions_stored_opens_with_all_that_was_in_it() {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let is_core = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("core-");
    let paths: Vec<_> = entries.filter(is_core).collect();
    assert!(!paths.is_empty());
    for path in paths {
        check(serde_json::from_slice(&fs::read(path).unwrap()).unwrap());
    }
}
