//! KeyPackages take care of themselves: how many, how old, one of last resort (D4, R27, R28).

use mimi_edge::{
    client::{
        AddOptions, Client, ClientOptions, ErrorCode, Event, KeyPackageChoice, LastResort, Stock,
    },
    error::{Error, UsageError},
    mls::{
        MlsCrypto, MlsProvider, accepted_suite,
        key_package::{KeyPackageKind, ValidKeyPackage, check_key_package, create_key_package},
        key_package_lifetime, key_package_lifetime_of_days,
    },
    room::{Profile, app_sync::required_capabilities, codepoints::cipher_suite},
    storage::{MemoryStorage, Transaction},
    time::UnixMillis,
    transport::Response,
    wire::{
        self, ClientKeyMaterial, ClientMaterial, KeyMaterialUserCode, KeyPackageList,
        KeyPackageStock, Verbatim,
    },
};
use openmls::key_packages::{KeyPackageIn, Lifetime};

use super::clock::real_time;
use super::desk::{is_last_resort, key_material};
use super::world::{ALICE, BOB, Device, World, room, user};

const HOUR_MILLIS: u64 = 60 * 60 * 1000;
const DAY_MILLIS: u64 = 24 * HOUR_MILLIS;

/// The KeyPackages of each call, oldest first.
fn published(world: &World) -> Vec<Vec<Verbatim<KeyPackageIn>>> {
    let calls = world.desk.requests.iter().filter(|(path, _)| path == "POST keyPackages");
    calls
        .map(|(_, body)| wire::decode_exact::<KeyPackageList>(body).unwrap().key_packages)
        .collect()
}

/// The KeyPackages of one call. openmls reads its own clock: it has to be the world's.
fn checked(world: &World, call: usize) -> Vec<ValidKeyPackage> {
    let crypto = MlsCrypto::new();
    let check = |key_package: Verbatim<KeyPackageIn>| {
        let required = required_capabilities(Profile::B);
        let key_package = key_package.into_value();
        check_key_package(crypto.algorithms(), key_package, &required, world.now).unwrap()
    };
    published(world).remove(call).into_iter().map(check).collect()
}

/// How many of each kind were published in each call: for one use, of last resort.
fn counts(world: &World) -> Vec<(usize, usize)> {
    let kinds = |call: Vec<Verbatim<KeyPackageIn>>| {
        let last_resort = call.iter().filter(|made| is_last_resort(made.bytes())).count();
        (call.len() - last_resort, last_resort)
    };
    published(world).into_iter().map(kinds).collect()
}

fn options(target: u32, lifetime_days: u32) -> ClientOptions {
    choice(Some(target), Some(lifetime_days))
}

fn choice(target: Option<u32>, lifetime_days: Option<u32>) -> ClientOptions {
    let key_packages = KeyPackageChoice { target, lifetime_days };
    ClientOptions { key_packages, ..ClientOptions::new(user("dave@delta.example")) }
}

/// One device of Dave, opened with these options.
fn dave(target: u32, lifetime_days: u32) -> World {
    let now = real_time();
    let devices = vec![Device::with_options(options(target, lifetime_days), now)];
    let mut world = World::of(devices, now);
    world.run();
    world
}

/// Dave's device, as his provider knows it.
fn name(world: &World, who: usize) -> String {
    world.devices[who].client.device().to_string()
}

/// So many for one use are left of a device's stock.
fn use_up(world: &mut World, who: usize, left: usize) {
    let client = name(world, who);
    let stock = world.desk.key_packages.get_mut(&client).unwrap();
    let single_use = stock.iter().filter(|bytes| !is_last_resort(bytes)).count();
    for _ in left..single_use {
        let first = stock.iter().position(|bytes| !is_last_resort(bytes)).unwrap();
        stock.remove(first);
    }
}

fn stock_said(available: u32, last_resort: u32) -> Response {
    let stock = KeyPackageStock { available, last_resort, next_expiry: 0 };
    Response::tls(200, wire::encode(&stock).unwrap())
}

#[test]
fn d4_twenty_keypackages_of_84_days_and_one_of_last_resort() {
    let mut world = World::new();
    world.desk.requests.retain(|(path, _)| path == "POST keyPackages");
    world.desk.requests.truncate(1);
    assert_eq!(counts(&world), [(20, 1)]);
    for key_package in checked(&world, 0) {
        let whole_seconds = world.now.0 / 1000 * 1000;
        assert_eq!(key_package.not_before, UnixMillis(whole_seconds - HOUR_MILLIS));
        assert_eq!(key_package.not_after, UnixMillis(whole_seconds + 84 * DAY_MILLIS));
    }
    let stock = Stock { available: 20, target: 20, last_resort: 1, next_expiry: None };
    assert_eq!(world.devices[ALICE].client.key_package_stock().unwrap(), stock);
    assert!(world.devices[ALICE].events.contains(&Event::KeyPackages(stock)));
}

