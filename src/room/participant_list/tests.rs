use proptest::prelude::*;

use super::*;

fn user(name: &str) -> UserUri {
    UserUri::parse(&format!("{name}@bravo.com")).unwrap()
}

fn entry(name: &str, roles: &[Role]) -> UserRoles {
    UserRoles { user: user(name).to_wire(), roles: roles.to_vec() }
}

fn add(name: &str, roles: &[Role]) -> AppSync {
    AppSync { add_users: vec![entry(name, roles)], ..AppSync::default() }
}

fn update(name: &str, roles: &[Role]) -> AppSync {
    AppSync { update_users: vec![entry(name, roles)], ..AppSync::default() }
}

fn remove(name: &str) -> AppSync {
    AppSync { remove_users: vec![user(name).to_wire()], ..AppSync::default() }
}

/// Alice, the creator, and bob.
fn alice_and_bob() -> ParticipantList {
    let list = ParticipantList::of_creator(user("alice"));
    list.apply(&[add("bob", &[Role::RegularUser])]).unwrap()
}

fn invalid(text: &'static str) -> Result<ParticipantList, ProtocolError> {
    Err(ProtocolError::InvalidProposal(text))
}

fn names(list: &ParticipantList) -> Vec<String> {
    list.iter().map(|(user, _)| user.as_str().replace("@bravo.com", "")).collect()
}

#[test]
fn the_known_answer() {
    let list = ParticipantList::of_creator(UserUri::parse("alice@alpha.com").unwrap());
    let list = list.apply(&[add("bob", &[Role::RegularUser])]).unwrap();
    let expected = b"\x24\x0falice@alpha.com\x03\x02\x03\x04\x0dbob@bravo.com\x01\x04";
    assert_eq!(list.encode().unwrap(), expected);
    assert_eq!(ParticipantList::decode(expected).unwrap(), list);
}

#[test]
fn r37_roles_are_replaced_and_bans_are_roles() {
    let list = alice_and_bob();
    assert_eq!(list.roles_of(&user("bob")), Some([Role::RegularUser].as_slice()));
    assert!(list.is_participant(&user("bob")));

    let visitor = list.apply(&[update("bob", &[Role::Visitor, Role::Admin])]).unwrap();
    assert_eq!(visitor.roles_of(&user("bob")), Some([Role::Visitor, Role::Admin].as_slice()));

    let banned = list.apply(&[update("bob", &[Role::Banned])]).unwrap();
    assert_eq!(banned.roles_of(&user("bob")), Some([Role::Banned].as_slice()));
    assert!(!banned.is_participant(&user("bob")));
    assert_eq!(banned.participants().collect::<Vec<_>>(), [&user("alice")]);
    assert_eq!(names(&banned), ["alice", "bob"]);

    // A removal is no ban.
    let removed = list.apply(&[remove("bob")]).unwrap();
    assert_eq!(removed.roles_of(&user("bob")), None);
    removed.apply(&[add("bob", &[Role::RegularUser])]).unwrap();
}

#[test]
fn r37_a_ban_ahead_and_its_end() {
    let list = ParticipantList::of_creator(user("alice"));
    let banned = list.apply(&[add("eve", &[Role::Banned])]).unwrap();
    assert!(!banned.is_participant(&user("eve")));
    let error = banned.apply(&[add("eve", &[Role::RegularUser])]);
    assert_eq!(error, invalid("an added user is on the list"));
    assert_eq!(banned.apply(&[remove("eve")]).unwrap(), list);
}

#[test]
fn r38_adding_a_user_who_is_on_the_list() {
    let error = alice_and_bob().apply(&[add("bob", &[Role::Visitor])]);
    assert_eq!(error, invalid("an added user is on the list"));
}

#[test]
fn r38_updating_a_user_who_is_not_on_the_list() {
    let error = alice_and_bob().apply(&[update("cathy", &[Role::Visitor])]);
    assert_eq!(error, invalid("a user is not on the list"));
}

#[test]
fn r38_removing_a_user_who_is_not_on_the_list() {
    assert_eq!(alice_and_bob().apply(&[remove("cathy")]), invalid("a user is not on the list"));
}

