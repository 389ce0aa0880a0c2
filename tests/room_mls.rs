//! Rooms in MLS: three members over their storage and a hub's PublicGroup, profile B of WIRE a.5.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use mimi_edge::{
    error::{Error, ProtocolError},
    mls::{
        self, HubGroupStore, MlsCrypto,
        commit::leaves,
        credential::credential_of_hub,
        key_package::{self, KeyPackageKind, check_key_package},
        own_commit::propose_app_sync,
    },
    room::{
        ParticipantList, Profile,
        app_sync::{participant_list, required_capabilities},
        codepoints::component,
        policy::room_policy,
    },
    storage::{MemoryStorage, Transaction},
    time::UnixMillis,
    wire::{
        AppSync, OutlineProposal, RatchetTree, Role, UserRoles, commit_outline, decode_exact,
        encode, uri::Domain,
    },
};
use openmls::{
    component::ComponentData,
    framing::{MlsMessageIn, ProcessedMessageContent, ProtocolMessage},
    group::{GroupContext, StageCommitError},
    messages::{
        Welcome,
        group_info::VerifiableGroupInfo,
        proposals::{AppDataUpdateOperation, AppDataUpdateProposal, Proposal},
    },
    prelude::{
        AppDataDictionaryExtension, Extension, ExtensionType, Extensions, ExternalSender,
        LeafNodeIndex, OpenMlsProvider, ProposalType, RequiredCapabilitiesExtension,
        UnknownExtension, WireFormat,
    },
};

use common::group::{
    Hub, Member, SUITE, TABLE, add, entry, list_change, now, public_message, remove, room_of_two,
    sync, user,
};
use common::own_group::{self, OwnCommit, RoomChange};

fn invalid(text: &'static str) -> Error {
    Error::Protocol(ProtocolError::InvalidProposal(text))
}

#[test]
fn r15_a_new_room_has_its_creator_as_only_participant() {
    let mut alice = Member::new("alice");
    let hub_key = MlsCrypto::new().signature_key_pair(SUITE).unwrap();
    let credential = credential_of_hub(&Domain::parse("alpha.example").unwrap());
    let sender = ExternalSender::new(hub_key.public().into(), credential);
    let (group_info, tree) = alice.create(Some(sender.clone()));

    let parsed: VerifiableGroupInfo = decode_exact(&group_info).unwrap();
    let extensions = parsed.group_context().extensions();
    assert_eq!(parsed.epoch().as_u64(), 0);
    assert_eq!(parsed.group_id().as_slice(), b"clubhouse@alpha.example");
    assert!(parsed.extensions().external_pub().is_some());
    assert!(parsed.extensions().ratchet_tree().is_none());
    // alice: owner, admin, regular_user.
    let list = participant_list(extensions).unwrap();
    assert_eq!(list, ParticipantList::of_creator(user("alice")));
    assert_eq!(list.encode().unwrap(), b"\x18\x13alice@alpha.example\x03\x02\x03\x04");
    let required = extensions.required_capabilities().unwrap();
    let numbers =
        |types: &[_]| types.iter().map(|t: &ExtensionType| u16::from(*t)).collect::<Vec<_>>();
    assert_eq!(numbers(required.extension_types()), [0x0006, 0xF0A7]);
    assert_eq!(required.proposal_types(), [ProposalType::AppDataUpdate]);
    assert_eq!(extensions.external_senders().unwrap(), &vec![sender]);
    assert_eq!(extensions.iter().count(), 3);

    let hub = Hub::new(&group_info, &tree);
    assert_eq!(hub.list(), list);
    let clients = leaves(&hub.load().1).unwrap();
    assert_eq!(clients, [(0, alice.client.clone())]);
}

#[test]
fn d23_group_and_leaves_name_the_component() {
    let (_alice, _bob, hub) = room_of_two();
    let (_, group) = hub.load();
    // ComponentsList of one id.
    let expected = Some([0x02, 0xF0, 0x22].as_slice());
    let named = |dictionary: Option<&AppDataDictionaryExtension>| {
        dictionary.unwrap().dictionary().get(&component::APP_COMPONENTS).map(<[u8]>::to_vec)
    };
    let in_group = named(group.group_context().extensions().app_data_dictionary());
    assert_eq!(in_group.as_deref(), expected);
    for leaf in [0, 1] {
        let leaf = group.leaf(LeafNodeIndex::new(leaf)).unwrap();
        assert_eq!(named(leaf.extensions().app_data_dictionary()).as_deref(), expected);
    }
}

