//! Groups of the low layer: two devices and a hub that says yes or no.
#![cfg(not(target_arch = "wasm32"))]

use clock::real_time;
use mimi_edge::{
    error::{Error, ProtocolError, UsageError},
    low::{
        Changes, CommitOptions, Creation, Group, Identity, KeyPackageKind, KeyPackageStore,
        PendingKind, Profile, Received, Wanted, inspect_key_package,
    },
    mls::MlsCrypto,
    storage::{Row, Write},
    time::UnixMillis,
    wire::{
        self, AppSync, Role, UpdateContent, UpdateRequest, UserRoles,
        uri::{ClientUri, RoomUri, UserUri},
    },
};

#[path = "common/clock.rs"]
mod clock;

const ROOM: &str = "clubhouse@alpha.example";

fn room() -> RoomUri {
    RoomUri::parse(ROOM).unwrap()
}

fn user(name: &str) -> UserUri {
    UserUri::parse(&format!("{name}@alpha.example")).unwrap()
}

fn identity(name: &str, suite: u16) -> Identity {
    let client = ClientUri::parse(&format!("{name}@alpha.example/phone")).unwrap();
    Identity::create(client, suite, &MlsCrypto::new()).unwrap()
}

fn creation(profile: Profile) -> Creation {
    Creation { profile, hub: None, now: real_time() }
}

fn options() -> CommitOptions {
    CommitOptions { update_keys: false, tree_by_reference: false, now: real_time() }
}

fn adding(name: &str) -> AppSync {
    let entry = UserRoles { user: user(name).to_wire(), roles: vec![Role::RegularUser] };
    AppSync { add_users: vec![entry], ..AppSync::default() }
}

fn removing(name: &str) -> AppSync {
    AppSync { remove_users: vec![user(name).to_wire()], ..AppSync::default() }
}

const fn wanted(kind: KeyPackageKind, count: u32, days: u32) -> Wanted {
    Wanted { kind, count, days }
}

/// The store of a device and one KeyPackage in it.
fn key_package(identity: &Identity, kind: KeyPackageKind) -> (KeyPackageStore, Vec<u8>) {
    let mut keys = KeyPackageStore::default();
    let made = keys.create(identity, &MlsCrypto::new(), wanted(kind, 1, 84), real_time()).unwrap();
    (keys, made[0].clone())
}

/// What an application has stored after these writes.
fn persist(rows: &mut Vec<Row>, writes: Vec<Write>) {
    for Write { key, value } in writes {
        rows.retain(|(other, _)| *other != key);
        rows.extend(value.map(|value| (key, value)));
    }
}

/// The tree in the pending commit's UpdateRequest, encoded.
fn tree_of(group: &Group) -> Vec<u8> {
    let request: UpdateRequest = wire::decode_exact(&group.pending().unwrap().update).unwrap();
    let UpdateContent::Commit(bundle) = request.content else { panic!("a commit") };
    wire::encode(&bundle.ratchet_tree_option).unwrap()[1..].to_vec()
}

/// Alice's group, and bob's after she added him, in epoch 1.
fn pair(alice: &Identity, bob: &Identity, profile: Profile) -> (Group, Group) {
    let mut of_alice = Group::create(alice, room(), creation(profile)).unwrap();
    let (mut keys, key_package) = key_package(bob, KeyPackageKind::SingleUse);
    let changes =
        Changes { adds: vec![key_package], app_sync: Some(adding("bob")), ..Changes::default() };
    of_alice.commit(alice, changes, options()).unwrap();
    let (welcome, tree) =
        (of_alice.pending().unwrap().welcome.clone().unwrap(), tree_of(&of_alice));
    of_alice.accept().unwrap();
    let of_bob = Group::join(bob, &mut keys, &welcome, &tree).unwrap();
    assert_eq!(keys.list().unwrap(), []);
    (of_alice, of_bob)
}

fn assert_same_epoch(one: &mut Group, other: &mut Group) {
    assert_eq!(one.epoch().unwrap(), other.epoch().unwrap());
    assert_eq!(one.authenticator().unwrap(), other.authenticator().unwrap());
    assert_eq!(one.participants().unwrap(), other.participants().unwrap());
}

/// What `group` makes of a message that it takes in whole.
fn follow(group: &mut Group, message: &[u8]) -> Received {
    let received = group.process(message).unwrap();
    if matches!(received, Received::Commit(_)) {
        group.accept_received().unwrap();
    }
    received
}