#[test]
fn the_application_says_how_many_and_how_old_and_it_is_kept() {
    let mut world = dave(3, 30);
    assert_eq!(counts(&world), [(3, 1)]);
    for key_package in checked(&world, 0) {
        assert_eq!(key_package.not_after.0, world.now.0 / 1000 * 1000 + 30 * DAY_MILLIS);
    }
    // Opened again without a word it is the same; with another one, that holds and is reached at once.
    let now = world.now;
    for (asked, target) in [(None, 3), (Some((7, 84)), 7), (None, 7)] {
        let options = match asked {
            Some((target, days)) => options(target, days),
            None => ClientOptions::new(user("dave@delta.example")),
        };
        world.devices[0].reopen_with(options, now);
        world.run();
        let stock = world.devices[0].client.key_package_stock().unwrap();
        assert_eq!((stock.available, stock.target), (target, target));
    }
    assert_eq!(counts(&world), [(3, 1), (4, 0)]);
    let newest = &checked(&world, 1)[0];
    assert_eq!(newest.not_after.0, now.0 / 1000 * 1000 + 84 * DAY_MILLIS);
}

#[test]
fn what_the_application_leaves_out_stays_as_it_was() {
    let mut world = dave(3, 30);
    let now = world.now;
    world.devices[0].reopen_with(choice(Some(7), None), now);
    world.run();
    assert_eq!(counts(&world), [(3, 1), (4, 0)]);
    for key_package in checked(&world, 1) {
        assert_eq!(key_package.not_after.0, now.0 / 1000 * 1000 + 30 * DAY_MILLIS);
    }
    world.devices[0].reopen_with(choice(None, Some(84)), now);
    world.run();
    assert_eq!(world.devices[0].client.key_package_stock().unwrap().target, 7);
}

#[test]
fn options_out_of_bounds_are_refused_and_change_nothing() {
    let now = real_time();
    let stored = dave(3, 30).devices[0].stored.clone();
    for (target, days) in [(0, 84), (101, 84), (20, 29), (20, 85)] {
        let rows = stored.rows().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        let refused = Client::open(&options(target, days), rows, MlsCrypto::new(), now).err();
        assert!(
            matches!(refused, Some(Error::Usage(UsageError::BadArgument(_)))),
            "{target} {days}"
        );
    }
    for (target, days) in [(1, 30), (100, 84)] {
        Client::open(&options(target, days), Vec::new(), MlsCrypto::new(), now).unwrap();
    }
}

#[test]
fn the_largest_stock_is_published_in_calls_that_providers_take() {
    let world = dave(100, 84);
    assert_eq!(counts(&world), [(100, 0), (0, 1)]);
}

#[test]
fn d4_keypackages_are_made_anew_after_42_days_also_over_a_restart() {
    for reopens in [false, true] {
        let mut world =
            World::of(vec![Device::new("dave@delta.example", real_time())], real_time());
        world.run();
        let made_at = world.now;
        world.desk.requests.clear();
        for day in 1..=43 {
            let due = made_at.plus(day * DAY_MILLIS);
            // The clock of the world runs on for an hour.
            world.now = if day == 42 { UnixMillis(due.0 - 2 * HOUR_MILLIS) } else { due };
            if reopens {
                let now = world.now;
                world.devices[0].reopen(now);
            }
            world.run();
            let expected: &[_] = if day > 42 { &[(20, 1)] } else { &[] };
            assert_eq!(counts(&world), expected, "day {day}, {reopens}");
        }
        // The old ones are not handed out for ever, but that is the provider's business.
        let stock = world.devices[0].client.key_package_stock().unwrap();
        assert_eq!((stock.available, stock.last_resort), (40, 1));
    }
}

#[test]
fn d4_short_lives_are_replaced_sooner() {
    let mut world = dave(2, 32);
    world.desk.requests.clear();
    let made_at = world.now;
    // Handed out for four days, of which three have gone.
    world.now = made_at.plus(3 * DAY_MILLIS - 2 * HOUR_MILLIS);
    world.run();
    assert_eq!(counts(&world), []);
    world.now = made_at.plus(3 * DAY_MILLIS);
    world.run();
    assert_eq!(counts(&world), [(2, 1)]);
}