#[test]
fn the_story_of_three_members_and_a_hub() {
    let (mut alice, mut bob, mut hub) = room_of_two();
    let mut cathy = Member::new("cathy_");
    assert_eq!(alice.state(), bob.state());

    let key_package = cathy.key_package(KeyPackageKind::LastResort);
    let commit = bob.commit(entry("cathy_", &key_package)).unwrap();
    assert_eq!(hub.accept(&commit).unwrap(), [cathy.client.clone()]);
    bob.merge_own();
    alice.follow(&commit.message).unwrap();
    cathy.join(commit.welcome.as_ref().unwrap(), &commit.tree).unwrap();
    assert_eq!(alice.state(), bob.state());
    assert_eq!(alice.state(), cathy.state());
    assert_eq!(alice.state().2, hub.list().encode().unwrap());

    let hello = cathy.send(b"hello");
    assert_eq!(alice.receive(&hello), b"hello");
    assert_eq!(bob.receive(&hello), b"hello");
    let answer = alice.send(b"welcome");
    assert_eq!(bob.receive(&answer), b"welcome");
    assert_eq!(cathy.receive(&answer), b"welcome");

    // Bob goes: list and leaf in one commit (R41), and an update with a path after it.
    let change = RoomChange { removes: vec![1], ..list_change(remove("bob")) };
    let commit = alice.commit(change).unwrap();
    assert!(commit.welcome.is_none());
    hub.accept(&commit).unwrap();
    alice.merge_own();
    cathy.follow(&commit.message).unwrap();
    bob.follow(&commit.message).unwrap();
    let bob_is_active = bob.with_group(|group, _, _| Ok::<_, ()>(group.is_active())).unwrap();
    assert!(!bob_is_active);
    assert_eq!(alice.state(), cathy.state());
    assert_eq!(hub.list().participants().count(), 2);
    assert_eq!(hub.list().encode().unwrap(), alice.state().2);

    // He may come back: the Welcome replaces the group that he was removed from.
    let key_package = bob.key_package(KeyPackageKind::SingleUse);
    let commit = cathy.commit(entry("bob", &key_package)).unwrap();
    hub.accept(&commit).unwrap();
    cathy.merge_own();
    alice.follow(&commit.message).unwrap();
    bob.join(commit.welcome.as_ref().unwrap(), &commit.tree).unwrap();
    assert_eq!(alice.state(), bob.state());
}

#[test]
fn d6_a_pending_commit_survives_the_storage() {
    let (mut alice, mut bob, mut hub) = room_of_two();
    let ban = UserRoles { user: user("bob").to_wire(), roles: vec![Role::Owner] };
    let change = AppSync { update_users: vec![ban], ..AppSync::default() };

    let commit = alice.commit(list_change(change.clone())).unwrap();
    let before = alice.state();
    let pending =
        alice.with_group(|group, _, _| Ok::<_, ()>(group.pending_commit().is_some())).unwrap();
    assert!(pending);
    // Dropped, made anew, merged.
    alice.clear_own();
    let again = alice.commit(list_change(change.clone())).unwrap();
    // Without a path, there is nothing random in it.
    assert_eq!(commit.message, again.message);
    hub.accept(&again).unwrap();
    alice.merge_own();
    bob.follow(&again.message).unwrap();
    assert_eq!(alice.state(), bob.state());
    assert_eq!(alice.state().0, before.0 + 1);
    assert_eq!(hub.list().roles_of(&user("bob")), Some([Role::Owner].as_slice()));
}

#[test]
fn d6_a_commit_that_lost_is_cleared_and_the_winner_followed() {
    let (mut alice, mut bob, mut hub) = room_of_two();
    let lost = alice.commit(list_change(add("dave"))).unwrap();
    let won = bob.commit(list_change(add("erin"))).unwrap();
    hub.accept(&won).unwrap();
    bob.merge_own();
    assert!(hub.accept(&lost).is_err());
    alice.clear_own();
    alice.follow(&won.message).unwrap();
    assert_eq!(alice.state(), bob.state());
    assert_eq!(hub.list().participants().count(), 3);
}