#[test]
fn two_devices_meet_and_talk_in_both_profiles_and_all_suites() {
    for (profile, suite) in [(Profile::B, 1), (Profile::A, 1), (Profile::B, 2), (Profile::B, 3)] {
        let (alice, bob) = (identity("alice", suite), identity("bob", suite));
        let (mut of_alice, mut of_bob) = pair(&alice, &bob, profile);
        assert_same_epoch(&mut of_alice, &mut of_bob);
        assert_eq!(of_bob.profile().unwrap(), profile);
        assert_eq!(of_bob.room(), &room());
        assert_eq!((of_alice.own_index().unwrap(), of_bob.own_index().unwrap()), (0, 1));
        let members = of_bob.members().unwrap();
        assert_eq!(members[0].client, *alice.client());
        assert_eq!(members[0].signature_key, alice.signature_key());

        let message = of_bob.encrypt(&bob, b"hello", b"in clear").unwrap();
        let expected = Received::Application {
            from: bob.client().clone(),
            content: b"hello".to_vec(),
            aad: b"in clear".to_vec(),
        };
        assert_eq!(of_alice.process(&message).unwrap(), expected);
        assert_eq!(of_alice.process(&message).unwrap(), Received::Undecryptable);
        assert_eq!(of_bob.process(&message).unwrap(), Received::OwnMessage);

        let secrets = [&mut of_alice, &mut of_bob]
            .map(|group| group.export_secret("label", b"context", 48).unwrap());
        assert_eq!(secrets[0], secrets[1]);
        assert_eq!(secrets[0].len(), 48);
        assert_ne!(of_bob.export_secret("label", b"", 48).unwrap(), secrets[0]);
    }
}

#[test]
fn a_commit_changes_nothing_until_it_is_accepted() {
    let (alice, bob) = (identity("alice", 1), identity("bob", 1));
    let (mut of_alice, mut of_bob) = pair(&alice, &bob, Profile::B);
    let before = of_alice.authenticator().unwrap();
    let renewing = CommitOptions { update_keys: true, ..options() };
    let pending = of_alice.commit(&alice, Changes::default(), renewing).unwrap().clone();
    assert_eq!((pending.kind, pending.epoch), (PendingKind::Commit, 1));
    assert_eq!(pending.welcome, None);
    assert_eq!(of_alice.authenticator().unwrap(), before);
    let busy = Error::Usage(UsageError::BadState("a commit is pending"));
    let error = of_alice.commit(&alice, Changes::default(), renewing).unwrap_err();
    assert_eq!(error, busy);
    assert_eq!(of_alice.pending(), Some(&pending));

    of_alice.reject().unwrap();
    assert_eq!((of_alice.epoch().unwrap(), of_alice.pending()), (1, None));
    assert_eq!(of_alice.authenticator().unwrap(), before);
    let none = Error::Usage(UsageError::BadState("no commit is pending"));
    assert_eq!(of_alice.accept().unwrap_err(), none);

    let commit = of_alice.commit(&alice, Changes::default(), renewing).unwrap().commit.clone();
    assert_eq!(of_alice.process(&commit).unwrap(), Received::OwnCommit);
    of_alice.accept().unwrap();
    let Received::Commit(received) = of_bob.process(&commit).unwrap() else { panic!("a commit") };
    assert_eq!(received.from, *alice.client());
    assert_eq!((received.added, received.app_syncs), (vec![], vec![]));
    assert_eq!(of_bob.epoch().unwrap(), 1);
    of_bob.reject_received();
    let nothing = Error::Usage(UsageError::BadState("no commit was received last"));
    assert_eq!(of_bob.accept_received().unwrap_err(), nothing);
    follow(&mut of_bob, &commit);
    assert_same_epoch(&mut of_alice, &mut of_bob);
    let old = Error::Protocol(ProtocolError::WrongEpoch { current: 2 });
    assert_eq!(of_bob.process(&commit).unwrap_err(), old);
}