#[test]
fn keypackages_are_replenished_below_half() {
    let mut world = dave(20, 84);
    for (left, made) in [(10, vec![]), (9, vec![(11, 0)])] {
        use_up(&mut world, 0, left);
        world.desk.requests.clear();
        world.now = world.now.plus(DAY_MILLIS);
        let now = world.now;
        world.devices[0].reopen(now);
        world.run();
        assert_eq!(counts(&world), made, "{left}");
    }
    let stock = world.devices[0].client.key_package_stock().unwrap();
    assert_eq!((stock.available, stock.last_resort), (20, 1));
}

#[test]
fn a_single_keypackage_is_replenished_when_it_is_gone() {
    let mut world = dave(1, 84);
    use_up(&mut world, 0, 0);
    world.desk.requests.clear();
    world.now = world.now.plus(DAY_MILLIS);
    world.run();
    assert_eq!(counts(&world), [(1, 0)]);
}

#[test]
fn a_device_that_stays_open_asks_once_a_day() {
    let mut world = dave(20, 84);
    world.desk.requests.clear();
    use_up(&mut world, 0, 3);
    let start = world.now;
    world.now = start.plus(DAY_MILLIS - 1);
    world.devices[0].online = false;
    world.run();
    world.devices[0].online = true;
    assert_eq!(world.devices[0].client.next_wake().unwrap(), Some(start.plus(DAY_MILLIS)));
    world.now = start.plus(DAY_MILLIS);
    world.run();
    assert_eq!((world.desk.count("GET keyPackages"), counts(&world)), (1, vec![(17, 0)]));

    // A question that gets no answer is not asked a second time on top.
    world.now = world.now.plus(DAY_MILLIS);
    let (id, _) = world.poll(0).unwrap();
    assert_eq!(world.poll(0), None);
    world.respond(0, id, None);
    world.run();
    assert_eq!(world.desk.count("GET keyPackages"), 2);
}

#[test]
fn a_provider_that_keeps_no_keypackages_is_not_given_new_ones_for_ever() {
    let mut world = World::new();
    world.desk.requests.clear();
    for _ in 0..10 {
        world.desk.answer("keyPackages", Some(stock_said(0, 0)));
    }
    world.now = world.now.plus(HOUR_MILLIS);
    let now = world.now;
    world.devices[BOB].reopen(now);
    for who in [ALICE, 2] {
        world.devices[who].online = false;
    }
    world.run();
    assert_eq!(world.desk.count("POST keyPackages"), 1);
}

#[test]
fn d4_private_keys_go_a_day_after_the_end() {
    let mut world = dave(2, 30);
    let keys = |world: &World| {
        let rows = world.devices[0].stored.rows();
        rows.filter(|(key, _)| key.windows(11).any(|part| part == b"key package")).count()
    };
    let made_at = world.now;
    assert_eq!(keys(&world), 3);
    // The device was away for so long: all were replaced, and a Welcome may still come for the old.
    world.now = made_at.plus(31 * DAY_MILLIS - 1000);
    world.run();
    assert_eq!((keys(&world), counts(&world)), (6, vec![(2, 1); 2]));
    world.now = made_at.plus(31 * DAY_MILLIS);
    world.ask(0, Client::replenish_key_packages);
    world.run();
    assert_eq!(keys(&world), 3);
}

#[test]
fn replenishing_makes_what_lacks_to_the_target_and_says_how_many() {
    let mut world = dave(20, 84);
    for (left, last_resort, made, calls) in
        [(20, 1, 0, vec![]), (15, 1, 5, vec![(5, 0)]), (15, 0, 6, vec![(5, 1)])]
    {
        use_up(&mut world, 0, left);
        if last_resort == 0 {
            let client = name(&world, 0);
            world.desk.key_packages.get_mut(&client).unwrap().retain(|it| !is_last_resort(it));
        }
        world.desk.requests.clear();
        world.forget_events();
        let id = world.ask(0, Client::replenish_key_packages);
        world.run();
        assert_eq!(counts(&world), calls);
        let stock = Stock { available: 20, target: 20, last_resort: 1, next_expiry: None };
        let events = &world.devices[0].events;
        assert_eq!(events.last(), Some(&Event::KeyPackagesMade { id, made }));
        assert_eq!(events[events.len() - 2], Event::KeyPackages(stock));
    }
}

#[test]
fn what_the_provider_refuses_is_told_with_its_code() {
    let mut world = dave(20, 84);
    use_up(&mut world, 0, 15);
    world.forget_events();
    world.desk.answer("keyPackages", Some(Response::empty(403)));
    let asked = world.ask(0, Client::replenish_key_packages);
    world.run();
    world.desk.answer("keyPackages", Some(stock_said(15, 1)));
    world.desk.answer("keyPackages", Some(Response::empty(422)));
    let published = world.ask(0, Client::replenish_key_packages);
    world.run();
    world.desk.answer("keyPackages", Some(Response::tls(200, vec![1])));
    let rotated = world.ask(0, Client::rotate_last_resort);
    world.run();
    let mut events = world.devices[0].events.clone();
    events.retain(|event| !matches!(event, Event::KeyPackages(_)));
    let failed = |id, code| Event::AccountFailed { id, code };
    let expected = [
        failed(asked, ErrorCode::NotAllowed),
        failed(published, ErrorCode::InvalidProposal),
        failed(rotated, ErrorCode::Incompatible),
    ];
    assert_eq!(events, expected);
}