#[test]
fn d6_messages_of_ended_epochs_are_read() {
    let (mut alice, mut bob, mut hub) = room_of_two();
    let late = bob.send(b"late");
    for name in ["c1", "c2", "c3", "c4", "c5"] {
        let commit = alice.commit(list_change(add(name))).unwrap();
        hub.accept(&commit).unwrap();
        alice.merge_own();
        bob.follow(&commit.message).unwrap();
    }
    assert_eq!(alice.receive(&late), b"late");
}

#[test]
fn r39_app_syncs_by_reference_are_resolved_like_inline_ones() {
    let (mut alice, mut bob, mut hub) = room_of_two();
    let mut sent = Vec::new();
    for name in ["zoe", "abe"] {
        let update = AppDataUpdateOperation::Update(encode(&add(name)).unwrap().into());
        let message = alice.with_group(|group, provider, key| {
            let id = component::PARTICIPANT_LIST;
            let (message, _) = group.propose_app_data_update(provider, key, id, update).unwrap();
            mls::without_header(&message, WireFormat::PublicMessage)
        });
        sent.push(message.unwrap());
    }
    for proposal in &sent {
        bob.store_proposal(proposal);
        // A repeated one is the same one.
        hub.store_proposal(proposal);
        hub.store_proposal(proposal);
    }
    let commit = bob.commit(list_change(add("eve"))).unwrap();
    let references = commit_outline(&commit.message)
        .unwrap()
        .proposals
        .into_iter()
        .filter(|proposal| matches!(proposal, OutlineProposal::Reference(_)));
    assert_eq!(references.count(), 2);
    let list = hub.list().apply(&[add("zoe"), add("abe"), add("eve")]).unwrap();
    let (store, group) = hub.load();
    assert_eq!(group.queued_proposals(&store).unwrap().len(), 2);
    hub.accept(&commit).unwrap();
    bob.merge_own();
    alice.follow(&commit.message).unwrap();
    assert_eq!(alice.state(), bob.state());
    assert_eq!(hub.list(), list);
    let (store, group) = hub.load();
    assert_eq!(group.queued_proposals(&store).unwrap(), []);
}

#[test]
fn r44_a_member_that_comes_to_another_list_refuses() {
    let (mut alice, mut bob, _) = room_of_two();
    // Alice applies her own AppSync wrongly: cathy becomes an owner.
    let forged = alice
        .with_group(|group, provider, key| {
            let extensions = group.extensions().clone();
            let mut builder = group
                .commit_builder()
                .add_proposal(sync(&add("cathy")))
                .load_psks(provider.storage())
                .unwrap();
            let wrong = UserRoles { user: user("cathy").to_wire(), roles: vec![Role::Owner] };
            let wrong = AppSync { add_users: vec![wrong], ..AppSync::default() };
            let list = participant_list(&extensions).unwrap().apply(&[wrong]).unwrap();
            let mut updater = builder.app_data_dictionary_updater();
            let list = list.encode().unwrap().into();
            updater.set(ComponentData::from_parts(component::PARTICIPANT_LIST, list));
            let updates = updater.changes();
            builder.with_app_data_dictionary_updates(updates);
            let bundle = builder
                .build(provider.rand(), provider.crypto(), key, |_| true)
                .unwrap()
                .stage_commit(provider)
                .unwrap();
            mls::without_header(bundle.commit(), WireFormat::PublicMessage)
        })
        .unwrap();
    let before = bob.storage.clone();
    let error = bob.follow(&forged).unwrap_err();
    assert_eq!(error, invalid("the confirmation tag does not match"));
    assert_eq!(bob.storage, before);

    // The same in openmls' own words.
    let error = bob.with_group(|group, provider, _| {
        let message = ProtocolMessage::from(public_message(&forged));
        let message = group.process_message(provider, message).unwrap();
        let ProcessedMessageContent::UnresolvedAppDataCommit(commit) = message.into_content()
        else {
            return Ok(());
        };
        let mut updater = group.app_data_dictionary_updater();
        let unchanged = updater.old_value(component::PARTICIPANT_LIST).unwrap().to_vec();
        updater.set(ComponentData::from_parts(component::PARTICIPANT_LIST, unchanged.into()));
        group.stage_app_data_commit(provider, *commit, updater.changes()).map(|_| ())
    });
    assert!(matches!(error, Err(StageCommitError::ConfirmationTagMismatch)));
}