#[test]
fn r38_a_user_twice_in_one_commit() {
    let role = [Role::Visitor];
    let twice_in_one =
        AppSync { remove_users: vec![user("bob").to_wire()], ..update("bob", &[Role::Visitor]) };
    for app_syncs in [
        vec![twice_in_one],
        vec![add("cathy", &role), add("cathy", &role)],
        vec![remove("bob"), remove("bob")],
        // Valid one after the other, but not in one commit.
        vec![remove("bob"), add("bob", &role)],
        vec![add("cathy", &role), update("cathy", &role)],
    ] {
        assert_eq!(alice_and_bob().apply(&app_syncs), invalid("a user is named twice"));
    }
}

#[test]
fn r38_empty_roles() {
    assert_eq!(alice_and_bob().apply(&[add("cathy", &[])]), invalid("no role"));
    assert_eq!(alice_and_bob().apply(&[update("bob", &[])]), invalid("no role"));
}

#[test]
fn r38_a_role_twice() {
    let roles = [Role::Visitor, Role::Admin, Role::Visitor];
    assert_eq!(alice_and_bob().apply(&[add("cathy", &roles)]), invalid("a role stands twice"));
    assert_eq!(alice_and_bob().apply(&[update("bob", &roles)]), invalid("a role stands twice"));
}

#[test]
fn r38_banned_with_other_roles() {
    let roles = [Role::Banned, Role::Visitor];
    let error = invalid("banned stands with other roles");
    assert_eq!(alice_and_bob().apply(&[add("cathy", &roles)]), error);
    assert_eq!(alice_and_bob().apply(&[update("bob", &roles)]), error);
}

#[test]
fn r38_an_empty_app_sync() {
    let error = invalid("an AppSync is empty");
    assert_eq!(alice_and_bob().apply(&[AppSync::default()]), error);
    assert_eq!(alice_and_bob().apply(&[remove("bob"), AppSync::default()]), error);
}

#[test]
fn r38_reserved_and_unknown_roles_do_not_decode() {
    for role in [0, 7, 255] {
        let bytes = [b"\x10\x0dbob@bravo.com\x01".as_slice(), &[role]].concat();
        assert_eq!(ParticipantList::decode(&bytes), invalid(UNDECODABLE));
    }
}

#[test]
fn d15_a_text_that_is_no_user() {
    let nobody = UserRoles { user: IdentifierUri("bob".to_owned()), roles: vec![Role::Visitor] };
    let app_sync = AppSync { add_users: vec![nobody], ..AppSync::default() };
    assert_eq!(alice_and_bob().apply(&[app_sync]), invalid("not a user's identifier"));
}

#[test]
fn a_list_that_is_not_valid_does_not_decode() {
    let list = |participants| wire::encode(&MimiParticipantList { participants }).unwrap();
    let roles = [Role::Visitor];
    for (bytes, text) in [
        (list(vec![entry("a", &roles), entry("a", &roles)]), "a user stands twice on the list"),
        (list(vec![entry("a", &[])]), "no role"),
        (list(vec![entry("a", &[Role::Banned, Role::Owner])]), "banned stands with other roles"),
        (vec![], UNDECODABLE),
        (vec![0, 0], UNDECODABLE),
    ] {
        assert_eq!(ParticipantList::decode(&bytes), invalid(text));
    }
}

#[test]
fn r39_updates_stay_removals_keep_the_order_additions_come_last() {
    let add_two = AppSync {
        add_users: vec![entry("dave", &[Role::Visitor]), entry("cathy", &[Role::Visitor])],
        ..AppSync::default()
    };
    let list = alice_and_bob().apply(&[add_two]).unwrap();
    assert_eq!(names(&list), ["alice", "bob", "dave", "cathy"]);
    let change = AppSync {
        add_users: vec![entry("zoe", &[Role::Visitor]), entry("abe", &[Role::Visitor])],
        update_users: vec![entry("dave", &[Role::Admin])],
        remove_users: vec![user("bob").to_wire()],
    };
    let list = list.apply(&[change, add("max", &[Role::Visitor])]).unwrap();
    assert_eq!(names(&list), ["alice", "dave", "cathy", "zoe", "abe", "max"]);
    assert_eq!(list.roles_of(&user("dave")), Some([Role::Admin].as_slice()));
}

#[test]
fn without_app_syncs_nothing_changes() {
    assert_eq!(alice_and_bob().apply(&[]).unwrap(), alice_and_bob());
}

