//! The structs by name: every sample of the wire tests is read, and made again from its members.
#![cfg(not(target_arch = "wasm32"))]

mod wire_fixtures;

use std::path::PathBuf;

use mimi_edge::error::{Error, ProtocolError, UsageError};
use mimi_edge::low::structs::{
    Direction, Field, Given, Type, Value, codec_names, decode, encode, inspect,
};
use wire_fixtures::hand::{hex, join, to_hex, uri, vector};
use wire_fixtures::mls::{ROOM, STORY};
use wire_fixtures::samples::{self, ALICE, BOB, Sample};

const MALFORMED: Error = Error::Protocol(ProtocolError::Malformed("body"));

/// The members of a struct as an application gives them back.
fn given(field: &Field, bytes: &[u8]) -> Given {
    match &field.value {
        Value::Number(number) => Given::Number(*number),
        Value::Name(name) => Given::Text((*name).to_owned()),
        Value::Flag(flag) => Given::Flag(*flag),
        Value::Text(text) => Given::Text(text.clone()),
        Value::Bytes(range) => Given::Bytes(bytes[range.clone()].to_vec()),
        Value::Nothing => Given::Nothing,
        Value::Fields(items) if matches!(field.of, Type::Vector(_)) => {
            Given::List(items.iter().map(|item| given(item, bytes)).collect())
        }
        Value::Fields(members) => {
            let member = |member: &Field| (member.name.to_owned(), given(member, bytes));
            Given::Members(members.iter().map(member).collect())
        }
    }
}

/// The struct of a sample, when there is a codec for it.
fn struct_of(sample: &Sample) -> Option<&'static str> {
    let name = sample.name.split(',').next().unwrap();
    let name = match name {
        "accepted" | "notAllowed" | "epochTooOld" => "SubmitMessageResponse",
        other => other,
    };
    codec_names().find(|known| *known == name)
}

#[test]
fn every_struct_of_the_draft_is_made_again_from_its_members() {
    let mut seen = Vec::new();
    for sample in samples::samples() {
        let Some(name) = struct_of(&sample) else { continue };
        let field = decode(name, &sample.bytes).unwrap();
        assert_eq!(field.range, 0..sample.bytes.len());
        let members = given(&field, &sample.bytes);
        assert_eq!(encode(name, &members).unwrap(), sample.bytes, "{}", sample.name);
        seen.push(name);
    }
    let option = samples::full(&STORY.add.tree);
    let field = decode("RatchetTreeOption", &option).unwrap();
    assert_eq!(encode("RatchetTreeOption", &given(&field, &option)).unwrap(), option);
    seen.push("RatchetTreeOption");
    for name in codec_names() {
        assert!(seen.contains(&name), "{name} has no sample");
    }
}

#[test]
fn r5_truncated_and_longer_bytes_do_not_decode() {
    for sample in samples::samples() {
        let Some(name) = struct_of(&sample) else { continue };
        if sample.name == "KeyMaterialRequest, another protocol" {
            continue; // ends where the bytes end (R34)
        }
        for end in 0..sample.bytes.len() {
            assert_eq!(decode(name, &sample.bytes[..end]).unwrap_err(), MALFORMED);
        }
        let longer = join(&[&sample.bytes, &[0]]);
        assert_eq!(decode(name, &longer).unwrap_err(), MALFORMED);
    }
}

#[test]
fn what_the_wire_decodes_has_names_and_nothing_else_has() {
    for sample in samples::samples() {
        let Some(name) = struct_of(&sample) else { continue };
        let mut changed = sample.bytes.clone();
        for bit in 0..8 * changed.len().min(512) {
            changed[bit / 8] ^= 1 << (bit % 8);
            let again = (sample.again)(&changed);
            assert_eq!(decode(name, &changed).is_ok(), again.is_some(), "{}, {bit}", sample.name);
            changed[bit / 8] = sample.bytes[bit / 8];
        }
    }
}

#[test]
fn the_members_have_the_drafts_names() {
    let bytes = samples::key_material_request();
    let text = |text: &str| Given::Text(text.to_owned());
    let numbers = |list: &[u64]| Given::List(list.iter().map(|it| Given::Number(*it)).collect());
    let member = |name: &str, value| (name.to_owned(), value);
    let required = Given::Members(vec![
        member("extensionTypes", numbers(&[6, 0xF0A7])),
        member("proposalTypes", numbers(&[8])),
        member("credentialTypes", numbers(&[1])),
    ]);
    let expected = Given::Members(vec![
        member("protocol", text("mls10")),
        member("requestingUser", text(ALICE)),
        member("targetUsers", Given::List(vec![text(BOB)])),
        member("roomId", text(ROOM)),
        member("acceptableCiphersuites", numbers(&[1, 3])),
        member("requiredCapabilities", required),
        member("lastResortAllowed", Given::Flag(true)),
    ]);
    let field = decode("KeyMaterialRequest", &bytes).unwrap();
    assert_eq!(given(&field, &bytes), expected);
    assert_eq!(encode("KeyMaterialRequest", &expected).unwrap(), bytes);
}