#[test]
fn r50_a_hub_refuses_a_group_info_of_another_list() {
    let (mut alice, _bob, mut hub) = room_of_two();
    let good = alice.commit(list_change(add("cathy"))).unwrap();
    alice.clear_own();
    let other = alice.commit(list_change(add("dave"))).unwrap();
    alice.clear_own();
    let before = hub.storage.clone();

    let stale = alice
        .with_group(|group, provider, key| own_group::export_group_info(group, provider, key))
        .unwrap();
    let with_tree = alice
        .with_group(|group, provider, key| {
            let message = group.export_group_info(provider.crypto(), key, true).unwrap();
            mls::without_header(&message, WireFormat::GroupInfo)
        })
        .unwrap();
    let mut flipped = good.group_info.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for (group_info, text) in [
        (other.group_info.clone(), "the GroupInfo is not of this commit"),
        (stale, "the GroupInfo is not of this commit"),
        (with_tree, "the GroupInfo carries a ratchet tree"),
        (flipped, "the GroupInfo's signature"),
    ] {
        let commit = OwnCommit { group_info, ..good.clone() };
        assert_eq!(hub.accept(&commit), Err(invalid(text)));
    }
    let commit = OwnCommit { tree: RatchetTree::from_encoded(&[0]).unwrap(), ..good.clone() };
    let text = "the ratchet tree is not the one after the commit";
    assert_eq!(hub.accept(&commit), Err(invalid(text)));
    assert_eq!(hub.storage, before);
    hub.accept(&good).unwrap();
}

/// A commit over `policy` and `proposals`, resolved to nonsense, as a careless or malicious member
/// makes it.
fn careless(
    member: &mut Member,
    policy: Option<Extensions<GroupContext>>,
    proposals: Vec<Proposal>,
) -> Result<Vec<u8>, String> {
    member.with_group(|group, provider, key| {
        let mut builder = group.commit_builder();
        if let Some(extensions) = policy {
            builder = builder.propose_group_context_extensions(extensions).unwrap();
        }
        let mut builder = builder.add_proposals(proposals).load_psks(provider.storage()).unwrap();
        let mut updater = builder.app_data_dictionary_updater();
        if builder.app_data_update_proposals().count() > 0 {
            updater.set(ComponentData::from_parts(0xF023, vec![1].into()));
        }
        let updates = updater.changes();
        builder.with_app_data_dictionary_updates(updates);
        let bundle = builder
            .build(provider.rand(), provider.crypto(), key, |_| true)
            .map_err(|error| format!("{error:?}"))?
            .stage_commit(provider)
            .unwrap();
        Ok(mls::without_header(bundle.commit(), WireFormat::PublicMessage).unwrap())
    })
}

fn group_extensions(member: &mut Member) -> Extensions<GroupContext> {
    member.with_group(|group, _, _| Ok::<_, ()>(group.extensions().clone())).unwrap()
}

#[test]
fn r35_the_list_changes_by_app_sync_alone() {
    let (mut alice, mut bob, hub) = room_of_two();
    let of_list = component::PARTICIPANT_LIST;
    let update = |proposal| Proposal::AppDataUpdate(Box::new(proposal));
    let undecodable = "an AppSync does not decode";
    for (proposal, error) in [
        (
            update(AppDataUpdateProposal::remove(of_list)),
            invalid("the participant list cannot be removed"),
        ),
        (update(AppDataUpdateProposal::update(of_list, vec![1, 2, 3])), invalid(undecodable)),
        // A reserved and an unknown role.
        (
            update(AppDataUpdateProposal::update(of_list, b"\x06\x03b@c\x01\x00\x00\x00".to_vec())),
            invalid(undecodable),
        ),
        (
            update(AppDataUpdateProposal::update(of_list, b"\x06\x03b@c\x01\x07\x00\x00".to_vec())),
            invalid(undecodable),
        ),
        (
            update(AppDataUpdateProposal::update(0xF023, vec![1])),
            Error::Protocol(ProtocolError::NotAllowed("an update of another component".into())),
        ),
    ] {
        let commit = careless(&mut alice, None, vec![proposal]).unwrap();
        alice.clear_own();
        assert_eq!(hub.stage(&hub.load().1, &commit).unwrap_err(), error);
        assert_eq!(bob.follow(&commit).unwrap_err(), error);
    }
}

