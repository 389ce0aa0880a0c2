//! Rooms in MLS in profile A of WIRE a.5: custom proposals and GroupContextExtensions, at members and
//! at a hub's PublicGroup.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use mimi_edge::{
    error::{Error, ProtocolError},
    mls::{
        self, SignatureKeyPair,
        key_package::KeyPackageKind,
        own_commit::{own_proposals, propose_app_sync},
    },
    room::{ParticipantList, Profile, app_sync::app_sync_proposal, policy::room_policy},
    wire::{AppSync, OutlineProposal, Role, UserRoles, commit_outline, encode},
};
use openmls::{
    framing::MlsMessageOut,
    group::{GroupContext, MlsGroup},
    messages::proposals::{AppDataUpdateProposal, CustomProposal, Proposal},
    prelude::{
        Extension, ExtensionType, Extensions, OpenMlsProvider, ProposalType, UnknownExtension,
        WireFormat,
    },
};
use tls_codec::VLBytes;

use common::group::{Hub, Member, add, entry, list_change, remove, room_of_two_in, sync, user};
use common::own_group::RoomChange;

/// What R35 says.
const MISMATCH: &str = "the list is not what the AppSyncs make of it";

fn invalid(text: &'static str) -> Error {
    Error::Protocol(ProtocolError::InvalidProposal(text))
}

fn room_of_two() -> (Member, Member, Hub) {
    room_of_two_in(Profile::A)
}

/// AppSync, as profile A carries it.
fn custom(app_sync: &AppSync) -> Proposal {
    app_sync_proposal(Profile::A, app_sync).unwrap()
}

fn extensions_of(member: &mut Member) -> Extensions<GroupContext> {
    member.with_group(|group, _, _| Ok::<_, ()>(group.extensions().clone())).unwrap()
}

/// These extensions with another list: ApplicationState by hand.
fn with_list(
    mut extensions: Extensions<GroupContext>,
    list: &ParticipantList,
) -> Extensions<GroupContext> {
    let list = encode(&VLBytes::from(list.encode().unwrap())).unwrap();
    let state = [&[0, 0, 0, 1], list.as_slice()].concat();
    extensions.add_or_replace(Extension::Unknown(0xF0A6, UnknownExtension(state))).unwrap();
    extensions
}

/// A commit of these extensions and proposals, valid or not; it stays pending.
fn careless(
    member: &mut Member,
    extensions: Option<Extensions<GroupContext>>,
    proposals: Vec<Proposal>,
) -> Vec<u8> {
    member
        .with_group(|group, provider, key| {
            let mut builder = group.commit_builder();
            if let Some(extensions) = extensions {
                builder = builder.propose_group_context_extensions(extensions).unwrap();
            }
            let mut builder =
                builder.add_proposals(proposals).load_psks(provider.storage()).unwrap();
            let mut updater = builder.app_data_dictionary_updater();
            if builder.app_data_update_proposals().count() > 0 {
                updater.remove(&0xF022);
            }
            let updates = updater.changes();
            builder.with_app_data_dictionary_updates(updates);
            let bundle = builder
                .build(provider.rand(), provider.crypto(), key, |_| true)
                .unwrap()
                .stage_commit(provider)
                .unwrap();
            mls::without_header(bundle.commit(), WireFormat::PublicMessage)
        })
        .unwrap()
}

/// A proposal of this member on its own.
fn proposed(
    member: &mut Member,
    propose: impl FnOnce(&mut MlsGroup, &mls::MlsProvider<'_, '_>, &SignatureKeyPair) -> MlsMessageOut,
) -> Vec<u8> {
    member
        .with_group(|group, provider, key| {
            mls::without_header(&propose(group, provider, key), WireFormat::PublicMessage)
        })
        .unwrap()
}

fn app_sync_of(member: &mut Member, app_sync: &AppSync) -> Vec<u8> {
    member
        .with_group(|group, provider, key| propose_app_sync(group, provider, key, app_sync))
        .unwrap()
}