#[test]
fn members_that_do_not_fit_are_named() {
    let entry = |operation: Given, room: Given| {
        Given::Members(vec![
            ("consentOperation".to_owned(), operation),
            ("requesterUser".to_owned(), Given::Text(ALICE.to_owned())),
            ("targetUser".to_owned(), Given::Text(BOB.to_owned())),
            ("roomId".to_owned(), room),
        ])
    };
    let text = |text: &str| Given::Text(text.to_owned());
    let encoded = encode("ConsentEntry", &entry(text("request"), text(ROOM))).unwrap();
    assert_eq!(encoded, samples::consent_request());
    for (members, what) in [
        (entry(text("maybe"), Given::Nothing), "consentOperation"),
        (entry(Given::Number(256), Given::Nothing), "consentOperation"),
        (entry(text("request"), Given::Number(1)), "roomId"),
        (entry(text("grant"), Given::Nothing), "clientKeyPackages"),
        (entry(Given::Number(9), Given::Nothing), "the members do not fit together"),
        (Given::Nothing, "value"),
    ] {
        assert_eq!(encode("ConsentEntry", &members), Err(UsageError::BadArgument(what)));
    }
    let none = Err(UsageError::BadArgument("no such struct"));
    assert_eq!(encode("Consent", &Given::Nothing), none);
}

/// The field at this path.
fn at<'f>(field: &'f Field, path: &[&str]) -> &'f Field {
    path.iter().fold(field, |field, name| {
        let Value::Fields(fields) = &field.value else { panic!("{name}: no fields") };
        match name.parse::<usize>() {
            Ok(index) => &fields[index],
            Err(_) => fields.iter().find(|field| field.name == *name).expect(name),
        }
    })
}

#[test]
fn every_body_is_shown() {
    for (endpoint, direction, start) in [
        ("keyMaterial", Direction::Request, "KeyMaterialRequest"),
        ("keyMaterial", Direction::Response, "KeyMaterialResponse"),
        ("update", Direction::Request, "UpdateRequest"),
        ("update", Direction::Response, "UpdateRoomResponse"),
        ("update", Direction::Response, "PendingProposalsResponse"),
        ("submitMessage", Direction::Response, "accepted"),
        ("notify", Direction::Request, "FanoutMessage"),
        ("groupInfo", Direction::Request, "GroupInfoRequest"),
        ("groupInfo", Direction::Response, "GroupInfoResponse"),
        ("requestConsent", Direction::Request, "ConsentEntry"),
        ("updateConsent", Direction::Request, "ConsentEntry"),
        ("consent", Direction::Request, "ConsentEntry"),
        ("consent", Direction::Response, "ConsentState"),
        ("devices", Direction::Request, "DeviceRegistration"),
        ("devices", Direction::Response, "DeviceList"),
        ("pseudonyms", Direction::Response, "PseudonymGrant"),
        ("keyPackages", Direction::Request, "KeyPackageList"),
        ("keyPackages", Direction::Response, "KeyPackageStock"),
        ("rooms", Direction::Request, "RoomCreation"),
        ("rooms", Direction::Response, "RoomList"),
        ("events", Direction::Response, "EventPage"),
        ("inbox", Direction::Response, "EventPage"),
        ("socket", Direction::Request, "Hello"),
        ("socket", Direction::Request, "Ack"),
        ("socket", Direction::Response, "Event"),
        ("socket", Direction::Response, "Gap"),
        ("socket", Direction::Response, "Consent"),
    ] {
        let samples = samples::samples();
        let fitting = samples
            .iter()
            .filter(|sample| sample.name == start || sample.name.starts_with(&format!("{start},")));
        let mut count = 0;
        for sample in fitting {
            let shown = inspect(endpoint, direction, &sample.bytes).expect(sample.name);
            assert_eq!(shown.range, 0..sample.bytes.len(), "{}", sample.name);
            count += 1;
        }
        assert!(count > 0, "{start} has no sample");
    }
    let told = inspect("directory", Direction::Response, &[5]).unwrap();
    assert_eq!(told.value, Value::Name("byReference"));
    assert_eq!(inspect("update", Direction::Request, &[]), None);
    assert_eq!(inspect("notify", Direction::Request, &[]), None);
    assert_eq!(inspect("elsewhere", Direction::Request, &[0]), None);
    assert_eq!(inspect("consent", Direction::Response, b"{}"), None);
}