#[test]
fn r35_a_gce_that_changes_the_list_is_refused() {
    let (mut alice, _bob, _hub) = room_of_two();
    let mut changed = group_extensions(&mut alice);
    changed.remove(ExtensionType::AppDataDictionary);
    let error = careless(&mut alice, Some(changed), vec![]).unwrap_err();
    assert!(error.contains("CannotUpdateDictionaryDirectly"), "{error}");
}

#[test]
fn r36_a_gce_sets_the_policy_and_nothing_else() {
    let (mut alice, mut bob, hub) = room_of_two();
    let extensions = group_extensions(&mut alice);
    let mut required = extensions.clone();
    let fewer = RequiredCapabilitiesExtension::new(&[ExtensionType::AppDataDictionary], &[], &[]);
    required.add_or_replace(Extension::RequiredCapabilities(fewer)).unwrap();
    let mut bad_policy = extensions.clone();
    bad_policy.add(Extension::Unknown(0xF0A7, UnknownExtension(vec![5, 1]))).unwrap();
    let not_allowed = ProtocolError::NotAllowed("only the policy may change this way".into());
    for (extensions, error) in
        [(required, Error::Protocol(not_allowed)), (bad_policy, invalid("the room's policy"))]
    {
        let commit = careless(&mut alice, Some(extensions), vec![]).unwrap();
        alice.clear_own();
        assert_eq!(hub.stage(&hub.load().1, &commit).unwrap_err(), error);
        assert_eq!(bob.follow(&commit).unwrap_err(), error);
    }

    let mut policy = extensions;
    policy.add(Extension::Unknown(0xF0A7, UnknownExtension(vec![2, 7, 7]))).unwrap();
    let commit = careless(&mut alice, Some(policy), vec![]).unwrap();
    hub.stage(&hub.load().1, &commit).unwrap();
    alice.merge_own();
    bob.follow(&commit).unwrap();
    assert_eq!(alice.state(), bob.state());
    let seen = group_extensions(&mut bob).unknown(0xF0A7).cloned();
    assert_eq!(seen, Some(UnknownExtension(vec![2, 7, 7])));
}

#[test]
fn r36_the_policy_and_the_list_share_a_commit_unless_app_syncs_are_pending() {
    let (mut alice, mut bob, mut hub) = room_of_two();
    let pending = bob
        .with_group(|group, provider, key| propose_app_sync(group, provider, key, &add("erin")))
        .unwrap();
    alice.store_proposal(&pending);
    hub.store_proposal(&pending);
    let change =
        |policy: &[u8], name| RoomChange { policy: Some(policy.into()), ..list_change(add(name)) };
    let error = alice.commit(change(b"first", "dave")).unwrap_err();
    assert_eq!(error, invalid("the policy stands behind an AppSync"));
    let error = alice.commit(RoomChange { app_sync: None, ..change(b"first", "dave") });
    assert_eq!(error.unwrap_err(), invalid("the policy stands behind an AppSync"));
    // So the AppSync goes first.
    for change in [RoomChange::default(), change(b"first", "dave"), change(b"second", "fay")] {
        let policy = change.policy.clone();
        let commit = alice.commit(change).unwrap();
        hub.accept(&commit).unwrap();
        alice.merge_own();
        bob.follow(&commit.message).unwrap();
        assert_eq!(alice.state(), bob.state());
        assert_eq!(room_policy(&group_extensions(&mut bob)).unwrap(), policy);
    }
    assert_eq!(hub.list().participants().count(), 5);
    assert_eq!(alice.state().2, hub.list().encode().unwrap());
}

#[test]
fn r38_app_syncs_of_one_commit_are_valid_together_or_not_at_all() {
    let (mut alice, mut bob, hub) = room_of_two();
    let twice = vec![sync(&remove("bob")), sync(&add("bob"))];
    let text = "a user is named twice";
    let mut both = remove("bob");
    both.add_users = add("bob").add_users;
    assert_eq!(alice.commit(list_change(both)).unwrap_err(), invalid(text));
    let commit = careless(&mut alice, None, twice).unwrap();
    assert_eq!(hub.stage(&hub.load().1, &commit).unwrap_err(), invalid(text));
    assert_eq!(bob.follow(&commit).unwrap_err(), invalid(text));
}

