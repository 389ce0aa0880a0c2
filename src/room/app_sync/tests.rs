use openmls::extensions::UnknownExtension;

use super::*;
use crate::wire::{Role, UserRoles, encode, uri::UserUri};

fn user(name: &str) -> UserUri {
    UserUri::parse(&format!("{name}@bravo.com")).unwrap()
}

fn list() -> ParticipantList {
    ParticipantList::of_creator(user("alice"))
}

fn add(name: &str) -> AppSync {
    let entry = UserRoles { user: user(name).to_wire(), roles: vec![Role::RegularUser] };
    AppSync { add_users: vec![entry], ..AppSync::default() }
}

fn update(app_sync: &AppSync) -> AppDataUpdateProposal {
    AppDataUpdateProposal::update(component::PARTICIPANT_LIST, encode(app_sync).unwrap())
}

#[test]
fn the_known_answer_of_profile_b() {
    let proposal = encode(&app_sync_proposal(&add("bob")).unwrap()).unwrap();
    let expected = b"\x00\x08\xf0\x22\x01\x13\x10\x0dbob@bravo.com\x01\x04\x00\x00";
    assert_eq!(proposal, expected);
}

#[test]
fn r15_the_initial_group_context() {
    let extensions = initial_extensions(&list()).unwrap();
    assert_eq!(participant_list(&extensions).unwrap(), list());
    let dictionary = extensions.app_data_dictionary().unwrap().dictionary();
    let entries: Vec<_> = dictionary.entries().map(ComponentData::id).collect();
    assert_eq!(entries, [0x0001, 0xF022]);
    let without = Extensions::from_vec(vec![]).unwrap();
    let error = participant_list(&without).unwrap_err();
    let text = "no participant list in the group context";
    assert_eq!(error, ProtocolError::InvalidProposal(text));
}

#[test]
fn r39_the_updates_of_a_commit_are_applied_in_its_order() {
    let (zoe, abe) = (update(&add("zoe")), update(&add("abe")));
    let resolution = resolve(&list(), [&zoe, &abe]).unwrap();
    assert_eq!(resolution.app_syncs, [add("zoe"), add("abe")]);
    assert_eq!(resolution.list, list().apply(&[add("zoe"), add("abe")]).unwrap());
}

#[test]
fn without_updates_the_dictionary_stays() {
    let extensions = initial_extensions(&list()).unwrap();
    let dictionary = extensions.app_data_dictionary().map(|extension| extension.dictionary());
    let resolution = resolve(&list(), []).unwrap();
    assert_eq!(resolution.list, list());
    let updater = AppDataDictionaryUpdater::new(dictionary);
    assert!(resolution.dictionary_updates(updater).unwrap().is_none());
}

#[test]
fn r35_what_is_no_update_of_the_list_is_refused() {
    let mut trailing = encode(&add("bob")).unwrap();
    trailing.push(0);
    let of_list = component::PARTICIPANT_LIST;
    for (proposal, error) in [
        (
            AppDataUpdateProposal::remove(of_list),
            ProtocolError::InvalidProposal("the participant list cannot be removed"),
        ),
        (
            AppDataUpdateProposal::update(of_list, trailing),
            ProtocolError::InvalidProposal("an AppSync does not decode"),
        ),
        (
            AppDataUpdateProposal::update(component::APP_COMPONENTS, vec![0]),
            ProtocolError::NotAllowed("an update of another component".to_owned()),
        ),
    ] {
        assert_eq!(resolve(&list(), [&proposal]), Err(error.clone()));
        assert_eq!(resolve(&list(), [&update(&add("bob")), &proposal]), Err(error));
    }
}

#[test]
fn r38_is_checked_over_all_updates_of_a_commit() {
    let error = resolve(&list(), [&update(&add("bob")), &update(&add("bob"))]);
    assert_eq!(error, Err(ProtocolError::InvalidProposal("a user is named twice")));
}

/// The initial extensions and what `change` makes of them.
fn changed(
    change: impl FnOnce(&mut Extensions<GroupContext>),
) -> (Extensions<GroupContext>, Extensions<GroupContext>) {
    let old = initial_extensions(&list()).unwrap();
    let mut new = old.clone();
    change(&mut new);
    (old, new)
}

#[test]
fn r35_a_gce_cannot_change_the_dictionary() {
    let other = initial_extensions(&ParticipantList::of_creator(user("eve"))).unwrap();
    let dictionary = other.app_data_dictionary().unwrap().clone();
    for (old, new) in [
        changed(|new| drop(new.remove(ExtensionType::AppDataDictionary))),
        changed(|new| drop(new.add_or_replace(Extension::AppDataDictionary(dictionary)))),
    ] {
        let error = check_group_context_extensions(&old, &new).unwrap_err();
        let text = "the list changes by AppSync alone";
        assert_eq!(error, ProtocolError::InvalidProposal(text));
    }
}

#[test]
fn r36_a_gce_changes_no_other_extension() {
    let unknown = || Extension::Unknown(0xF0A8, UnknownExtension(vec![]));
    for (old, new) in [
        changed(|new| drop(new.remove(ExtensionType::RequiredCapabilities))),
        changed(|new| new.add(unknown()).unwrap()),
        changed(|new| new.add(Extension::ExternalSenders(vec![])).unwrap()),
    ] {
        let error = check_group_context_extensions(&old, &new).unwrap_err();
        let text = "only the policy may change this way";
        assert_eq!(error, ProtocolError::NotAllowed(text.to_owned()));
    }
}

#[test]
fn r36_a_gce_sets_the_policy_up_to_16_kib() {
    let policy = |bytes: usize| {
        let policy = encode(&VLBytes::from(vec![7; bytes])).unwrap();
        changed(|new| new.add(Extension::Unknown(0xF0A7, UnknownExtension(policy))).unwrap())
    };
    let (none, largest) = policy(MAX_ROOM_POLICY_BYTES);
    check_group_context_extensions(&none, &largest).unwrap();
    check_group_context_extensions(&largest, &policy(0).1).unwrap();
    check_group_context_extensions(&largest, &none).unwrap();
    let (_, too_large) = policy(MAX_ROOM_POLICY_BYTES + 1);
    let error = check_group_context_extensions(&none, &too_large).unwrap_err();
    assert_eq!(error, ProtocolError::InvalidProposal("the room's policy"));
}