#[test]
fn a_commit_is_shown_to_the_last_field() {
    let request = samples::update_with_commit(&STORY.add);
    let shown = inspect("update", Direction::Request, &request).unwrap();
    let commit = at(&shown, &["proposalOrCommit"]);
    assert_eq!(at(commit, &["contentType"]).value, Value::Name("commit"));
    let Value::Bytes(group_id) = &at(commit, &["groupId"]).value else { panic!("groupId") };
    assert_eq!(&request[group_id.clone()], ROOM.as_bytes());
    let Value::Fields(proposals) = &at(commit, &["commit", "proposals"]).value else { panic!() };
    let types: Vec<_> = proposals
        .iter()
        .map(|proposal| &at(proposal, &["proposal", "proposalType"]).value)
        .collect();
    assert!(types.contains(&&Value::Name("app_data_update")), "{types:?}");
    assert!(types.contains(&&Value::Name("add")), "{types:?}");
    let leaf = at(&shown, &["ratchetTreeOption", "ratchetTree", "0", "leafNode"]);
    assert_eq!(leaf.of.name(), "LeafNode");
    assert_eq!(at(&shown, &["ratchetTreeOption", "ratchetTree"]).of.name(), "optional<Node><V>");
}

#[test]
fn several_messages_of_a_fan_out_are_shown() {
    let body = join(&[&samples::fanout_of_welcome(), &samples::fanout_of_application()]);
    let shown = inspect("notify", Direction::Request, &body).unwrap();
    assert_eq!(shown.of.name(), "FanoutMessage*");
    assert_eq!(at(&shown, &["0", "message", "wireFormat"]).value, Value::Name("mls_welcome"));
    assert_eq!(
        at(&shown, &["1", "message", "privateMessage", "contentType"]).value,
        Value::Name("application")
    );
}

/// An MLSMessage with a PublicMessage of a member that proposes this.
fn proposing(proposal: &[u8]) -> Vec<u8> {
    let head = join(&[&[0, 1, 0, 1], &vector(ROOM.as_bytes()), &[0; 8], &[1, 0, 0, 0, 0]]);
    join(&[&head, &[0, 2], proposal, &[0], &[0]])
}

#[test]
fn the_app_sync_of_a_proposal_is_shown_in_both_profiles() {
    for (proposal, name) in [
        ("0008f0220113100d626f6240627261766f2e636f6d01040000", "update"),
        ("f0a513100d626f6240627261766f2e636f6d01040000", "appSync"),
    ] {
        let message = proposing(&hex(proposal));
        let shown = inspect("submitMessage", Direction::Request, &message).unwrap();
        let app_sync = at(&shown, &["publicMessage", "proposal", name]);
        assert_eq!(app_sync.of.name(), "AppSync");
        let added = at(app_sync, &["addUsers", "0", "user"]);
        assert_eq!(added.value, Value::Text("bob@bravo.com".to_owned()));
        assert_eq!(added.of.name(), "IdentifierUri");
        assert_eq!(message[added.range.clone()], uri("bob@bravo.com"));
        let role = at(app_sync, &["addUsers", "0", "roles", "0"]);
        assert_eq!(role.value, Value::Name("regular_user"));
    }
}

#[test]
fn what_claims_to_be_an_app_sync_and_is_none_is_shown_as_bytes() {
    let message = proposing(&hex("0008f0220103010203"));
    let shown = inspect("submitMessage", Direction::Request, &message).unwrap();
    let Value::Bytes(update) = &at(&shown, &["publicMessage", "proposal", "update"]).value else {
        panic!("bytes")
    };
    assert_eq!(to_hex(&message[update.clone()]), "010203");
}

#[test]
fn the_official_messages_are_shown() {
    let folder = std::env::var_os("MLS_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"),
        PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(folder.join("messages.json")) else { return };
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    for case in &cases {
        let get = |name: &str| hex(case[name].as_str().unwrap());
        for name in [
            "mls_welcome",
            "mls_group_info",
            "mls_key_package",
            "public_message_application",
            "public_message_proposal",
            "public_message_commit",
            "private_message",
        ] {
            let message = get(name);
            assert!(inspect("submitMessage", Direction::Request, &message).is_some(), "{name}");
        }
        let group_info = &get("mls_group_info")[4..];
        let creation = join(&[group_info, &samples::full(&get("ratchet_tree"))]);
        let shown = inspect("rooms", Direction::Request, &creation).unwrap();
        let tree = at(&shown, &["ratchetTreeOption", "ratchetTree"]);
        assert!(matches!(&tree.value, Value::Fields(nodes) if !nodes.is_empty()));
    }
}