/// The same epoch, keys and GroupContext everywhere; the list as expected.
fn assert_agree(hub: &Hub, members: &mut [&mut Member], list: &ParticipantList) {
    let (_, group) = hub.load();
    assert_eq!(hub.list(), *list);
    let authenticator = members[0].state().1;
    for member in members {
        assert_eq!(
            member.state(),
            (group.group_context().epoch().as_u64(), authenticator.clone(), list.encode().unwrap())
        );
        let context = member
            .with_group(|group, _, _| Ok::<_, ()>(group.public_group().group_context().clone()))
            .unwrap();
        assert_eq!(context, *group.group_context());
    }
}

/// Hub and members refuse the commit, for this reason, and nothing is stored.
fn assert_refused(hub: &Hub, member: &mut Member, commit: &[u8], error: &Error) {
    assert_eq!(hub.stage(&hub.load().1, commit).unwrap_err(), *error);
    let before = member.storage.clone();
    assert_eq!(member.follow(commit).unwrap_err(), *error);
    assert_eq!(member.storage, before);
}

#[test]
fn r15_r39_the_story_of_three_members_and_a_hub() {
    let (mut alice, mut bob, mut hub) = room_of_two();
    let mut cathy = Member::new("cathy_");
    let two = ParticipantList::of_creator(user("alice")).apply(&[add("bob")]).unwrap();
    assert_agree(&hub, &mut [&mut alice, &mut bob], &two);

    let key_package = cathy.key_package(KeyPackageKind::SingleUse);
    let commit = bob.commit(entry("cathy_", &key_package)).unwrap();
    assert_eq!(hub.accept(&commit).unwrap(), [cathy.client.clone()]);
    bob.merge_own();
    alice.follow(&commit.message).unwrap();
    cathy.join(commit.welcome.as_ref().unwrap(), &commit.tree).unwrap();
    let three = two.apply(&[add("cathy_")]).unwrap();
    assert_agree(&hub, &mut [&mut alice, &mut bob, &mut cathy], &three);
    let hello = cathy.send(b"hello");
    assert_eq!(alice.receive(&hello), b"hello");

    // The list alone, an update, a removal with the leaf.
    let owner = UserRoles { user: user("bob").to_wire(), roles: vec![Role::Owner] };
    let roles = AppSync { update_users: vec![owner], ..AppSync::default() };
    let without_leaf = RoomChange { removes: vec![1], ..list_change(remove("bob")) };
    let mut list = three;
    for change in [list_change(roles), RoomChange::default(), without_leaf] {
        list = list.apply(change.app_sync.as_slice()).unwrap();
        let commit = alice.commit(change).unwrap();
        hub.accept(&commit).unwrap();
        alice.merge_own();
        cathy.follow(&commit.message).unwrap();
        bob.follow(&commit.message).unwrap();
        assert_agree(&hub, &mut [&mut alice, &mut cathy], &list);
    }
    let bob_is_active = bob.with_group(|group, _, _| Ok::<_, ()>(group.is_active())).unwrap();
    assert!(!bob_is_active);
}

#[test]
fn r35_a_commit_that_changes_the_list_carries_app_sync_and_extensions_by_value() {
    let (mut alice, _bob, _hub) = room_of_two();
    let commit = alice.commit(list_change(add("dave"))).unwrap();
    let proposals = commit_outline(&commit.message).unwrap().proposals;
    let content = encode(&add("dave")).unwrap();
    let app_sync = OutlineProposal::Custom { proposal_type: 0xF0A5, content };
    assert_eq!(proposals, [OutlineProposal::Other(7), app_sync]);
}

