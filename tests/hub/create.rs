//! `POST rooms/{room}` (D1, D2, D15, R14, R15).

use mimi_edge::{
    room::codepoints::component,
    transport::{Endpoint, ObjectName, Outgoing, Response, Source},
    wire::{
        MimiParticipantList, RatchetTreeOption, Role, RoomCreation, RoomProfile, UserRoles,
        Verbatim, encode,
    },
};
use openmls::{
    extensions::{AppDataDictionary, AppDataDictionaryExtension},
    prelude::{
        Extension, ExtensionType, ExternalSender, ProposalType, RequiredCapabilitiesExtension,
        UnknownExtension,
    },
};

use crate::common::{
    group::{Member, membership, room, user},
    hub::{Hub, Sent, provider, source_of},
    member::member,
};

fn alice() -> Member {
    member("alice@alpha.example/phone")
}

fn endpoint() -> Endpoint {
    Endpoint::CreateRoom { room: room() }
}

/// The creation is refused after the name was found free; nothing is stored or sent.
fn refuses(hub: &mut Hub, source: Source, creation: &RoomCreation, status: u16, text: &str) {
    let before = hub.rows();
    let response = hub.create(source, encode(creation).unwrap());
    assert_eq!((response.status, response.body), (status, text.as_bytes().to_vec()));
    assert!(hub.rows() == before, "a refusal stored something");
    assert_eq!(hub.deliver(), Vec::new());
    assert_eq!(hub.effects(), Vec::new());
}

#[test]
fn d1_a_room_is_created_once() {
    let (mut hub, mut alice) = (Hub::new(), alice());
    let body = encode(&alice.creation(Some(hub.external_sender()))).unwrap();
    let source = source_of(&alice.client);
    assert_eq!(hub.create(source.clone(), body.clone()), Response::empty(201));
    let after = hub.rows();
    assert_eq!(hub.create(source.clone(), body), Response::empty(200));
    let mut other = member("alice@alpha.example/phone");
    let other = encode(&other.creation(Some(hub.external_sender()))).unwrap();
    let response = hub.create(source, other);
    assert_eq!((response.status, response.body), (409, b"conflict: the room exists".to_vec()));
    assert!(hub.rows() == after);
}

