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
    let proposal = encode(&app_sync_proposal(Profile::B, &add("bob")).unwrap()).unwrap();
    let expected = b"\x00\x08\xf0\x22\x01\x13\x10\x0dbob@bravo.com\x01\x04\x00\x00";
    assert_eq!(proposal, expected);
}

#[test]
fn the_known_answer_of_profile_a() {
    let proposal = encode(&app_sync_proposal(Profile::A, &add("bob")).unwrap()).unwrap();
    let expected = b"\xf0\xa5\x13\x10\x0dbob@bravo.com\x01\x04\x00\x00";
    assert_eq!(proposal, expected);
}

#[test]
fn r15_the_initial_group_context_of_profile_a() {
    let extensions = initial_extensions(Profile::A, &list()).unwrap();
    assert_eq!(participant_list(&extensions).unwrap(), list());
    let types: Vec<_> = extensions.iter().map(|e| u16::from(e.extension_type())).collect();
    assert_eq!(types, [0x0003, 0xF0A6]);
    let required = extensions.required_capabilities().unwrap();
    let types: Vec<_> = required.extension_types().iter().map(|t| u16::from(*t)).collect();
    assert_eq!(types, [0xF0A6, 0xF0A7]);
    assert_eq!(required.proposal_types(), [ProposalType::Custom(0xF0A5)]);
    assert_eq!(required.credential_types(), [CredentialType::Basic]);
}

#[test]
fn r15_the_initial_group_context() {
    let extensions = initial_extensions(Profile::B, &list()).unwrap();
    assert_eq!(participant_list(&extensions).unwrap(), list());
    let dictionary = extensions.app_data_dictionary().unwrap().dictionary();
    let entries: Vec<_> = dictionary.entries().map(ComponentData::id).collect();
    assert_eq!(entries, [0x0001, 0xF022]);
}

#[test]
fn r15_a_group_without_list_is_no_room() {
    for (profile, carrier) in [(Profile::A, 0xF0A6), (Profile::B, 0x0006)] {
        let mut extensions = initial_extensions(profile, &list()).unwrap();
        extensions.remove(ExtensionType::from(carrier));
        let error = participant_list(&extensions).unwrap_err();
        let text = "no participant list in the group context";
        assert_eq!(error, ProtocolError::InvalidProposal(text));
    }
}

#[test]
fn r39_the_updates_of_a_commit_are_applied_in_its_order() {
    let (zoe, abe) = (update(&add("zoe")), update(&add("abe")));
    let resolution = resolve_updates(&list(), [&zoe, &abe]).unwrap();
    assert_eq!(resolution.app_syncs, [add("zoe"), add("abe")]);
    assert_eq!(resolution.list, list().apply(&[add("zoe"), add("abe")]).unwrap());
}

#[test]
fn without_updates_the_dictionary_stays() {
    let extensions = initial_extensions(Profile::B, &list()).unwrap();
    let dictionary = extensions.app_data_dictionary().map(|extension| extension.dictionary());
    let resolution = resolve_updates(&list(), []).unwrap();
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
        assert_eq!(resolve_updates(&list(), [&proposal]), Err(error.clone()));
        assert_eq!(resolve_updates(&list(), [&update(&add("bob")), &proposal]), Err(error));
    }
}

#[test]
fn r35_an_app_sync_of_the_other_profile_is_refused() {
    for (profile, other) in [(Profile::A, Profile::B), (Profile::B, Profile::A)] {
        let own = app_sync_proposal(profile, &add("bob")).unwrap();
        assert_eq!(app_sync_of(profile, &own), Ok(Some(add("bob"))));
        let error = ProtocolError::InvalidProposal("an AppSync of the other profile");
        assert_eq!(app_sync_of(other, &own), Err(error.clone()));
        assert_eq!(resolve(other, &list(), [&own]), Err(error));
        let unrelated = Proposal::Custom(Box::new(CustomProposal::new(0xF0A4, vec![])));
        assert_eq!(app_sync_of(profile, &unrelated), Ok(None));
    }
}

#[test]
fn r38_is_checked_over_all_updates_of_a_commit() {
    let error = resolve_updates(&list(), [&update(&add("bob")), &update(&add("bob"))]);
    assert_eq!(error, Err(ProtocolError::InvalidProposal("a user is named twice")));
}