#[test]
fn r54_r57_app_syncs_by_reference_are_covered_with_the_extensions_of_them_all() {
    let (mut alice, mut bob, mut hub) = room_of_two();
    let leaf = proposed(&mut bob, |group, provider, key| group.leave_group(provider, key).unwrap());
    let entry = app_sync_of(&mut bob, &remove("bob"));
    for proposal in [&leaf, &entry] {
        alice.store_proposal(proposal);
        hub.store_proposal(proposal);
    }
    let commit = alice.commit(list_change(add("eve"))).unwrap();
    let references = commit_outline(&commit.message)
        .unwrap()
        .proposals
        .into_iter()
        .filter(|proposal| matches!(proposal, OutlineProposal::Reference(_)));
    assert_eq!(references.count(), 2);
    let expected = hub.list().apply(&[remove("bob"), add("eve")]).unwrap();
    hub.accept(&commit).unwrap();
    alice.merge_own();
    bob.follow(&commit.message).unwrap();
    assert_agree(&hub, &mut [&mut alice], &expected);
    let (store, group) = hub.load();
    assert_eq!(group.queued_proposals(&store).unwrap(), []);
}

#[test]
fn r54_a_commit_with_nothing_of_its_own_proposes_what_pending_app_syncs_make_of_the_list() {
    let (mut alice, mut bob, mut hub) = room_of_two();
    for name in ["zoe", "abe"] {
        let proposal = app_sync_of(&mut bob, &add(name));
        alice.store_proposal(&proposal);
        hub.store_proposal(&proposal);
    }
    let list = hub.list();
    let commit = alice.commit(RoomChange::default()).unwrap();
    hub.accept(&commit).unwrap();
    alice.merge_own();
    bob.follow(&commit.message).unwrap();
    let expected = list.apply(&[add("zoe"), add("abe")]).unwrap();
    assert_agree(&hub, &mut [&mut alice, &mut bob], &expected);
}

#[test]
fn r35_r44_hub_and_members_refuse_a_list_that_the_app_syncs_do_not_make() {
    let (mut alice, mut bob, hub) = room_of_two();
    let old = extensions_of(&mut alice);
    let after = |syncs: &[AppSync]| Some(with_list(old.clone(), &hub.list().apply(syncs).unwrap()));
    let mut trailing = with_list(old.clone(), &hub.list().apply(&[add("dave")]).unwrap());
    let mut state = trailing.unknown(0xF0A6).unwrap().0.clone();
    state.push(0);
    trailing.add_or_replace(Extension::Unknown(0xF0A6, UnknownExtension(state))).unwrap();
    let mut none = old.clone();
    none.remove(ExtensionType::Unknown(0xF0A6));
    let owner = UserRoles { user: user("dave").to_wire(), roles: vec![Role::Owner] };
    let owner = AppSync { add_users: vec![owner], ..AppSync::default() };
    for (extensions, app_syncs) in [
        // AppSyncs without the extensions, with the old ones, with others.
        (None, vec![add("dave")]),
        (Some(old.clone()), vec![add("dave")]),
        (after(&[owner]), vec![add("dave")]),
        (after(&[add("dave")]), vec![add("dave"), add("erin")]),
        // The right list in another order.
        (after(&[add("erin"), add("dave")]), vec![add("dave"), add("erin")]),
        (Some(trailing), vec![add("dave")]),
        (Some(none.clone()), vec![add("dave")]),
        // The extensions without AppSyncs.
        (after(&[add("dave")]), vec![]),
        (Some(none), vec![]),
    ] {
        let proposals = app_syncs.iter().map(custom).collect();
        let commit = careless(&mut alice, extensions, proposals);
        alice.clear_own();
        assert_refused(&hub, &mut bob, &commit, &invalid(MISMATCH));
    }
    // The same, right.
    let syncs = [add("dave"), add("erin")];
    let commit = careless(&mut alice, after(&syncs), syncs.iter().map(custom).collect());
    hub.stage(&hub.load().1, &commit).unwrap();
    alice.merge_own();
    bob.follow(&commit).unwrap();
    assert_eq!(alice.state(), bob.state());
}

#[test]
fn r35_a_pending_app_sync_needs_the_extensions_too() {
    let (mut alice, mut bob, mut hub) = room_of_two();
    let pending = app_sync_of(&mut bob, &add("dave"));
    alice.store_proposal(&pending);
    hub.store_proposal(&pending);
    let old = extensions_of(&mut alice);
    let own_only = with_list(old, &hub.list().apply(&[add("erin")]).unwrap());
    for (extensions, proposals) in [(None, vec![]), (Some(own_only), vec![custom(&add("erin"))])] {
        let commit = careless(&mut alice, extensions, proposals);
        alice.clear_own();
        assert_refused(&hub, &mut bob, &commit, &invalid(MISMATCH));
    }
}