#[test]
fn a_last_resort_keypackage_is_rotated_over_a_lost_answer() {
    let mut world = dave(20, 84);
    let last_resort = |world: &World| {
        let stock = &world.desk.key_packages[&name(world, 0)];
        stock.iter().filter(|bytes| is_last_resort(bytes)).cloned().collect::<Vec<_>>()
    };
    let before = last_resort(&world);
    world.desk.requests.clear();
    let id = world.ask(0, Client::rotate_last_resort);
    let (request, call) = world.poll(0).unwrap();
    world.desk.handle(&call);
    world.respond(0, request, None);
    let now = world.now;
    world.devices[0].reopen(now);
    world.run();
    let after = last_resort(&world);
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_ne!(before, after);
    let made = Event::KeyPackagesMade { id, made: 1 };
    assert_eq!(world.devices[0].events.last(), Some(&made));
    // The same bytes twice.
    let calls: Vec<_> =
        world.desk.requests.iter().filter(|(path, _)| path == "POST keyPackages").collect();
    assert_eq!((calls.len(), calls[0]), (2, calls[1]));
}

#[test]
fn r28_a_last_resort_keypackage_that_was_used_is_replaced() {
    let mut world = World::with_room();
    use_up(&mut world, BOB, 0);
    world.desk.requests.clear();
    let add = AddOptions { last_resort: LastResort::Allowed, ..AddOptions::default() };
    world.ask(ALICE, |alice, now| alice.add_user(&room(), &user("bob@bravo.example"), add, now));
    let bob = name(&world, BOB);
    let used = world.desk.key_packages[&bob].front().cloned().unwrap();
    world.run();
    world.assert_agreement(&[ALICE, BOB]);
    let stock = &world.desk.key_packages[&bob];
    assert_eq!(stock.iter().filter(|bytes| is_last_resort(bytes)).count(), 1);
    assert!(!stock.contains(&used));
    // And all others are gone, as it seems.
    assert_eq!(counts(&world), [(0, 1), (20, 0)]);
}

/// A claim of Bob's KeyPackage with this life is answered to Alice, and what becomes of adding him.
fn added_with(lifetime: Lifetime) -> Vec<&'static str> {
    let mut world = World::with_room();
    let client = user("bob@bravo.example").client("stranger").unwrap();
    let (storage, crypto) = (MemoryStorage::default(), MlsCrypto::new());
    let suite = accepted_suite(cipher_suite::DEFAULT).unwrap();
    let key = crypto.signature_key_pair(suite).unwrap();
    let mut transaction = Transaction::new(&storage);
    let provider = MlsProvider::new(&mut transaction, &crypto);
    let who = (&client, key.public());
    let made = create_key_package(&provider, &key, who, suite, KeyPackageKind::SingleUse, lifetime)
        .unwrap();
    let mut answer = key_material("bob@bravo.example", KeyMaterialUserCode::Success);
    world.desk.published.push(made.bytes.clone());
    answer.clients.push(ClientKeyMaterial {
        client_uri: client.to_wire(),
        material: ClientMaterial::Success(Box::new(Verbatim::own(made.bytes).unwrap())),
    });
    let body = wire::encode(&answer).unwrap();
    world.desk.answer("keyMaterial/", Some(Response::tls(200, body)));
    world.add(ALICE, "bob@bravo.example");
    while world.exchange(ALICE) {}
    world.failures(ALICE)
}

#[test]
fn d4_r29_keypackages_of_others_with_a_wrong_life_are_not_added() {
    let now = real_time();
    let ago = |days: u64| UnixMillis(now.0 - days * DAY_MILLIS);
    let refused = [
        // Longer than 84 days and an hour.
        key_package_lifetime_of_days(now, 85),
        // Ended.
        key_package_lifetime_of_days(ago(31), 30),
        // Not yet valid.
        key_package_lifetime(now.plus(2 * HOUR_MILLIS)),
    ];
    for lifetime in refused {
        assert_eq!(added_with(lifetime), ["incompatible"]);
    }
    for lifetime in [key_package_lifetime(now), key_package_lifetime_of_days(ago(29), 30)] {
        assert_eq!(added_with(lifetime), [""; 0]);
    }
}