#[test]
fn another_commit_of_the_epoch_takes_the_pending_ones_place() {
    let (alice, bob) = (identity("alice", 1), identity("bob", 1));
    let (mut of_alice, mut of_bob) = pair(&alice, &bob, Profile::B);
    let renewing = CommitOptions { update_keys: true, ..options() };
    of_alice.commit(&alice, Changes::default(), renewing).unwrap();
    let commit = of_bob.commit(&bob, Changes::default(), renewing).unwrap().commit.clone();
    of_bob.accept().unwrap();
    follow(&mut of_alice, &commit);
    assert_eq!(of_alice.pending(), None);
    assert_same_epoch(&mut of_alice, &mut of_bob);
    of_alice.commit(&alice, Changes::default(), renewing).unwrap();
}

#[test]
fn what_was_persisted_goes_on_after_a_crash() {
    let (alice, bob) = (identity("alice", 1), identity("bob", 1));
    let mut group = Group::create(&alice, room(), creation(Profile::B)).unwrap();
    let mut rows = Vec::new();
    persist(&mut rows, group.take_writes());
    let (mut keys, key_package) = key_package(&bob, KeyPackageKind::SingleUse);
    let mut key_rows = Vec::new();
    persist(&mut key_rows, keys.take_writes());
    let changes =
        Changes { adds: vec![key_package], app_sync: Some(adding("bob")), ..Changes::default() };
    group.commit(&alice, changes, options()).unwrap();
    let (pending, tree) = (group.pending().unwrap().clone(), tree_of(&group));
    persist(&mut rows, group.take_writes());
    assert_eq!(group.take_writes(), []);
    drop((group, keys));

    let saved = alice.save().unwrap();
    let alice = Identity::load(&saved).unwrap();
    let mut of_alice = Group::load(rows.clone()).unwrap();
    assert_eq!(of_alice.pending(), Some(&pending));
    assert_eq!(of_alice.epoch().unwrap(), 0);
    of_alice.accept().unwrap();
    persist(&mut rows, of_alice.take_writes());
    let mut of_alice = Group::load(rows).unwrap();
    assert_eq!((of_alice.epoch().unwrap(), of_alice.pending()), (1, None));

    let mut keys = KeyPackageStore::open(key_rows.clone());
    let mut of_bob = Group::join(&bob, &mut keys, &pending.welcome.unwrap(), &tree).unwrap();
    assert_same_epoch(&mut of_alice, &mut of_bob);
    persist(&mut key_rows, keys.take_writes());
    assert_eq!(key_rows, []);
    let mut bob_rows = Vec::new();
    persist(&mut bob_rows, of_bob.take_writes());
    let message = of_alice.encrypt(&alice, b"hello", b"").unwrap();
    let mut of_bob = Group::load(bob_rows).unwrap();
    assert!(matches!(of_bob.process(&message).unwrap(), Received::Application { .. }));
}

#[test]
fn a_device_joins_by_itself_when_its_user_is_on_the_list() {
    let (alice, bob) = (identity("alice", 1), identity("bob", 1));
    let (mut of_alice, mut of_bob) = pair(&alice, &bob, Profile::B);
    let tablet = ClientUri::parse("alice@alpha.example/tablet").unwrap();
    let tablet = Identity::create(tablet, 1, &MlsCrypto::new()).unwrap();
    let (info, tree) = (of_bob.group_info(&bob).unwrap(), of_bob.tree().unwrap());

    let mut joining = Group::join_externally(&tablet, &info, &tree).unwrap();
    let mut rows = Vec::new();
    persist(&mut rows, joining.take_writes());
    let pending = joining.pending().unwrap().clone();
    assert_eq!((pending.kind, pending.epoch), (PendingKind::Join, 1));
    let early = Error::Usage(UsageError::BadState("the join is not accepted yet"));
    assert_eq!(joining.encrypt(&tablet, b"early", b"").unwrap_err(), early);
    let mut joining = Group::load(rows.clone()).unwrap();
    assert_eq!(joining.encrypt(&tablet, b"early", b"").unwrap_err(), early);
    joining.accept().unwrap();
    for group in [&mut of_alice, &mut of_bob] {
        let Received::Commit(received) = follow(group, &pending.commit) else { panic!("a commit") };
        assert_eq!(received.from, *tablet.client());
        assert_eq!(received.added, [tablet.client().clone()]);
        assert_same_epoch(group, &mut joining);
    }

    let mut rejected = Group::load(rows).unwrap();
    rejected.reject().unwrap();
    let gone = Error::Usage(UsageError::BadState("the group is gone"));
    assert_eq!(rejected.epoch().unwrap_err(), gone);
    assert!(rejected.take_writes().iter().all(|write| write.value.is_none()));

    let eve = identity("eve", 1);
    let refused = Error::Protocol(ProtocolError::NotAllowed("not on the list".to_owned()));
    assert_eq!(Group::join_externally(&eve, &info, &tree).unwrap_err(), refused);
}