#[test]
fn r53_extensions_are_not_proposed_by_reference() {
    let (mut alice, mut bob, mut hub) = room_of_two();
    let list = hub.list().apply(&[add("dave")]).unwrap();
    let extensions = with_list(extensions_of(&mut bob), &list);
    let proposal = proposed(&mut bob, |group, provider, key| {
        group.propose_group_context_extensions(provider, extensions, key).unwrap().0
    });
    alice.store_proposal(&proposal);
    hub.store_proposal(&proposal);
    let commit = careless(&mut alice, None, vec![custom(&add("dave"))]);
    assert_refused(&hub, &mut bob, &commit, &invalid("extensions are proposed by reference"));
}

#[test]
fn r35_what_is_no_app_sync_of_profile_a_is_refused() {
    let (mut alice, mut bob, hub) = room_of_two();
    let nonsense = CustomProposal::new(0xF0A5, vec![1, 2, 3]);
    // An AppSync with a reserved and with an unknown role.
    let reserved = CustomProposal::new(0xF0A5, b"\x06\x03b@c\x01\x00\x00\x00".to_vec());
    let unknown = CustomProposal::new(0xF0A5, b"\x06\x03b@c\x01\x07\x00\x00".to_vec());
    for proposal in [nonsense, reserved, unknown] {
        let commit = careless(&mut alice, None, vec![Proposal::Custom(Box::new(proposal))]);
        alice.clear_own();
        assert_refused(&hub, &mut bob, &commit, &invalid("an AppSync does not decode"));
    }
    let other = invalid("an AppSync of the other profile");
    let commit = careless(&mut alice, None, vec![sync(&add("dave"))]);
    assert_refused(&hub, &mut bob, &commit, &other);
    let removal = AppDataUpdateProposal::remove(0xF022);
    alice.clear_own();
    let commit = careless(&mut alice, None, vec![Proposal::AppDataUpdate(Box::new(removal))]);
    assert_refused(&hub, &mut bob, &commit, &other);

    // And the other way round.
    let (mut alice, mut bob, hub) = room_of_two_in(Profile::B);
    let commit = careless(&mut alice, None, vec![custom(&add("dave"))]);
    assert_refused(&hub, &mut bob, &commit, &other);
}

#[test]
fn r38_app_syncs_are_valid_together_by_value_and_by_reference() {
    let (mut alice, mut bob, mut hub) = room_of_two();
    let extensions = extensions_of(&mut alice);
    let twice = vec![custom(&remove("bob")), custom(&add("bob"))];
    let commit = careless(&mut alice, Some(extensions), twice);
    alice.clear_own();
    assert_refused(&hub, &mut bob, &commit, &invalid("a user is named twice"));

    let pending = app_sync_of(&mut bob, &remove("bob"));
    alice.store_proposal(&pending);
    hub.store_proposal(&pending);
    let again = alice.commit(list_change(remove("bob")));
    assert_eq!(again.unwrap_err(), invalid("a user is named twice"));
}

/// openmls keeps one of several identical proposals; so does the list.
#[test]
fn r39_identical_app_syncs_count_once() {
    let (mut alice, mut bob, hub) = room_of_two();
    let list = hub.list().apply(&[add("dave")]).unwrap();
    let extensions = with_list(extensions_of(&mut alice), &list);
    let twice = vec![custom(&add("dave")), custom(&add("dave"))];
    let commit = careless(&mut alice, Some(extensions), twice);
    let outline = commit_outline(&commit).unwrap();
    assert_eq!(outline.proposals.len(), 2);
    let staged = hub.stage(&hub.load().1, &commit).unwrap();
    assert_eq!((staged.resolution.app_syncs, staged.resolution.list), (vec![add("dave")], list));
    alice.merge_own();
    bob.follow(&commit).unwrap();
    assert_eq!(alice.state(), bob.state());
}

