//! External commits in MLS, in both profiles, at members and at a hub's PublicGroup (R36, R89).
#![cfg(not(target_arch = "wasm32"))]

mod common;

use mimi_edge::{
    error::{Error, ProtocolError},
    mls::{self, capabilities, credential::credential_with_key, join_config},
    room::{
        Profile,
        app_sync::{leaf_extensions, participant_list, resolve_updates},
        codepoints::component,
    },
    wire::{decode_exact, encode},
};
use openmls::{
    framing::Sender,
    group::{CommitBuilder, Initial, MlsGroup},
    messages::proposals::{AppDataUpdateProposal, PreSharedKeyProposal},
    prelude::{LeafNodeParameters, OpenMlsProvider, WireFormat},
    schedule::PreSharedKeyId,
};

use common::group::{Hub, Member, SUITE, add, room_of_two_in};
use common::own_group::export_group_info;

type Builder<'b> = CommitBuilder<'b, Initial, MlsGroup>;

/// The external commit by which `joiner`, in no group yet, enters that of `member`; with what
/// `change` adds to it.
fn external_commit(
    joiner: &mut Member,
    member: &mut Member,
    change: impl for<'b> FnOnce(Builder<'b>) -> Builder<'b>,
) -> Vec<u8> {
    let (group_info, tree, list) = member
        .with_group(|group, provider, key| {
            let group_info = export_group_info(group, provider, key)?;
            let list = participant_list(group.extensions())?;
            Ok::<_, Error>((decode_exact(&group_info)?, group.export_ratchet_tree().into(), list))
        })
        .unwrap();
    let client = joiner.client.clone();
    joiner
        .step(|provider, key| {
            let leaf = LeafNodeParameters::builder()
                .with_capabilities(capabilities())
                .with_extensions(leaf_extensions()?)
                .build();
            let builder = MlsGroup::external_commit_builder()
                .with_ratchet_tree(tree)
                .with_config(join_config())
                .build_group(provider, group_info, credential_with_key(&client, key.public()))
                .unwrap()
                .leaf_node_parameters(leaf);
            let mut builder = change(builder).load_psks(provider.storage()).unwrap();
            let resolution = resolve_updates(&list, builder.app_data_update_proposals())?;
            let updates = resolution.dictionary_updates(builder.app_data_dictionary_updater())?;
            builder.with_app_data_dictionary_updates(updates);
            let builder = builder.build(provider.rand(), provider.crypto(), key, |_| true).unwrap();
            let (_, bundle) = builder.finalize(provider).unwrap();
            Ok::<_, Error>(mls::without_header(bundle.commit(), WireFormat::PublicMessage)?)
        })
        .unwrap()
}

fn assert_refused(hub: &Hub, member: &mut Member, commit: &[u8]) {
    let text = "an external commit carries no AppSync and no PSK".to_owned();
    let error = Error::Protocol(ProtocolError::NotAllowed(text));
    assert_eq!(hub.stage(&hub.load().1, commit).unwrap_err(), error);
    let before = member.storage.clone();
    assert_eq!(member.follow(commit).unwrap_err(), error);
    assert_eq!(member.storage, before);
}

#[test]
fn r89_a_device_enters_by_an_external_commit_in_either_profile() {
    for profile in [Profile::A, Profile::B] {
        let (mut alice, mut bob, hub) = room_of_two_in(profile);
        let mut tablet = Member::new("bob-tablet");
        tablet.client = bob.client.user().client("tablet").unwrap();
        let commit = external_commit(&mut tablet, &mut alice, |builder| builder);
        let staged = hub.stage(&hub.load().1, &commit).unwrap();
        assert_eq!(staged.sender, Sender::NewMemberCommit);
        assert_eq!(staged.entering().unwrap(), [tablet.client.clone()]);
        assert_eq!(staged.resolution.app_syncs, []);
        alice.follow(&commit).unwrap();
        bob.follow(&commit).unwrap();
        assert_eq!(alice.state(), bob.state());
        assert_eq!(alice.state(), tablet.state());
    }
}

#[test]
fn r36_an_external_commit_carries_no_app_sync() {
    let (mut alice, mut bob, hub) = room_of_two_in(Profile::B);
    let mut eve = Member::new("evelyn");
    let app_sync = encode(&add("evelyn")).unwrap();
    let update = AppDataUpdateProposal::update(component::PARTICIPANT_LIST, app_sync);
    let commit = external_commit(&mut eve, &mut alice, |builder| {
        builder.add_app_data_update_proposal(update)
    });
    assert_refused(&hub, &mut bob, &commit);
}

#[test]
fn r36_an_external_commit_carries_no_psk() {
    for profile in [Profile::A, Profile::B] {
        let (mut alice, mut bob, hub) = room_of_two_in(profile);
        let mut eve = Member::new("evelyn");
        let psk = PreSharedKeyId::external(b"psk".to_vec(), vec![7; SUITE.hash_length()]);
        for member in [&mut bob, &mut eve] {
            member.step(|provider, _| psk.store(provider, &[1; 32])).unwrap();
        }
        let commit = external_commit(&mut eve, &mut alice, |builder| {
            builder.add_psk_proposal(PreSharedKeyProposal::new(psk))
        });
        assert_refused(&hub, &mut bob, &commit);
    }
}