/// The initial extensions of a room and what `change` makes of them.
fn changed(
    profile: Profile,
    change: impl FnOnce(&mut Extensions<GroupContext>),
) -> (Extensions<GroupContext>, Extensions<GroupContext>) {
    let old = initial_extensions(profile, &list()).unwrap();
    let mut new = old.clone();
    change(&mut new);
    (old, new)
}

/// Checks a proposal of `new` in a commit with these AppSyncs.
fn check(
    (old, new): (&Extensions<GroupContext>, Option<&Extensions<GroupContext>>),
    app_syncs: Vec<AppSync>,
) -> Result<(), Error> {
    let resolution = Resolution::of(&list(), app_syncs).unwrap();
    check_group_context_extensions(old, new, &resolution)
}

fn mismatch() -> Result<(), Error> {
    let text = "the list is not what the AppSyncs make of it";
    Err(ProtocolError::InvalidProposal(text).into())
}

#[test]
fn r35_a_gce_cannot_change_the_dictionary() {
    let other = initial_extensions(Profile::B, &ParticipantList::of_creator(user("eve"))).unwrap();
    let dictionary = other.app_data_dictionary().unwrap().clone();
    for (old, new) in [
        changed(Profile::B, |new| drop(new.remove(ExtensionType::AppDataDictionary))),
        changed(Profile::B, |new| {
            drop(new.add_or_replace(Extension::AppDataDictionary(dictionary)));
        }),
    ] {
        assert_eq!(check((&old, Some(&new)), vec![]), mismatch());
    }
}

#[test]
fn r35_in_profile_a_the_gce_is_what_the_app_syncs_make_of_the_list() {
    let after = |list: &ParticipantList| {
        changed(Profile::A, |new| drop(new.add_or_replace(application_state(list).unwrap()))).1
    };
    let old = initial_extensions(Profile::A, &list()).unwrap();
    let bob = list().apply(&[add("bob")]).unwrap();
    let (_, without) = changed(Profile::A, |new| drop(new.remove(ExtensionType::Unknown(0xF0A6))));
    check((&old, None), vec![]).unwrap();
    check((&old, Some(&old)), vec![]).unwrap();
    check((&old, Some(&after(&bob))), vec![add("bob")]).unwrap();
    for (new, app_syncs) in [
        // AppSyncs without it, or with another.
        (None, vec![add("bob")]),
        (Some(old.clone()), vec![add("bob")]),
        (Some(after(&bob)), vec![add("cathy")]),
        (Some(after(&bob)), vec![add("bob"), add("cathy")]),
        (Some(without.clone()), vec![add("bob")]),
        // It without an AppSync.
        (Some(after(&bob)), vec![]),
        (Some(without), vec![]),
    ] {
        assert_eq!(check((&old, new.as_ref()), app_syncs), mismatch());
    }
}

#[test]
fn r36_a_gce_changes_no_other_extension() {
    let unknown = || Extension::Unknown(0xF0A8, UnknownExtension(vec![]));
    for profile in [Profile::A, Profile::B] {
        for (old, new) in [
            changed(profile, |new| drop(new.remove(ExtensionType::RequiredCapabilities))),
            changed(profile, |new| new.add(unknown()).unwrap()),
            changed(profile, |new| new.add(Extension::ExternalSenders(vec![])).unwrap()),
        ] {
            let text = "only the policy may change this way";
            let error = ProtocolError::NotAllowed(text.to_owned());
            assert_eq!(check((&old, Some(&new)), vec![]), Err(error.into()));
        }
    }
}

#[test]
fn r36_a_gce_sets_the_policy_up_to_16_kib() {
    for profile in [Profile::A, Profile::B] {
        let policy = |bytes: usize| {
            let policy = encode(&VLBytes::from(vec![7; bytes])).unwrap();
            let policy = Extension::Unknown(0xF0A7, UnknownExtension(policy));
            changed(profile, |new| new.add(policy).unwrap())
        };
        let (none, largest) = policy(16 << 10);
        check((&none, Some(&largest)), vec![]).unwrap();
        check((&largest, Some(&policy(0).1)), vec![]).unwrap();
        check((&largest, Some(&none)), vec![]).unwrap();
        let (_, too_large) = policy((16 << 10) + 1);
        let error = ProtocolError::InvalidProposal("the room's policy");
        assert_eq!(check((&none, Some(&too_large)), vec![]), Err(error.into()));
    }
}