/// R38 and R39 once more, from the rules' text: on plain entries, one step after the other, checked
/// by counting.
fn second_opinion(list: &MimiParticipantList, app_syncs: &[AppSync]) -> Option<Vec<u8>> {
    let mut mentions = Vec::new();
    for app_sync in app_syncs {
        let AppSync { add_users, update_users, remove_users } = app_sync;
        mentions.extend(add_users.iter().chain(update_users).map(|entry| entry.user.clone()));
        mentions.extend(remove_users.iter().cloned());
        if add_users.len() + update_users.len() + remove_users.len() == 0 {
            return None;
        }
        for UserRoles { roles, .. } in add_users.iter().chain(update_users) {
            let count = |role| roles.iter().filter(|other| **other == role).count();
            let repeated = roles.iter().any(|role| count(*role) != 1);
            if repeated || roles.is_empty() || (count(Role::Banned) == 1 && roles.len() != 1) {
                return None;
            }
        }
    }
    if mentions.iter().any(|user| mentions.iter().filter(|other| *other == user).count() > 1) {
        return None;
    }
    let mut entries = list.participants.clone();
    let position = |entries: &[UserRoles], user: &IdentifierUri| {
        entries.iter().position(|entry| entry.user == *user)
    };
    for app_sync in app_syncs {
        for update in &app_sync.update_users {
            let at = position(&entries, &update.user)?;
            entries[at] = update.clone();
        }
        for user in &app_sync.remove_users {
            let at = position(&entries, user)?;
            entries.remove(at);
        }
        for add in &app_sync.add_users {
            if position(&entries, &add.user).is_some() {
                return None;
            }
            entries.push(add.clone());
        }
    }
    Some(wire::encode(&MimiParticipantList { participants: entries }).unwrap())
}

fn any_roles() -> impl Strategy<Value = Vec<Role>> {
    let role = prop_oneof![
        4 => Just(Role::RegularUser),
        2 => Just(Role::Visitor),
        1 => Just(Role::Banned),
    ];
    prop_oneof![5 => role.clone().prop_map(|role| vec![role]), 1 => prop::collection::vec(role, 0..3)]
}

/// Few names, so that they meet.
fn any_entry() -> impl Strategy<Value = UserRoles> {
    (0..30_u8, any_roles()).prop_map(|(number, roles)| entry(&format!("u{number}"), &roles))
}

fn any_app_sync() -> impl Strategy<Value = AppSync> {
    let entries = || prop::collection::vec(any_entry(), 0..3);
    (entries(), entries(), entries()).prop_map(|(add_users, update_users, remove)| AppSync {
        add_users,
        update_users,
        remove_users: remove.into_iter().map(|entry| entry.user).collect(),
    })
}

/// An AppSync that fits the list more often than not.
fn fitting(list: &ParticipantList, app_sync: AppSync) -> AppSync {
    let listed = |user: &IdentifierUri| list.iter().any(|(other, _)| other.as_str() == user.0);
    let AppSync { mut add_users, mut update_users, mut remove_users } = app_sync;
    add_users.retain(|entry| !listed(&entry.user));
    update_users.retain(|entry| listed(&entry.user));
    remove_users.retain(listed);
    AppSync { add_users, update_users, remove_users }
}

proptest! {
    #[test]
    fn r39_two_implementations_give_equal_bytes(
        commits in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(any_app_sync(), 1..3)),
            1..20,
        ),
    ) {
        let mut list = ParticipantList::of_creator(user("u0"));
        for (fit, mut app_syncs) in commits {
            if fit {
                app_syncs = app_syncs.into_iter().map(|sync| fitting(&list, sync)).collect();
            }
            let applied = list.apply(&app_syncs);
            let bytes = applied.as_ref().ok().map(|list| list.encode().unwrap());
            prop_assert_eq!(&bytes, &second_opinion(&list.to_wire(), &app_syncs));
            if let Ok(after) = applied {
                prop_assert_eq!(&ParticipantList::decode(&bytes.unwrap()).unwrap(), &after);
                list = after;
            }
        }
    }
}

#[test]
fn d18_r38_a_list_has_at_most_4096_entries_the_banned_too() {
    let users = |numbers: std::ops::Range<usize>, role| AppSync {
        add_users: numbers.map(|number| entry(&format!("user{number}"), &[role])).collect(),
        ..AppSync::default()
    };
    let banned = users(0..MAX_PARTICIPANTS - 2, Role::Banned);
    let full = alice_and_bob().apply(&[banned]).unwrap();
    assert_eq!(full.iter().count(), 4096);
    let one_more = add("carol", &[Role::RegularUser]);
    assert_eq!(
        full.apply(std::slice::from_ref(&one_more)),
        invalid("the participant list is full")
    );
    // One comes, one goes.
    full.apply(&[one_more, remove("bob")]).unwrap();
}