#[test]
fn proposals_wait_for_somebody_elses_commit() {
    for profile in [Profile::B, Profile::A] {
        let (alice, bob) = (identity("alice", 1), identity("bob", 1));
        let (mut of_alice, mut of_bob) = pair(&alice, &bob, profile);
        let changes =
            Changes { removes: vec![1], app_sync: Some(removing("bob")), ..Changes::default() };
        let update = of_bob.propose(&bob, &changes, real_time()).unwrap();
        assert_eq!(of_bob.proposals().unwrap(), Vec::<Vec<u8>>::new());
        let request: UpdateRequest = wire::decode_exact(&update).unwrap();
        let UpdateContent::Proposal(more) = &request.content else { panic!("proposals") };
        assert_eq!(more.len(), 1);
        for message in [&request.proposal_or_commit, &more[0]] {
            let message = [&[0, 1, 0, 1], message.bytes()].concat();
            for group in [&mut of_alice, &mut of_bob] {
                let Received::Proposal { from, reference } = group.process(&message).unwrap()
                else {
                    panic!("a proposal")
                };
                assert_eq!(from.as_ref(), Some(bob.client()));
                assert_eq!(group.proposals().unwrap().last(), Some(&reference));
                group.process(&message).unwrap();
            }
        }
        assert_eq!(of_alice.proposals().unwrap().len(), 2);
        let waits = Error::Usage(UsageError::BadState("proposals wait for a commit"));
        assert_eq!(of_alice.encrypt(&alice, b"hello", b"").unwrap_err(), waits);

        let commit = of_alice.commit(&alice, Changes::default(), options()).unwrap().commit.clone();
        of_alice.accept().unwrap();
        assert_eq!(of_alice.participants().unwrap().roles_of(&user("bob")), None);
        let Received::Commit(received) = follow(&mut of_bob, &commit) else { panic!("a commit") };
        assert_eq!(received.removed.len(), 1);
        assert_eq!(received.removed[0].client, *bob.client());
        assert_eq!(received.app_syncs, [removing("bob")]);
        assert!(!of_bob.is_active().unwrap());
        let out = Error::Usage(UsageError::BadState("this device is not in the group"));
        assert_eq!(of_bob.encrypt(&bob, b"hello", b"").unwrap_err(), out);
    }
}

#[test]
fn a_call_that_fails_changes_nothing() {
    let (alice, bob) = (identity("alice", 1), identity("bob", 1));
    let (mut of_alice, mut of_bob) = pair(&alice, &bob, Profile::B);
    of_alice.take_writes();
    let before = of_alice.authenticator().unwrap();
    let wrong = [
        Changes { app_sync: Some(adding("bob")), ..Changes::default() },
        Changes { app_sync: Some(AppSync::default()), ..Changes::default() },
        Changes { adds: vec![vec![1, 2, 3]], ..Changes::default() },
        Changes { removes: vec![7], ..Changes::default() },
        Changes { policy: Some(vec![0; (16 << 10) + 1]), ..Changes::default() },
    ];
    for changes in wrong {
        let error = of_alice.commit(&alice, changes, options()).unwrap_err();
        assert!(matches!(error, Error::Protocol(_) | Error::Internal(_)), "{error}");
        assert_eq!((of_alice.take_writes(), of_alice.pending()), (vec![], None));
    }
    let nothing = Error::Usage(UsageError::BadArgument("nothing to propose"));
    let error = of_alice.propose(&alice, &Changes::default(), real_time()).unwrap_err();
    assert_eq!(error, nothing);

    let mut message = of_bob.encrypt(&bob, b"hello", b"").unwrap();
    *message.last_mut().unwrap() ^= 1;
    assert_eq!(of_alice.process(&message).unwrap(), Received::Undecryptable);
    let elsewhere = RoomUri::parse("elsewhere@alpha.example").unwrap();
    let mut other = Group::create(&bob, elsewhere, creation(Profile::B)).unwrap();
    let foreign = other.encrypt(&bob, b"hello", b"").unwrap();
    let foreign = of_alice.process(&foreign).unwrap_err();
    assert_eq!(foreign, Error::Usage(UsageError::BadArgument("a message to another group")));
    let malformed = Error::Protocol(ProtocolError::Malformed("body"));
    assert_eq!(of_alice.process(&[1, 2, 3]).unwrap_err(), malformed);

    assert_eq!(of_alice.authenticator().unwrap(), before);
    let message = of_alice.encrypt(&alice, b"still here", b"").unwrap();
    assert!(matches!(of_bob.process(&message).unwrap(), Received::Application { .. }));
}

