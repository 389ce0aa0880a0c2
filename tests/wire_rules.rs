//! What does not decode: the rules and decisions that the decoders keep.
#![cfg(not(target_arch = "wasm32"))]

mod wire_fixtures;

use mimi_edge::error::ProtocolError;
use mimi_edge::wire::{
    AppSync, ClientKeyMaterial, ConsentEntry, EventPage, FanoutMessage, GroupInfoRequest,
    GroupInfoResponse, IdentifierUri, KeyMaterialBody, KeyMaterialRequest, KeyMaterialResponse,
    KeyMaterialUserCode, Protocol, RatchetTree, RatchetTreeOption, Role, SubmitMessageResponse,
    UpdateRequest, UpdateResponseCode, UpdateRoomResponse, UserRoles, decode_concatenated,
    decode_exact, encode,
};
use openmls::framing::{MlsMessageIn, PublicMessageIn};
use openmls::key_packages::KeyPackageIn;
use openmls::messages::{Welcome, group_info::VerifiableGroupInfo};
use openmls::prelude::{Capabilities, Credential};
use tls_codec::DeserializeBytes;
use wire_fixtures::hand::{join, uri, vector};
use wire_fixtures::mls::{ROOM, STORY};
use wire_fixtures::samples::{
    self, ALICE, BOB, GROUP_INFO, KEY_PACKAGE, PHONE, PRIVATE, PUBLIC, TIME, WELCOME, full,
};

fn decodes<T: DeserializeBytes>(bytes: &[u8]) -> bool {
    match decode_exact::<T>(bytes) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error, ProtocolError::Malformed("body"));
            assert_eq!(error.status(), 400);
            false
        }
    }
}

/// The values of `0..=255` for which `bytes` makes something that decodes.
fn codes<T: DeserializeBytes>(bytes: impl Fn(u8) -> Vec<u8>) -> Vec<u8> {
    (0..=u8::MAX).filter(|code| decodes::<T>(&bytes(*code))).collect()
}

/// The three other ways to write the length byte at `at`.
fn longer_lengths(valid: &[u8], at: usize) -> [Vec<u8>; 3] {
    let length = valid[at];
    assert!(length < 0x40, "a length of one byte");
    [&[0x40, length][..], &[0x80, 0, 0, length], &[0xC0, 0, 0, 0, 0, 0, 0, length]]
        .map(|prefix| join(&[&valid[..at], prefix, &valid[at + 1..]]))
}

fn assert_minimal<T: DeserializeBytes>(valid: &[u8], at: usize) {
    assert!(decodes::<T>(valid));
    for longer in longer_lengths(valid, at) {
        assert!(!decodes::<T>(&longer), "{:?} at {at}", std::any::type_name::<T>());
    }
}

#[test]
fn r5_lengths_are_minimal() {
    assert_minimal::<IdentifierUri>(&uri(BOB), 0);
    assert_minimal::<UserRoles>(&join(&[&uri(BOB), &[1, 4]]), 1 + BOB.len());
    // Inside a vector whose own length fits.
    for user in longer_lengths(&join(&[&uri(BOB), &[1, 4]]), 0) {
        assert!(!decodes::<AppSync>(&join(&[&vector(&user), &[0, 0]])));
    }
    assert_minimal::<AppSync>(&[0, 0, 0], 0);
    assert_minimal::<AppSync>(&[0, 0, 0], 2);
    assert_minimal::<KeyMaterialRequest>(&samples::key_material_request(), 1);
    assert_minimal::<RatchetTree>(&[0], 0);
    // A length of two bytes, written in four.
    let long = "a".repeat(100);
    assert!(decodes::<IdentifierUri>(&join(&[&[0x40, 100], long.as_bytes()])));
    assert!(!decodes::<IdentifierUri>(&join(&[&[0x80, 0, 0, 100], long.as_bytes()])));
}

#[test]
fn r5_lengths_are_minimal_inside_mls_objects() {
    let story = &*STORY;
    // version, cipher suite; init_key<V>
    assert_minimal::<KeyPackageIn>(&story.bob_key_package, 4);
    // group_id<V>
    assert_minimal::<PublicMessageIn>(&story.add.commit, 0);
    assert_minimal::<MlsMessageIn>(&join(&[&PRIVATE, &story.application]), 4);
    // cipher suite, secrets<V>, encrypted_group_info<V>
    assert_minimal::<Welcome>(&[0, 1, 0, 1, 0xAB], 2);
    assert_minimal::<Welcome>(&[0, 1, 0, 1, 0xAB], 3);
    // version, cipher suite, group_id<V>
    assert_minimal::<VerifiableGroupInfo>(&story.add.group_info, 4);
    // credential type, identity<V>
    assert_minimal::<Credential>(&story.credential, 2);
    // versions<V>
    assert_minimal::<Capabilities>(&story.capabilities, 0);
}