#[test]
fn r14_creation_tells_the_creator_and_no_other_provider() {
    let (mut hub, mut alice) = (Hub::new(), alice());
    let body = encode(&alice.creation(Some(hub.external_sender()))).unwrap();
    assert_eq!(hub.create(source_of(&alice.client), body).status, 201);
    let sent = hub.deliver();
    let [Sent::Call(call)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(call.object, ObjectName::user(&user("alice")));
    assert_eq!(call.request.endpoint, membership(Some(RoomProfile::B)));
}

#[test]
fn d1_the_room_exists_before_and_after_a_restart_only_once_created() {
    let mut hub = Hub::new();
    assert_eq!(hub.call(Source::Own, Endpoint::Exists, Vec::new()).status, 404);
    let mut alice = alice();
    let body = encode(&alice.creation(None)).unwrap();
    assert_eq!(hub.create(source_of(&alice.client), body.clone()).status, 201);
    hub.restart();
    assert_eq!(hub.call(Source::Own, Endpoint::Exists, Vec::new()).status, 200);
    assert_eq!(hub.create(source_of(&alice.client), body).status, 200);
}

#[test]
fn d15_a_users_name_is_taken() {
    let (mut hub, mut alice) = (Hub::new(), alice());
    let body = encode(&alice.creation(None)).unwrap();
    let before = hub.rows();
    let mut create = |outcome: Option<Response>| {
        hub.request(source_of(&alice.client), endpoint(), body.clone(), |outgoing| {
            let Outgoing::Object(call) = outgoing else { panic!("{outgoing:?}") };
            assert_eq!(call.object, ObjectName::user(&user("clubhouse")));
            outcome.clone()
        })
    };
    let taken = create(Some(Response::empty(200)));
    assert_eq!((taken.status, taken.body), (409, b"conflict: the name is a user's".to_vec()));
    assert_eq!(create(None).status, 504);
    assert_eq!(create(Some(Response::empty(500))).status, 504);
    assert!(hub.rows() == before);
}

#[test]
fn d1_only_a_device_of_ours_creates_and_only_its_own_group() {
    let mut hub = Hub::new();
    let creation = alice().creation(None);
    for source in [provider("alpha.example"), Source::Own] {
        refuses(&mut hub, source, &creation, 403, "peer refused: only own devices create rooms");
    }
    let other = member("bob@alpha.example/phone").client;
    let wrong = "invalid proposal: the group context's extensions";
    refuses(&mut hub, source_of(&other), &creation, 422, wrong);
    let other = member("alice@alpha.example/laptop").client;
    let wrong = "invalid proposal: the creator is not alone";
    refuses(&mut hub, source_of(&other), &creation, 422, wrong);
}

#[test]
fn r8_the_group_id_is_the_rooms() {
    let mut hub = Hub::new();
    let creation = alice().creation(None);
    let bytes = creation.group_info.bytes().to_vec();
    let at = bytes.windows(9).position(|window| window == b"clubhouse").unwrap();
    let mut other = bytes;
    other[at] = b'C';
    let creation = RoomCreation { group_info: Verbatim::own(other).unwrap(), ..creation };
    let source = source_of(&alice().client);
    refuses(&mut hub, source, &creation, 400, "malformed: another group");
}

#[test]
fn a23_the_tree_of_a_new_room_is_full() {
    let mut hub = Hub::new();
    let creation = RoomCreation {
        ratchet_tree_option: RatchetTreeOption::ByReference,
        ..alice().creation(None)
    };
    let source = source_of(&alice().client);
    let text = "malformed: only a full ratchet tree is taken";
    refuses(&mut hub, source, &creation, 400, text);
}

#[test]
fn d1_signature_and_tree_belong_together() {
    let mut hub = Hub::new();
    let creation = alice().creation(None);
    let source = source_of(&alice().client);
    let wrong = "invalid proposal: the GroupInfo or its tree";
    let mut flipped = creation.group_info.bytes().to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let signature =
        RoomCreation { group_info: Verbatim::own(flipped).unwrap(), ..creation.clone() };
    refuses(&mut hub, source.clone(), &signature, 422, wrong);
    let tree = RoomCreation {
        ratchet_tree_option: alice().creation(None).ratchet_tree_option,
        ..creation
    };
    refuses(&mut hub, source, &tree, 422, wrong);
}

#[test]
fn d2_external_senders_are_the_hub_alone_or_absent() {
    let mut hub = Hub::new();
    let another = Hub::new().external_sender();
    let creation = alice().creation(Some(another));
    let wrong = "invalid proposal: the external senders are not the hub alone";
    refuses(&mut hub, source_of(&alice().client), &creation, 422, wrong);
    let body = encode(&alice().creation(None)).unwrap();
    assert_eq!(hub.create(source_of(&alice().client), body).status, 201);
}

#[test]
fn d1_there_is_no_other_extension_not_even_a_policy() {
    let mut hub = Hub::new();
    let policy = Extension::Unknown(0xF0A7, UnknownExtension(vec![0]));
    let creation = alice().creation_with(|extensions| extensions.add(policy).unwrap());
    let wrong = "invalid proposal: the group context's extensions";
    refuses(&mut hub, source_of(&alice().client), &creation, 422, wrong);
}

/// The list with these users and roles, and nothing else changed.
fn with_list(participants: &[(&str, &[Role])]) -> RoomCreation {
    let participants = participants
        .iter()
        .map(|(name, roles)| UserRoles { user: user(name).to_wire(), roles: roles.to_vec() });
    let list = MimiParticipantList { participants: participants.collect() };
    let mut dictionary = AppDataDictionary::new();
    alice().creation_with(|extensions| {
        let before = extensions.app_data_dictionary().unwrap().dictionary().clone();
        for entry in before.entries() {
            dictionary.insert(entry.id(), entry.data().to_vec());
        }
        dictionary.insert(component::PARTICIPANT_LIST, encode(&list).unwrap());
        let changed = AppDataDictionaryExtension::new(dictionary);
        extensions.add_or_replace(Extension::AppDataDictionary(changed)).unwrap();
    })
}

#[test]
fn r15_d1_the_list_is_the_creator_with_its_three_roles() {
    const ALL: &[Role] = &[Role::Owner, Role::Admin, Role::RegularUser];
    let mut hub = Hub::new();
    let source = source_of(&alice().client);
    let wrong = "invalid proposal: the group context's extensions";
    for list in [
        &[] as &[(&str, &[Role])],
        &[("alice", &[Role::Owner])],
        &[("alice", &[Role::Admin, Role::Owner, Role::RegularUser])],
        &[("alice", ALL), ("bob", &[Role::RegularUser])],
        &[("bob", ALL)],
    ] {
        refuses(&mut hub, source.clone(), &with_list(list), 422, wrong);
    }
    let body = encode(&with_list(&[("alice", ALL)])).unwrap();
    assert_eq!(hub.create(source, body).status, 201);
}

#[test]
fn r15_d1_every_member_has_to_support_what_a_room_needs() {
    let mut hub = Hub::new();
    let (profile, other) = (
        "invalid proposal: the room's profile",
        "invalid proposal: the group context's extensions",
    );
    let (update, dictionary) = (ProposalType::AppDataUpdate, ExtensionType::AppDataDictionary);
    for (extensions, proposals, wrong) in [
        (vec![], vec![], profile),
        (vec![dictionary, ExtensionType::Unknown(0xF0A7)], vec![], profile),
        (vec![dictionary], vec![update, ProposalType::Custom(0xF0A5)], profile),
        // The policy's extension is missing, and the credential.
        (vec![dictionary], vec![update], other),
    ] {
        let required = RequiredCapabilitiesExtension::new(&extensions, &proposals, &[]);
        let creation = alice().creation_with(|extensions| {
            extensions.add_or_replace(Extension::RequiredCapabilities(required)).unwrap();
        });
        refuses(&mut hub, source_of(&alice().client), &creation, 422, wrong);
    }
}

/// Takes the first extension out of a GroupInfo: `external_pub`. Its signature does not fit then.
fn without_external_pub(group_info: &[u8]) -> Vec<u8> {
    // The type, and a key of 32 bytes in two vectors; no other extension stands beside it.
    let extension = [&[36, 0, 4, 33, 32][..], &[0; 32]].concat();
    let at = group_info.windows(5).rposition(|window| window == &extension[..5]).unwrap();
    [&group_info[..at], &[0], &group_info[at + extension.len()..]].concat()
}

#[test]
fn d1_one_can_join_by_the_group_info() {
    let mut hub = Hub::new();
    let creation = alice().creation(None);
    let changed = without_external_pub(creation.group_info.bytes());
    let creation = RoomCreation { group_info: Verbatim::own(changed).unwrap(), ..creation };
    let wrong = "invalid proposal: the GroupInfo lacks external_pub";
    refuses(&mut hub, source_of(&alice().client), &creation, 422, wrong);
}

/// The same, with an extension of four bytes beside `external_pub`.
pub fn with_another_extension(group_info: &[u8]) -> Vec<u8> {
    let at = group_info.windows(5).rposition(|window| window == [36, 0, 4, 33, 32]).unwrap();
    let (before, after) = group_info.split_at(at);
    let (external_pub, signature) = after[1..].split_at(36);
    [before, &[40], external_pub, &[0xF0, 0x99, 1, b'x'], signature].concat()
}

#[test]
fn r50_the_group_info_of_a_new_room_carries_external_pub_and_nothing_else() {
    let mut hub = Hub::new();
    let creation = alice().creation(None);
    let changed = with_another_extension(creation.group_info.bytes());
    let creation = RoomCreation { group_info: Verbatim::own(changed).unwrap(), ..creation };
    let wrong = "invalid proposal: the GroupInfo carries another extension";
    refuses(&mut hub, source_of(&alice().client), &creation, 422, wrong);
}

#[test]
fn d1_the_first_epoch_is_0() {
    let mut hub = Hub::new();
    let mut alice = alice();
    alice.creation(None);
    let upload = alice.propose(Vec::new(), &[], &[]);
    let creation = RoomCreation {
        group_info: Verbatim::own(upload.group_info).unwrap(),
        ratchet_tree_option: upload.tree,
    };
    let source = source_of(&alice.client);
    refuses(&mut hub, source, &creation, 422, "invalid proposal: not the first epoch");
}

/// The key alone does not make a sender: it has to be the hub's credential too.
#[test]
fn d2_the_external_senders_credential_is_the_domain() {
    let mut hub = Hub::new();
    let key = hub.hub_key();
    let other = mimi_edge::mls::credential::credential_of(&alice().client);
    let creation = alice().creation(Some(ExternalSender::new(key.as_slice().into(), other)));
    let wrong = "invalid proposal: the external senders are not the hub alone";
    refuses(&mut hub, source_of(&alice().client), &creation, 422, wrong);
}