#[test]
fn key_packages_are_listed_used_and_deleted() {
    let (alice, bob) = (identity("alice", 1), identity("bob", 1));
    let (mut keys, last_resort) = key_package(&bob, KeyPackageKind::LastResort);
    let others =
        keys.create(&bob, &MlsCrypto::new(), wanted(KeyPackageKind::SingleUse, 2, 7), real_time());
    let others = others.unwrap();
    assert_eq!((others.len(), keys.list().unwrap().len()), (2, 3));
    let shown = inspect_key_package(&last_resort, &MlsCrypto::new(), real_time()).unwrap();
    assert_eq!(shown.client, *bob.client());
    assert_eq!(shown.kind, KeyPackageKind::LastResort);
    let short = inspect_key_package(&others[0], &MlsCrypto::new(), real_time()).unwrap();
    let difference = shown.not_after.0 - short.not_after.0;
    assert!(difference.abs_diff(77 * 24 * 60 * 60 * 1000) <= 1000, "{difference}");
    let days = Error::Usage(UsageError::BadArgument("the days of a KeyPackage"));
    for wrong in [0, 85] {
        let wanted = wanted(KeyPackageKind::SingleUse, 1, wrong);
        let error = keys.create(&bob, &MlsCrypto::new(), wanted, real_time()).unwrap_err();
        assert_eq!(error, days);
    }
    let late = UnixMillis(shown.not_after.0);
    let error = inspect_key_package(&last_resort, &MlsCrypto::new(), late).unwrap_err();
    assert_eq!(error, ProtocolError::InvalidProposal("a KeyPackage's lifetime"));

    let mut group = Group::create(&alice, room(), creation(Profile::B)).unwrap();
    let changes = Changes {
        adds: vec![last_resort.clone()],
        app_sync: Some(adding("bob")),
        ..Changes::default()
    };
    group.commit(&alice, changes, options()).unwrap();
    let (welcome, tree) = (group.pending().unwrap().welcome.clone().unwrap(), tree_of(&group));
    for _ in 0..2 {
        Group::join(&bob, &mut keys, &welcome, &tree).unwrap();
        let stored = keys.list().unwrap();
        let used: Vec<_> = stored.iter().filter(|stored| stored.used).collect();
        assert_eq!(used.len(), 1);
        assert_eq!(used[0].reference, shown.reference);
        assert_eq!(stored.len(), 3);
    }
    keys.delete(&shown.reference, &MlsCrypto::new()).unwrap();
    keys.delete(&shown.reference, &MlsCrypto::new()).unwrap();
    assert_eq!(keys.list().unwrap().len(), 2);
    let lost = Group::join(&bob, &mut keys, &welcome, &tree).unwrap_err();
    let lost_too = ProtocolError::InvalidProposal("a Welcome cannot be opened");
    assert_eq!(lost, Error::Protocol(lost_too));
}

#[test]
fn rows_and_identities_of_others_are_refused() {
    let none = Error::Usage(UsageError::BadArgument("the rows are no group's"));
    assert_eq!(Group::load(Vec::new()).unwrap_err(), none);
    let none = Error::Usage(UsageError::BadArgument("not an identity"));
    assert_eq!(Identity::load(&[]).unwrap_err(), none);
    assert_eq!(Identity::load(&[1, 2]).unwrap_err(), none);
    let newer = Error::Usage(UsageError::StorageNewer);
    assert_eq!(Identity::load(&[2]).unwrap_err(), newer);
    let client = ClientUri::parse("alice@alpha.example/phone").unwrap();
    let error = Identity::create(client, 5, &MlsCrypto::new()).unwrap_err();
    assert_eq!(error, Error::Usage(UsageError::BadArgument("the cipher suite")));
}