#[test]
fn r32_the_welcome_and_the_bytes_name_the_same_key_package_ref() {
    let (mut alice, _bob, _hub) = room_of_two();
    let mut cathy = Member::new("cathy_");
    let key_package = cathy.key_package(KeyPackageKind::SingleUse);
    let commit = alice.commit(entry("cathy_", &key_package)).unwrap();
    let welcome: Welcome = decode_exact(commit.welcome.as_ref().unwrap()).unwrap();
    let named: Vec<_> =
        welcome.secrets().iter().map(|s| s.new_member().as_slice().to_vec()).collect();
    assert_eq!(named, std::slice::from_ref(&key_package.reference));
    let crypto = MlsCrypto::new();
    let computed = key_package::key_package_ref(crypto.algorithms(), &key_package.bytes).unwrap();
    assert_eq!(computed, key_package.reference);
}

#[test]
fn d4_r30_key_packages_are_checked_at_intake() {
    let mut alice = Member::new("alice");
    let made = alice.key_package(KeyPackageKind::LastResort);
    let crypto = MlsCrypto::new();
    let parse = || decode_exact(&made.bytes).unwrap();
    let required = required_capabilities(Profile::B);
    let checked = check_key_package(crypto.algorithms(), parse(), &required, now()).unwrap();
    assert_eq!(checked.client, alice.client);
    assert_eq!(checked.kind, KeyPackageKind::LastResort);
    assert_eq!(checked.bytes, made.bytes);
    assert_eq!(checked.reference, made.reference);
    let life = checked.not_after.since(checked.not_before) / 1000;
    assert_eq!(life, (84 * 24 + 1) * 3600);
    assert_eq!(alice.key_package(KeyPackageKind::SingleUse).kind, KeyPackageKind::SingleUse);

    let mut asked = required.clone();
    asked.extension_types.push(0xF0A8);
    let error = check_key_package(crypto.algorithms(), parse(), &asked, now()).unwrap_err();
    assert_eq!(error, ProtocolError::InvalidProposal("a KeyPackage's capabilities"));
    for time in [checked.not_after, UnixMillis(checked.not_before.0 - 1)] {
        let error = check_key_package(crypto.algorithms(), parse(), &required, time).unwrap_err();
        assert_eq!(error, ProtocolError::InvalidProposal("a KeyPackage's lifetime"));
    }
    let mut forged = made.bytes.clone();
    *forged.last_mut().unwrap() ^= 1;
    let forged = decode_exact(&forged).unwrap();
    let error = check_key_package(crypto.algorithms(), forged, &required, now()).unwrap_err();
    assert_eq!(error, ProtocolError::InvalidProposal("a KeyPackage is not valid"));
}

#[test]
fn a_header_is_two_times_two_bytes() {
    let (mut alice, _bob, _hub) = room_of_two();
    let message = alice
        .with_group(|group, provider, key| group.create_message(provider, key, b"hi"))
        .unwrap();
    assert!(mls::without_header(&message, WireFormat::PublicMessage).is_err());
    let bare = mls::without_header(&message, WireFormat::PrivateMessage).unwrap();
    let whole = mls::with_header(&bare, WireFormat::PrivateMessage);
    assert_eq!(whole[..4], [0, 1, 0, 2]);
    let message: MlsMessageIn = decode_exact(&whole).unwrap();
    assert_eq!(message.wire_format(), WireFormat::PrivateMessage);
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let (_alice, _bob, hub) = room_of_two();
    for (key, value) in hub.storage.rows() {
        for at in (0..value.len()).step_by(97) {
            let mut damaged = value.to_vec();
            damaged[at] ^= 1;
            let rows = hub.storage.rows().map(|(k, v)| (k.to_vec(), v.to_vec()));
            let mut rows: Vec<_> = rows.collect();
            rows.iter_mut().find(|(k, _)| k == key).unwrap().1 = damaged;
            let storage = MemoryStorage::with_rows(rows);
            assert!(HubGroupStore::load(&Transaction::new(&storage), TABLE).is_err());
        }
    }
}