#[test]
fn r5_a_boolean_is_zero_or_one() {
    let request = samples::key_material_request();
    let before = &request[..request.len() - 1];
    assert_eq!(codes::<KeyMaterialRequest>(|code| join(&[before, &[code]])), [0, 1]);

    let page = |more, gap| join(&[&[0], &TIME, &[more, gap]]);
    assert_eq!(codes::<EventPage>(|code| page(code, 0)), [0, 1]);
    assert_eq!(codes::<EventPage>(|code| page(1, code)), [0, 1]);

    // optional<T>
    let consent = |code| join(&[&[1], &uri(ALICE), &uri(BOB), &[code], &uri(ROOM)]);
    assert_eq!(codes::<ConsentEntry>(consent), [1]);
    let uploaded = &STORY.leave_commit;
    let update =
        |code| join(&[&uploaded.commit, &[code], &uploaded.group_info, &full(&uploaded.tree)]);
    assert_eq!(codes::<UpdateRequest>(update), [0]);
}

#[test]
fn r5_unknown_codes_do_not_decode() {
    assert_eq!(codes::<Role>(|code| vec![code]), [1, 2, 3, 4, 5, 6]);
    assert_eq!(codes::<UserRoles>(|code| join(&[&uri(BOB), &[1, code]])), [1, 2, 3, 4, 5, 6]);
    assert_eq!(codes::<KeyMaterialUserCode>(|code| vec![code]), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(codes::<UpdateResponseCode>(|code| vec![code]), [0, 1, 2, 3, 4]);
    assert_eq!(codes::<UpdateRoomResponse>(|code| vec![code, 0]), [0, 1, 2, 3, 4]);
    // Without anything, with nothing but `optional`, with eight bytes: each code has its own form.
    assert_eq!(codes::<ClientKeyMaterial>(|code| join(&[&[code], &uri(PHONE)])), [1, 2]);
    assert_eq!(codes::<ClientKeyMaterial>(|code| join(&[&[code], &uri(PHONE), &[0]])), [3]);
    let success = |code| join(&[&[code], &uri(PHONE), &STORY.bob_key_package]);
    assert_eq!(codes::<ClientKeyMaterial>(success), [0]);
    assert_eq!(codes::<SubmitMessageResponse>(|code| vec![1, code]), [1]);
    assert_eq!(codes::<SubmitMessageResponse>(|code| join(&[&[1, code], &TIME])), [0, 2]);
    let consent = |code| join(&[&[code], &uri(ALICE), &uri(BOB), &[0]]);
    assert_eq!(codes::<ConsentEntry>(consent), [0, 1, 3]);
    assert_eq!(codes::<ConsentEntry>(|code| join(&[&consent(code), &[0]])), [2]);
}

#[test]
fn r5_an_identifier_is_text() {
    assert!(decodes::<IdentifierUri>(&uri("no syntax is asked for: é\0 @@ /")));
    assert!(!decodes::<IdentifierUri>(&vector(&[0xFF, 0xFE])));
    assert!(!decodes::<IdentifierUri>(&vector(&[0xED, 0xA0, 0x80])), "half a surrogate pair");
}

/// A PublicMessage with application content, which openmls decodes.
fn public_application() -> Vec<u8> {
    let message = join(&[
        &vector(ROOM.as_bytes()),
        &1_u64.to_be_bytes(),
        &[1, 0, 0, 0, 0],
        &vector(b""),
        &[1],
        &vector(b"hello"),
        &vector(&[7; 64]),
        &vector(&[8; 32]),
    ]);
    assert!(PublicMessageIn::tls_deserialize_exact_bytes(&message).is_ok());
    message
}

#[test]
fn r6_an_update_takes_neither_private_messages_nor_application_content() {
    let uploaded = &STORY.leave_commit;
    let bundle = join(&[&[0], &uploaded.group_info, &full(&uploaded.tree)]);
    assert!(decodes::<UpdateRequest>(&join(&[&uploaded.commit, &bundle])));
    for message in [
        public_application(),
        STORY.application.clone(),
        STORY.private_commit.clone(),
        join(&[&PRIVATE, &STORY.application]),
        join(&[&PRIVATE, &STORY.private_commit]),
        // The struct is bare: a header is one thing too many.
        join(&[&PUBLIC, &uploaded.commit]),
    ] {
        for rest in [&[][..], &[0], &bundle] {
            assert!(!decodes::<UpdateRequest>(&join(&[&message, rest])));
        }
    }
}

#[test]
fn r6_each_content_type_is_fanned_out_in_its_own_framing() {
    for (header, message, decoded) in [
        (PRIVATE, &STORY.application, true),
        (PRIVATE, &STORY.private_commit, false),
        (PUBLIC, &STORY.add.commit, true),
        (PUBLIC, &STORY.leave[0], true),
        (PUBLIC, &public_application(), false),
        (GROUP_INFO, &STORY.add.group_info, false),
        (KEY_PACKAGE, &STORY.bob_key_package, false),
    ] {
        assert!(decodes::<MlsMessageIn>(&join(&[&header, message])));
        let fanout = join(&[&header, message, &TIME]);
        assert_eq!(decodes::<FanoutMessage>(&fanout), decoded, "{header:?}");
    }
}

#[test]
fn r25_clients_come_with_three_codes_only() {
    let clients = vector(&join(&[&[1], &uri(PHONE)]));
    let response =
        |protocol: u8, code: u8, clients: &[u8]| join(&[&[protocol, code], &uri(BOB), clients]);
    assert_eq!(codes::<KeyMaterialResponse>(|code| response(1, code, &clients)), [0, 1, 3]);
    assert_eq!(
        codes::<KeyMaterialResponse>(|code| response(1, code, &[0])),
        [0, 1, 2, 3, 4, 5, 6, 7]
    );
    assert!(decodes::<KeyMaterialResponse>(&response(9, 2, &[0])), "incompatibleProtocol");
    assert!(!decodes::<KeyMaterialResponse>(&response(9, 0, &clients)), "a form we do not know");
}

#[test]
fn r34_of_an_unknown_protocol_four_fields_are_read() {
    let request = |protocol: u8, rest: &[u8]| {
        join(&[&[protocol], &uri(ALICE), &vector(&uri(BOB)), &uri(ROOM), rest])
    };
    for protocol in 2..=u8::MAX {
        for rest in [&b""[..], b"\xFF", b"anything at all"] {
            let bytes = request(protocol, rest);
            let decoded = decode_exact::<KeyMaterialRequest>(&bytes).unwrap();
            assert_ne!(decoded.protocol, Protocol::MLS10);
            assert_eq!(encode(&decoded.protocol).unwrap(), [protocol]);
            assert_eq!(decoded.requesting_user.0, ALICE);
            assert_eq!(decoded.target_users, [IdentifierUri(BOB.to_owned())]);
            assert_eq!(decoded.room_id.0, ROOM);
            assert_eq!(decoded.body, KeyMaterialBody::Unknown(rest.to_vec()));
            assert_eq!(encode(&decoded).unwrap(), bytes);
        }
    }
    let mls10 = [4, 0, 1, 0, 3, 0, 0, 0, 0];
    assert!(decodes::<KeyMaterialRequest>(&request(1, &mls10)));
    assert!(!decodes::<KeyMaterialRequest>(&request(1, &[])), "mls10 has more fields");
    assert!(!decodes::<KeyMaterialRequest>(&request(0, &mls10)), "reserved");
    assert!(!decodes::<KeyMaterialRequest>(&request(0, &[])), "reserved");
    assert!(!decodes::<KeyMaterialRequest>(&join(&[&[9], &uri(ALICE), &vector(&uri(BOB))])));
}

#[test]
fn r78_a_notification_is_one_or_more_messages_back_to_back() {
    let parts = [
        samples::fanout_of_commit(),
        samples::fanout_of_welcome(),
        samples::fanout_of_application(),
        samples::fanout_of_proposal(),
    ];
    for count in 1..=parts.len() {
        let body = parts[..count].concat();
        let messages = decode_concatenated::<FanoutMessage>(&body).unwrap();
        let again: Vec<Vec<u8>> = messages.iter().map(|m| encode(m).unwrap()).collect();
        assert_eq!(again, parts[..count]);
        for malformed in [&body[..body.len() - 1], &[&body[..], &[0]].concat()] {
            assert_eq!(
                decode_concatenated::<FanoutMessage>(malformed),
                Err(ProtocolError::Malformed("body"))
            );
        }
    }
    assert_eq!(
        decode_concatenated::<FanoutMessage>(&[]),
        Err(ProtocolError::Malformed("empty body"))
    );
    // An outer length is not the draft's form.
    assert!(decode_concatenated::<FanoutMessage>(&vector(&parts[0])).is_err());
}

#[test]
fn r80_a_welcome_has_a_tree_and_nothing_else_has() {
    let tree = full(&STORY.add.tree);
    let welcome = join(&[&WELCOME, STORY.add.welcome.as_ref().unwrap(), &TIME]);
    assert!(!decodes::<FanoutMessage>(&welcome));
    let decoded = decode_exact::<FanoutMessage>(&join(&[&welcome, &tree])).unwrap();
    assert!(matches!(decoded.ratchet_tree_option, Some(RatchetTreeOption::Full(_))));
    for other in [samples::fanout_of_commit(), samples::fanout_of_application()] {
        assert_eq!(decode_exact::<FanoutMessage>(&other).unwrap().ratchet_tree_option, None);
        assert!(!decodes::<FanoutMessage>(&join(&[&other, &tree])));
    }
}

#[test]
fn a9_blank_nodes_are_part_of_a_tree() {
    let leaf = &STORY.leaf_node;
    // Present, a leaf, then the leaf itself.
    let present = join(&[&[1, 1], leaf]);
    let with_blank = vector(&join(&[&present, &[0], &present]));
    let nodes = RatchetTree::from_encoded(&with_blank).unwrap().nodes().unwrap();
    assert_eq!(encode(&nodes).unwrap(), with_blank);

    // `Node ratchet_tree<V>`, as the draft has it, is not what we read.
    let without_optional = vector(&join(&[&[1], leaf, &[1], leaf]));
    let refused = RatchetTree::from_encoded(&without_optional).unwrap().nodes();
    assert_eq!(refused.err(), Some(ProtocolError::Malformed("body")));
}

#[test]
fn a13_the_first_byte_tells_a_bare_message_from_a_wrapped_one() {
    let bare = join(&[&PRIVATE, &STORY.application]);
    assert_eq!(bare[0], 0);
    assert!(decodes::<MlsMessageIn>(&bare));
    // ralston-02's SubmitMessageRequest begins with the protocol.
    let wrapped = join(&[&encode(&Protocol::MLS10).unwrap(), &bare]);
    assert_eq!(wrapped[0], 1);
    assert!(!decodes::<MlsMessageIn>(&wrapped));
}

#[test]
fn a14_only_success_has_a_payload() {
    let payload = join(&[&STORY.add.group_info, &full(&STORY.add.tree)]);
    assert_eq!(codes::<GroupInfoResponse>(|code| vec![code]), [2, 3]);
    assert_eq!(codes::<GroupInfoResponse>(|code| join(&[&[code], &payload])), [1]);
    assert_eq!(encode(&GroupInfoResponse::NotAuthorized).unwrap(), [2]);
    assert_eq!(encode(&GroupInfoResponse::NoSuchRoom).unwrap(), [3]);
}

#[test]
fn a10_a_group_info_request_names_no_protocol() {
    let request = samples::group_info_request();
    assert!(decodes::<GroupInfoRequest>(&request));
    assert!(!decodes::<GroupInfoRequest>(&join(&[&[1], &request])));
}

#[test]
fn a23_a_tree_is_full_and_by_reference_in_an_update_alone() {
    let uploaded = &STORY.leave_commit;
    let commit = join(&[&uploaded.commit, &[0], &uploaded.group_info]);
    let group_info = join(&[&[1], &uploaded.group_info]);
    let welcome = join(&[&WELCOME, STORY.add.welcome.as_ref().unwrap(), &TIME]);
    for (tree, in_an_update, elsewhere) in
        [(&uploaded.tree[..], vec![1], vec![1]), (&[], vec![5], vec![])]
    {
        let with = |before: &[u8], code| join(&[before, &[code], tree]);
        assert_eq!(codes::<UpdateRequest>(|code| with(&commit, code)), in_an_update);
        assert_eq!(codes::<GroupInfoResponse>(|code| with(&group_info, code)), elsewhere);
        assert_eq!(codes::<FanoutMessage>(|code| with(&welcome, code)), elsewhere);
    }
}