#[test]
fn r36_the_policy_changes_alone_with_the_list_and_with_pending_app_syncs() {
    let (mut alice, mut bob, mut hub) = room_of_two();
    let mut list = hub.list();
    let pending = app_sync_of(&mut bob, &add("erin"));
    let with_policy = |policy: &[u8], app_sync: Option<AppSync>| RoomChange {
        policy: Some(policy.to_vec()),
        app_sync,
        ..RoomChange::default()
    };
    for (policy, app_sync, before) in [
        (b"first".as_slice(), Some(add("zoe")), vec![add("erin")]),
        (b"second", Some(add("dave")), vec![]),
        (b"", None, vec![]),
    ] {
        if !before.is_empty() {
            alice.store_proposal(&pending);
            hub.store_proposal(&pending);
        }
        let syncs: Vec<_> = before.into_iter().chain(app_sync.clone()).collect();
        list = list.apply(&syncs).unwrap();
        let commit = alice.commit(with_policy(policy, app_sync)).unwrap();
        hub.accept(&commit).unwrap();
        alice.merge_own();
        bob.follow(&commit.message).unwrap();
        assert_agree(&hub, &mut [&mut alice, &mut bob], &list);
        let seen = room_policy(&extensions_of(&mut bob)).unwrap();
        assert_eq!(seen.as_deref(), Some(policy));
    }
    // Of the list, there is one more copy in the commit; the policy stays.
    let commit = bob.commit(list_change(add("fay"))).unwrap();
    hub.accept(&commit).unwrap();
    bob.merge_own();
    alice.follow(&commit.message).unwrap();
    assert_eq!(room_policy(&extensions_of(&mut alice)).unwrap().as_deref(), Some(&b""[..]));
}

#[test]
fn r36_no_other_extension_and_no_policy_over_16_kib() {
    let (mut alice, mut bob, hub) = room_of_two();
    let old = extensions_of(&mut alice);
    let list = hub.list().apply(&[add("dave")]).unwrap();
    let mut senders = with_list(old.clone(), &list);
    senders.add(Extension::ExternalSenders(vec![])).unwrap();
    let policy = |bytes: usize| {
        let policy = encode(&VLBytes::from(vec![7; bytes])).unwrap();
        let mut extensions = with_list(old.clone(), &list);
        extensions.add(Extension::Unknown(0xF0A7, UnknownExtension(policy))).unwrap();
        extensions
    };
    let text = "only the policy may change this way".to_owned();
    for (extensions, error) in [
        (senders, Error::Protocol(ProtocolError::NotAllowed(text))),
        (policy((16 << 10) + 1), invalid("the room's policy")),
    ] {
        let commit = careless(&mut alice, Some(extensions), vec![custom(&add("dave"))]);
        alice.clear_own();
        assert_refused(&hub, &mut bob, &commit, &error);
    }
    let change = RoomChange { policy: Some(vec![7; (16 << 10) + 1]), ..list_change(add("dave")) };
    assert_eq!(alice.commit(change).unwrap_err(), invalid("the room's policy"));
    let commit = careless(&mut alice, Some(policy(16 << 10)), vec![custom(&add("dave"))]);
    hub.stage(&hub.load().1, &commit).unwrap();
    bob.follow(&commit).unwrap();
}

#[test]
fn own_proposals_are_none_when_nothing_changes() {
    let (mut alice, _bob, _hub) = room_of_two();
    let proposals = alice.with_group(|group, _, _| own_proposals(group, None, None)).unwrap();
    assert_eq!(proposals, []);
    let proposals = alice
        .with_group(|group, _, _| own_proposals(group, Some(&add("dave")), Some(b"policy")))
        .unwrap();
    let types: Vec<_> = proposals.iter().map(Proposal::proposal_type).collect();
    assert_eq!(types, [ProposalType::GroupContextExtensions, ProposalType::Custom(0xF0A5)]);
}
